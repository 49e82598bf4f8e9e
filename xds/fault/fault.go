// Package fault decides which faults Envoy's fault injection filter injects into a request: a delay, an answer in place of the upstream's, and for what
// share of requests like it.
//
// Whether a request is one of a share is decided by a random number of the filter's own, which nothing outside Envoy knows. How many faults are active at once
// (max_active_faults) is the state of a live proxy; only a limit of 0 counts here. The speed of responses is not limited here.
package fault

import (
	"cmp"
	"fmt"
	"strconv"
	"time"

	"github.com/meshlark/meshlark/xds/explain"
	"github.com/meshlark/meshlark/xds/match"
	"github.com/meshlark/meshlark/xds/rawjson"
)

// Details are the response code details of an answer of the filter, and Flags its response flag; DelayFlags is that of a delay.
const (
	Details    = "fault_filter_abort"
	Flags      = "FI"
	DelayFlags = "DI"
)

// A Decision is what the filter does with a request.
type Decision struct {
	// Delay is how long requests are held back, and DelayShare which part of them, 0 to 1.
	Delay      time.Duration
	DelayShare float64
	// Code is the status of the answer, 200 with GRPC set for a gRPC status, and AbortShare the part of the requests that is answered.
	Code       int
	GRPC       string
	AbortShare float64
	// Metadata is what the filter writes into the namespace of its name when it injects a fault.
	Metadata rawjson.Value
	Reason   string
	Step     explain.Step
}

// Check asks a filter about a request. v is its settings (HTTPFault), or those of the route, which take their place; cluster is the cluster of the request's
// route, "" for none.
func Check(name string, v rawjson.Value, r *match.Request, cluster string) Decision {
	d := Decision{Metadata: v.Get("filter_metadata")}
	d.Step = explain.Step{Question: fmt.Sprintf("does %s inject a fault?", cmp.Or(name, "fault injection")), Answer: "no"}
	if why := mismatch(v, r, cluster); why != "" {
		d.Reason, d.Step.Answer = why, "no: "+why
		return d
	}
	if n, ok := limit(v, r); ok && n == 0 {
		d.Reason = "no fault may be active at all (max_active_faults)"
		d.Step.Answer = "no: " + d.Reason
		return d
	}
	s := settings{v, r, ""}
	if node, _ := r.First("x-envoy-downstream-service-cluster"); node != "" {
		s.prefix = "fault.http." + node
	}
	d.Delay, d.DelayShare = s.delay()
	d.Code, d.GRPC, d.AbortShare = s.abort()
	if d.DelayShare > 0 {
		d.Step.Candidates = append(d.Step.Candidates, explain.Candidate{Name: "delay", Won: true, Why: fmt.Sprintf("%v for %s of requests", d.Delay, percent(d.DelayShare))})
		d.Step.Answer = fmt.Sprintf("a delay of %v, for %s of requests", d.Delay, percent(d.DelayShare))
	}
	if d.AbortShare > 0 {
		status := "status " + strconv.Itoa(d.Code)
		if d.GRPC != "" {
			status = "gRPC status " + d.GRPC
		}
		d.Reason = fmt.Sprintf("%s for %s of requests", status, percent(d.AbortShare))
		d.Step.Candidates = append(d.Step.Candidates, explain.Candidate{Name: "abort", Won: true, Why: d.Reason})
		if d.DelayShare > 0 {
			d.Step.Answer += ", and " + d.Reason
		} else {
			d.Step.Answer = d.Reason
		}
	}
	if v.Get("response_rate_limit").Exists() {
		d.Step.Unmodelled = append(d.Step.Unmodelled, "the limit on the speed of responses of "+name)
	}
	return d
}

func percent(share float64) string {
	return strconv.FormatFloat(share*100, 'f', -1, 64) + "%"
}

// mismatch says why no fault is for the request, "" when one may be.
func mismatch(v rawjson.Value, r *match.Request, cluster string) string {
	if want := v.Str("upstream_cluster"); want != "" && want != cluster {
		return fmt.Sprintf("faults are for cluster %s, the route's is %q", want, cluster)
	}
	if nodes := v.Get("downstream_nodes"); nodes.Len() > 0 {
		got, ok := r.First("x-envoy-downstream-service-node")
		found := false
		for node := range nodes.Elems() {
			found = found || ok && node.Text() == got
		}
		if !found {
			return fmt.Sprintf("faults are for certain clients (downstream_nodes), and the request is of %q", explain.Short(got))
		}
	}
	for h := range v.Get("headers").Elems() {
		if condition := match.NewHeaderMatch(h); !condition.Match(r) {
			return condition.Why(r)
		}
	}
	return ""
}

// limit is how many faults may be active at once.
func limit(v rawjson.Value, r *match.Request) (uint64, bool) {
	if value, ok := r.Runtime[cmp.Or(v.Str("max_active_faults_runtime"), "fault.http.max_active_faults")]; ok {
		if n, ok := match.RuntimeUint(value); ok {
			return n, true
		}
	}
	return v.Get("max_active_faults").Uint()
}

// settings are the settings of a filter for one request.
type settings struct {
	body    rawjson.Value
	request *match.Request
	// prefix begins the runtime keys of the client's cluster, "" when the request does not name one.
	prefix string
}

// share is the part of requests a fault is for: the header may make it smaller, and runtime may say another.
func (s settings) share(fault rawjson.Value, runtimeKey, ofClient, header string) float64 {
	percentage := fault.Get("percentage")
	if value, ok := s.request.First(header); ok && header != "" {
		if n, err := strconv.ParseUint(value, 10, 32); err == nil {
			most, _ := percentage.Get("numerator").Uint()
			percentage = rawjson.Value(fmt.Sprintf(`{"numerator":%d,"denominator":%q}`, min(n, most), percentage.Str("denominator")))
		}
	}
	if s.prefix != "" {
		runtimeKey = s.prefix + ofClient
	}
	return match.KeyedFraction(runtimeKey, percentage, s.request.Runtime).Share()
}

// number is a runtime value, or what there is without it.
func (s settings) number(key string, otherwise uint64) uint64 {
	if value, ok := s.request.Runtime[key]; ok {
		if n, ok := match.RuntimeUint(value); ok {
			return n
		}
	}
	return otherwise
}

func (s settings) delay() (time.Duration, float64) {
	delay := s.body.Get("delay")
	if !delay.Exists() {
		return 0, 0
	}
	header, milliseconds := "", uint64(0)
	switch {
	case delay.Get("fixed_delay").Exists():
		fixed, err := time.ParseDuration(delay.Str("fixed_delay"))
		if err != nil || fixed < 0 {
			return 0, 0
		}
		milliseconds = uint64(fixed / time.Millisecond)
	default:
		header = "x-envoy-fault-delay-request-percentage"
		value, _ := s.request.First("x-envoy-fault-delay-request")
		n, err := strconv.ParseUint(value, 10, 63)
		if err != nil {
			return 0, 0
		}
		milliseconds = n
	}
	share := s.share(delay, cmp.Or(s.body.Str("delay_percent_runtime"), "fault.http.delay.fixed_delay_percent"), ".delay.fixed_delay_percent", header)
	milliseconds = s.number(cmp.Or(s.body.Str("delay_duration_runtime"), "fault.http.delay.fixed_duration_ms"), milliseconds)
	if s.prefix != "" {
		milliseconds = s.number(s.prefix+".delay.fixed_duration_ms", milliseconds)
	}
	if milliseconds == 0 || share == 0 {
		return 0, 0
	}
	return time.Duration(min(milliseconds, 1<<40)) * time.Millisecond, share
}

func (s settings) abort() (code int, grpc string, share float64) {
	abort := s.body.Get("abort")
	if !abort.Exists() {
		return 0, "", 0
	}
	header := ""
	if len(abort.Get("header_abort")) > 0 {
		header = "x-envoy-fault-abort-request-percentage"
	}
	share = s.share(abort, cmp.Or(s.body.Str("abort_percent_runtime"), "fault.http.abort.abort_percent"), ".abort.abort_percent", header)
	if share == 0 {
		return 0, "", 0
	}
	if status, ok := s.status(abort, header != ""); ok {
		status = s.number(cmp.Or(s.body.Str("abort_http_status_runtime"), "fault.http.abort.http_status"), status)
		if s.prefix != "" {
			status = s.number(s.prefix+".abort.http_status", status)
		}
		return int(status), "", share
	}
	if status, ok := s.grpc(abort, header != ""); ok {
		status = s.number(cmp.Or(s.body.Str("abort_grpc_status_runtime"), "fault.http.abort.grpc_status"), status)
		if s.prefix != "" {
			status = s.number(s.prefix+".abort.grpc_status", status)
		}
		return 200, strconv.FormatUint(status, 10), share
	}
	return 0, "", 0
}

// status is the HTTP status of an abort; ok is false when none is given.
func (s settings) status(abort rawjson.Value, byHeader bool) (uint64, bool) {
	if !byHeader {
		return abort.Get("http_status").Uint()
	}
	value, _ := s.request.First("x-envoy-fault-abort-request")
	n, err := strconv.ParseUint(value, 10, 64)
	return n, err == nil && 200 <= n && n < 600
}

func (s settings) grpc(abort rawjson.Value, byHeader bool) (uint64, bool) {
	if !byHeader {
		return abort.Get("grpc_status").Uint()
	}
	value, _ := s.request.First("x-envoy-fault-abort-grpc-request")
	n, err := strconv.ParseUint(value, 10, 32)
	return n, err == nil
}
