package trace

import (
	"fmt"
	"net/netip"

	"github.com/meshlark/meshlark/xds/cluster"
	"github.com/meshlark/meshlark/xds/explain"
	"github.com/meshlark/meshlark/xds/listener"
	"github.com/meshlark/meshlark/xds/match"
	"github.com/meshlark/meshlark/xds/rawjson"
	"github.com/meshlark/meshlark/xds/routing"
)

// Where Envoy keeps what a connection inside the proxy was meant for, and who made it.
const (
	originalDst    = "envoy.filters.listener.original_dst"
	localState     = originalDst + ".local_ip"
	remoteState    = originalDst + ".remote_ip"
	overridesState = "envoy.network.transport_socket.original_dst_address"
)

// ends gives a connection to a listener inside the proxy its two ends: its filter takes them from what the hop before has left. Otherwise it has none
// that are IP addresses.
func (t *tracer) ends(l listener.Listener, r *Request) {
	r.Source, r.DirectSource, r.Destination = netip.AddrPort{}, netip.AddrPort{}, netip.AddrPort{}
	step := explain.Step{Question: "which listener has the connection?", Answer: l.Name()}
	why := "it is inside the proxy, and an endpoint of the cluster before"
	if _, ok := filter(l, "OriginalDst", "original_dst"); ok {
		own, _ := t.metadata[originalDst].(map[string]any)
		local, _ := own["local"].(string)
		if local == "" {
			local = t.state[localState].text
		}
		r.Destination, t.restored = parseEnd(local)
		r.Source, _ = parseEnd(t.state[remoteState].text)
	}
	if t.restored {
		step.Inputs = []explain.Input{{Name: "meant for", Value: r.Destination.String()}}
	} else {
		why += "; nothing says where the connection was meant for"
	}
	step.Candidates = []explain.Candidate{{Name: l.Name(), Won: true, Why: why}}
	t.step(step)
}

func parseEnd(text string) (netip.AddrPort, bool) {
	ap, err := netip.ParseAddrPort(text)
	return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port()), err == nil
}

// opens reports whether a route takes a CONNECT request as a tunnel that ends here, so that what is inside goes on.
func opens(result *routing.Result, r *match.Request) bool {
	for v := range result.View.Fields().Get("route", "upgrade_configs").Elems() {
		config := v.Get("connect_config")
		if v.Str("upgrade_type") == "CONNECT" && config.Exists() && (r.Method == "CONNECT" || r.Method == "POST" && config.Get("allow_post").IsTrue()) {
			return true
		}
	}
	return false
}

// open takes the request out of the tunnel that ends here. To the proxy it is bytes.
func (t *tracer) open(at *next) {
	r := at.request
	inside := *r.Inside
	inside.Source, inside.Destination, inside.Inbound, inside.Listener = r.Source, r.Destination, r.Inbound, ""
	inside.Principal = r.Principal
	at.request = inside
	t.passed, t.decrypted = true, false
}

// carry puts the connection into a tunnel, which begins here with a request of the TCP proxy.
func (t *tracer) carry(at *next, proxy listener.TCPProxy, conn match.Connection) {
	host, unmodelled := routing.Format(proxy.TunnelHost(), &match.Request{Connection: conn, Metadata: t.metadata, FilterState: t.state.texts()}, "-")
	inside := at.request
	if t.decrypted {
		t.strip(&inside)
	}
	at.request.Method, at.request.Host, at.request.Path, at.request.Headers = "CONNECT", host, "", nil
	if path, ok := proxy.TunnelPost(); ok {
		at.request.Method, at.request.Path = "POST", path
	}
	at.request.Inside, at.request.inner = &inside, nil
	t.passed = false
	t.step(explain.Step{Question: "how does the TCP proxy pass it on?", Answer: "in a tunnel, which it asks for with " + at.request.Method + " " + host, Unmodelled: unmodelled})
}

// restoredTo is where a cluster without endpoints of its own connects to: where something says, else where the client wanted to go; ok is false when
// nothing restored that.
func (t *tracer) restoredTo(at next, c cluster.Cluster) (dst netip.AddrPort, why string, ok bool) {
	config := c.Fields().Get("original_dst_lb_config")
	dst, why, ok = at.request.Destination, "where the client wanted to go (ORIGINAL_DST)", t.restored && at.request.Destination.IsValid()
	if config.Get("use_http_header").IsTrue() && t.hop.HTTP != nil {
		header := match.Lower(config.Str("http_header_name"))
		if header == "" {
			header = "x-envoy-original-dst-host"
		}
		if text, there := at.request.Headers.Get(header); there {
			if named, valid := parseEnd(text); valid {
				dst, why, ok = named, "what header "+header+" says", true
			}
		}
	}
	if key := config.Get("metadata_key"); key.Exists() {
		if named, valid := parseEnd(t.override(at, key)); valid {
			dst, why, ok = named, "what metadata "+key.Str("key")+" says", true
		}
	}
	if named, valid := parseEnd(t.state[overridesState].text); valid {
		dst, why, ok = named, "what filter state "+overridesState+" says", true
	}
	if port, there := config.Get("upstream_port_override").Uint(); there && port < 1<<16 {
		dst = netip.AddrPortFrom(dst.Addr(), uint16(port))
	}
	return dst, why, ok
}

// override is what a key finds in the metadata of the request or of the connection.
func (t *tracer) override(at next, key rawjson.Value) string {
	text := func(v any) string {
		for segment := range key.Get("path").Elems() {
			m, _ := v.(map[string]any)
			v = m[segment.Str("key")]
		}
		if list, ok := v.([]any); ok && len(list) > 0 {
			v = list[0]
		}
		s, _ := v.(string)
		return s
	}
	if s := text(at.request.Metadata[key.Str("key")]); s != "" {
		return s
	}
	return text(t.metadata[key.Str("key")])
}

// arrives is who gets the request at an address: whatever is there, or what the tunnel that ends there is for.
func arrives(r Request, dst netip.AddrPort) string {
	if r.Inside == nil {
		return dst.String()
	}
	in := *r.Inside
	for in.Inside != nil {
		in = *in.Inside
	}
	if !in.Destination.IsValid() {
		return fmt.Sprintf("what is at %s, by a tunnel to %s,", r.Host, dst)
	}
	return fmt.Sprintf("%s, by a tunnel to %s,", in.Destination, dst)
}
