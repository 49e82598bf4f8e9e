package difftest

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/meshlark/meshlark/xds/cluster"
	"github.com/meshlark/meshlark/xds/endpoint"
	"github.com/meshlark/meshlark/xds/filterchain"
	"github.com/meshlark/meshlark/xds/listener"
	"github.com/meshlark/meshlark/xds/match"
	"github.com/meshlark/meshlark/xds/rawjson"
	"github.com/meshlark/meshlark/xds/routing"
	"github.com/meshlark/meshlark/xds/trace"
)

// A filterProxy is the configuration of the Envoy with one of its listeners.
type filterProxy struct{ listener listener.Listener }

func (f filterProxy) Name() string { return "envoy" }
func (f filterProxy) Listeners() *filterchain.Listeners {
	return filterchain.NewListeners([]listener.Listener{f.listener})
}
func (f filterProxy) Table(string) (*routing.Table, bool) { return nil, false }
func (f filterProxy) Scopes(string) []rawjson.Value       { return nil }
func (f filterProxy) Envoy() match.Version                { return match.Version{} }
func (f filterProxy) Cluster(name string) (cluster.Cluster, bool) {
	return cluster.New(rawjson.Value(text(dict{"name": name, "type": "STATIC", "load_assignment": dict{"endpoints": []any{dict{"lb_endpoints": []any{dict{
		"endpoint": dict{"address": socket("127.0.0.1", 1)},
	}}}}}}))), slices.Contains(clusters[:4], name)
}
func (f filterProxy) Endpoints(c cluster.Cluster) (endpoint.Assignment, bool) { return c.Assignment() }

// A filterCase is one pair of prediction and answer.
type filterCase struct {
	request request
	want    trace.Trace
	got     reply
}

// newFilterCase sends a request and predicts what becomes of it.
func newFilterCase(r request, conn connection, address string, proxy filterProxy) (filterCase, error) {
	c := filterCase{request: r}
	var err error
	if c.got, err = r.sendSecure(address, conn, identity{}, false); err != nil {
		return c, err
	}
	in := trace.Request{Method: r.Method, Host: r.Host, Path: r.Path, Source: conn.Source, Destination: conn.Destination, Listener: proxy.listener.Name(), Runtime: runtime, Now: time.Now()}
	for _, h := range r.Headers {
		in.Headers = append(in.Headers, match.Header{Name: h[0], Value: strings.Trim(h[1], " ")})
	}
	c.want = trace.Run(proxy, nil, in)
	return c, nil
}

// details are the response code details Envoy logged.
func (c filterCase) details() string { return c.got.Header.Get("t-details") }

// predicted is what kind of end was predicted.
func (c filterCase) predicted() string {
	v := c.want.Verdict
	hop := c.want.Hops[0]
	switch {
	case v.Reached:
		for _, a := range hop.Answers {
			if a.Verdict.Details == c.details() {
				return "sometimes " + a.Verdict.Details
			}
		}
		return "forwarded to " + hop.Cluster
	case strings.HasPrefix(v.Details, "jwt_authn_access_denied{Wrong"):
		return "jwt: wrong requirement"
	}
	return cmp.Or(v.Details, v.Reason)
}

// differences are how an answer is other than predicted.
func (c filterCase) differences() []string {
	want, hop := c.want.Verdict, c.want.Hops[0]
	flags := strings.ReplaceAll(c.got.Header.Get("t-flags"), "-", "")
	if hop.DelayShare > 0 && hop.DelayShare < 1 {
		flags = strings.Trim(strings.ReplaceAll(","+flags+",", ",DI,", ","), ",")
	}
	for _, a := range hop.Answers {
		if a.Verdict.Details == c.details() && a.Verdict.Code == c.got.Code {
			return nil
		}
	}
	var out []string
	differ := func(what string, got, want any) {
		if got != want {
			out = append(out, fmt.Sprintf("%s: Envoy %q, predicted %q", what, got, want))
		}
	}
	if !want.Reached {
		differ("details", c.details(), want.Details)
		differ("code", c.got.Code, want.Code)
		if !strings.HasPrefix(want.Details, "ext_authz") {
			differ("flags", flags, want.Flags)
		}
		return append(out, c.accessControl()...)
	}
	var up sent
	if err := json.Unmarshal([]byte(c.got.Body), &up); err != nil && c.details() != "websocket_handshake_unsuccessful" {
		return append(out, fmt.Sprintf("the answer is %d %s, predicted: %v", c.got.Code, c.details(), want))
	}
	out = append(out, c.accessControl()...)
	route := strings.ReplaceAll(c.got.Header.Get("t-route"), "-", "")
	differ("route", route, hop.HTTP.Route)
	differ("cluster", c.got.Header.Get("t-cluster"), hop.Cluster)
	if up.Header == nil {
		return out // the upstream does not do the upgrade it was asked for
	}
	differ("path", up.Path, hop.HTTP.Path)
	for _, name := range []string{
		"x-mut", "x-mut2", "authorization", "x-token", "x-payload", "x-claim-sub", "x-claim-n", "x-claim-list", "x-claim-admin", "x-jwt-signature-verified", "x-forwarded-for",
		"x-forwarded-port", "x-envoy-ip-tags", "x-inside", "x-envoy-external-address", "x-envoy-downstream-service-node",
	} {
		differ("request header "+name, strings.Join(up.Header.Values(name), ","), strings.Join(hop.HTTP.RequestHeaders.Values(name), ","))
	}
	return out
}

// accessControl compares the headers of the CORS filter.
func (c filterCase) accessControl() []string {
	var out []string
	hop := c.want.Hops[0]
	if hop.HTTP == nil || slices.ContainsFunc(hop.Unmodelled, func(text string) bool { return strings.HasPrefix(text, "access control headers") }) {
		return nil
	}
	for _, name := range []string{
		"access-control-allow-origin", "access-control-allow-credentials", "access-control-allow-methods", "access-control-allow-headers",
		"access-control-max-age", "access-control-expose-headers", "y-mut", "y-mut2",
	} {
		want := hop.HTTP.ResponseHeaders.Values(name)
		if strings.HasPrefix(name, "access-control") { // of which Envoy makes one line, without what is empty
			want = slices.DeleteFunc(want, func(value string) bool { return value == "" })
		}
		if got, want := strings.Join(c.got.Header.Values(name), ","), strings.Join(want, ","); got != want {
			out = append(out, fmt.Sprintf("response header %s: Envoy %q, predicted %q", name, got, want))
		}
	}
	return out
}

// filterOutcomes are those that a large run has to have seen (see -least).
var filterOutcomes = []string{
	"forwarded to c0", "forwarded to c1", "direct_response", "cluster_not_found", "route_not_found", "fault_filter_abort", "cors_response", "ext_authz_error", "upgrade_failed",
	"rejecting_because_detection_failed", "jwt: wrong requirement", "jwt_authn_access_denied{Jwt_is_missing}", "jwt_authn_access_denied{Jwt_is_expired}",
	"jwt_authn_access_denied{Jwt_issuer_is_not_configured}", "jwt_authn_access_denied{Audiences_in_Jwt_are_not_allowed}", "jwt_authn_access_denied{Jwt_verification_fails}",
	"rbac_access_denied_matched_policy[none]", "rbac_access_denied_matched_policy[first]", "sometimes fault_filter_abort", "sometimes local_rate_limited",
}

// TestFilters compares what the HTTP filters before the router do with requests, and what is left of the requests after them.
func TestFilters(t *testing.T) {
	ring := newKeyring(t)
	outcomes, kinds, may := map[string]int{}, map[string]int{}, map[string]int{}
	pairs, loaded, differ := 0, 0, 0
	for from := 0; from < *configs; from += batch {
		b := newBench(t)
		listeners := map[string]dict{}
		name := func(i int) string { return fmt.Sprintf("seed%d_", *seedFlag+uint64(i)) }
		for i := from; i < min(*configs, from+batch); i++ {
			listeners[name(i)] = newPicker(*seedFlag+uint64(i)).filterListener(name(i), ring)
		}
		ports, refused := b.load(t, listeners)
		if refused != "" {
			b.reasons(t)
		}
		var faults []func()
		for i := from; i < min(*configs, from+batch); i++ {
			if ports[name(i)] == "" {
				continue
			}
			loaded++
			proxy := filterProxy{listener.New(rawjson.Value(text(listeners[name(i)])))}
			p := newPicker(*seedFlag + uint64(i) ^ 1<<40)
			for range min(*requests, 50) {
				r := p.filterRequest(listeners[name(i)], ring)
				conn := connection{
					Source:      netip.AddrPortFrom(netip.MustParseAddr(one(p, "10.0.0.7", "20.0.0.1", "30.0.0.1")), 1000),
					Destination: netip.MustParseAddrPort("10.9.9.9:8080"),
				}
				c, err := newFilterCase(r, conn, ports[name(i)], proxy)
				if err != nil {
					t.Errorf("seed %d: %+v: %v", *seedFlag+uint64(i), r, err)
					continue
				}
				pairs++
				outcomes[c.predicted()]++
				for _, f := range c.want.Hops[0].MayAnswer {
					may[f]++
				}
				if diffs := c.differences(); len(diffs) > 0 {
					differ++
					kind, _, _ := strings.Cut(diffs[0], ":")
					if kinds[kind]++; kinds[kind] <= 4 {
						t.Errorf("seed %d: %+v from %v\n  %s\n%s", *seedFlag+uint64(i), r, conn.Source, strings.Join(diffs, "\n  "), c.steps())
						faults = append(faults, func() {
							t.Logf("seed %d: shrunk for %+v:\n%s", *seedFlag+uint64(i), r, text(reduceManager(t, listeners[name(i)], []string{"stat_prefix"}, func(l dict, address string) bool {
								c, err := newFilterCase(r, conn, address, filterProxy{listener.New(rawjson.Value(text(l)))})
								return err == nil && c.details() != "" && len(c.differences()) > 0 // without details the filter that tells them is gone
							})))
						})
					}
				}
			}
		}
		shrinkSome(faults)
	}
	for _, outcome := range filterOutcomes {
		if outcomes[outcome] < *least {
			t.Errorf("%s is the outcome of %d requests, want %d", outcome, outcomes[outcome], *least)
		}
	}
	t.Logf("%d configurations, %d pairs, %d differences %v; may answer %v", loaded, pairs, differ, kinds, may)
	for _, outcome := range slices.Sorted(maps.Keys(outcomes)) {
		n := outcomes[outcome]
		t.Logf("%6d %s", n, outcome)
		if pairs > 1000 && n*100 > pairs*30 {
			t.Errorf("%s is the outcome of %d of %d requests: too many to prove much", outcome, n, pairs)
		}
	}
}

// steps is what the prediction went by.
func (c filterCase) steps() string {
	var b strings.Builder
	for _, s := range c.want.Hops[0].Steps {
		fmt.Fprintf(&b, "    %s %s\n", s.Question, s.Answer)
	}
	return b.String()
}
