package admin

import (
	"strconv"

	"github.com/meshlark/meshlark/xds/endpoint"
	"github.com/meshlark/meshlark/xds/rawjson"
	"github.com/meshlark/meshlark/xds/resource"
)

// A Host is one member of a cluster: where it is, which all proxies that know it have in common, and how it does with one
// proxy.
type Host struct {
	config *resource.Body
	state  *hostState
}

// A hostState is what is a proxy's own about a host. Hosts of one answer that do alike refer to the same one.
type hostState struct {
	health Health
	raw    rawjson.Value
}

// A HostStat is one counter or gauge of a host.
type HostStat struct {
	Name  string // cx_total, rq_error...
	Gauge bool   // may go down; a counter cannot
	Value Number // "0" where Envoy leaves the value out
}

// Config is the host's part that proxies have in common, as JSON: address, hostname, locality, weight, priority and
// whatever newer versions add. Hosts that have the same refer to the same text.
func (h Host) Config() rawjson.Value {
	if h.config == nil {
		return nil
	}
	return h.config.Raw()
}

// State is the part that is the proxy's own, as JSON: stats, health_status and success rates.
func (h Host) State() rawjson.Value {
	if h.state == nil {
		return nil
	}
	return h.state.raw
}

// Raw is the whole host as JSON, Config and State in one object.
func (h Host) Raw() rawjson.Value { return merge(h.Config(), h.State()) }

// Address is where the host is.
func (h Host) Address() endpoint.Address { return endpoint.NewAddress(h.Config().Get("address")) }

// Cell is the address as istioctl prints it in its ENDPOINT column: ip:port (an IPv6 address has no brackets, a port of 0 is
// left out), unix://path, envoy://listener/endpoint-id, or "unknown".
func (h Host) Cell() string {
	a := h.Address()
	if a.Pipe != "" || a.Listener != "" || a.IsZero() {
		return a.String()
	}
	if a.Port == 0 {
		return a.Host
	}
	return a.Host + ":" + strconv.FormatUint(uint64(a.Port), 10)
}

// Hostname is the name the address was resolved from, or the one discovery gave; often empty.
func (h Host) Hostname() string { return h.Config().Str("hostname") }

// Locality is where the host says it runs, region/zone/sub-zone, ending where a part is missing.
func (h Host) Locality() string { return endpoint.LocalityText(h.Config().Get("locality")) }

// Weight is the host's share within its locality; 0 where Envoy did not say.
func (h Host) Weight() uint32 { return uint32Of(h.Config().Get("weight")) }

// Priority is the level the host is in; 0 is tried first.
func (h Host) Priority() uint32 { return uint32Of(h.Config().Get("priority")) }

// Health is what the proxy thinks of the host. Its Flags are shared: do not change them.
func (h Host) Health() Health {
	if h.state == nil {
		return Health{EDS: "UNKNOWN"}
	}
	return h.state.health
}

// Stats are the host's counters and gauges as this proxy counted them, in the order Envoy wrote them.
func (h Host) Stats() []HostStat {
	stats := h.State().Get("stats")
	out := make([]HostStat, 0, stats.Len())
	for v := range stats.Elems() {
		s := HostStat{Name: v.Str("name"), Gauge: v.Str("type") == "GAUGE", Value: number(v.Get("value"))}
		if s.Value == "" {
			s.Value = "0"
		}
		out = append(out, s)
	}
	return out
}

// SuccessRate is the share of requests, in percent, that succeeded in outlier detection's last interval; empty where there were
// too few to tell.
func (h Host) SuccessRate() Number { return percent(h.State().Get("success_rate")) }

// LocalOriginSuccessRate counts only whether the host could be reached, where outlier detection tells the two apart.
func (h Host) LocalOriginSuccessRate() Number {
	return percent(h.State().Get("local_origin_success_rate"))
}

// merge gives one object with the members of both.
func merge(a, b rawjson.Value) rawjson.Value {
	if a.Len() == 0 || b.Len() == 0 {
		if a.Len() == 0 {
			return b
		}
		return a
	}
	out := make(rawjson.Value, 0, len(a)+len(b))
	out = append(out, a[:len(a)-1]...)
	out = append(out, ',')
	return append(out, b[1:]...)
}

func uint32Of(v rawjson.Value) uint32 {
	n, _ := v.Uint()
	return uint32(min(n, 1<<32-1))
}
