package e2e

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/meshlark/meshlark/lab"
)

// Requests go through the Envoys of the pods as they do in a cluster: from the application into its sidecar's outbound listener, over mutual TLS to the other
// pod's inbound one, and in by the gateway. What becomes of each is known beforehand, and it is what meshlark foretells by the configuration alone.
func TestTraffic(t *testing.T) {
	if err := lab.CanCarry(); err != nil {
		t.Skip(err)
	}
	l := lab.StartTest(t, lab.Options{Traffic: true})
	ctx := t.Context()
	const (
		reviews = "http://reviews:9080/reviews/7"
		inbound = "inbound|9080||"
		details = "outbound|9080||details.default.svc.cluster.local"
		page    = "outbound|9080||productpage.default.svc.cluster.local"
		denied  = "403 - rbac_access_denied_matched_policy[none] " + inbound
	)
	subset := func(version string) string {
		return fmt.Sprintf("200; productpage-v1 200 - via_upstream outbound|9080|%s|reviews.default.svc.cluster.local; reviews-%s 200 - via_upstream %s", version, version, inbound)
	}
	header := func(name, value string) http.Header { return http.Header{name: {value}} }
	type expectation struct {
		name string
		call lab.Call
		// want is the status and, of each Envoy that wrote of it, the workload, its status, flags, details and cluster; one of several with " or " between them.
		want string
		// unknown is why meshlark cannot foretell it.
		unknown string
	}
	run := func(t *testing.T, tests []expectation) {
		for _, test := range tests {
			t.Run(test.name, func(t *testing.T) {
				reply, err := l.Request(ctx, test.call)
				if err != nil {
					t.Fatal(err)
				}
				got := fmt.Sprint(reply.Status)
				for _, h := range reply.Hops {
					got += fmt.Sprintf("; %s %s %s %s %s", h.Workload, h.Status, h.Flags, h.Details, h.Cluster)
				}
				if !slices.Contains(strings.Split(test.want, " or "), got) {
					t.Errorf("got  %s (error %v)\nwant %s", got, reply.Err, test.want)
				}
				if test.unknown == "" {
					foretold(t, l, test.call, reply)
				}
			})
		}
	}
	run(t, []expectation{
		{name: "a service", call: lab.Call{From: "productpage-v1", URL: reviews}, want: subset("v1") + " or " + subset("v2")},
		{name: "by a header", call: lab.Call{From: "productpage-v1", URL: reviews, Header: header("End-User", "jason")}, want: subset("v3")},
		{name: "by its whole name", call: lab.Call{From: "productpage-v1", URL: "http://details.default.svc.cluster.local:9080/details/0"},
			want: "200; productpage-v1 200 - via_upstream " + details + "; details-v1 200 - via_upstream " + inbound},
		{name: "denied to another account", call: lab.Call{From: "reviews-v1", URL: "http://details:9080/details/0"},
			want: "403; reviews-v1 403 - via_upstream " + details + "; details-v1 " + denied},
		{name: "denied for its method", call: lab.Call{From: "productpage-v1", Method: "POST", URL: "http://details:9080/details/0"},
			want: "403; productpage-v1 403 - via_upstream " + details + "; details-v1 " + denied},
		{name: "denied in plaintext", call: lab.Call{To: "details-v1", URL: "http://details:9080/details/0"}, want: "403; details-v1 " + denied},
		{name: "of the other revision", call: lab.Call{From: "ratings-v1", URL: "http://productpage:9080/"},
			want: "200; ratings-v1 200 - via_upstream " + page + "; productpage-v1 200 - via_upstream " + inbound},
		{name: "a service that is none", call: lab.Call{From: "productpage-v1", URL: "http://nobody.example.com:9080/"},
			want:    "503; productpage-v1 503 UF upstream_reset_before_response_started{remote_connection_failure|delayed_connect_error:_Connection_refused} PassthroughCluster",
			unknown: "that nobody listens there is in no configuration"},
		{name: "the gateway", call: lab.Call{From: "istio-ingressgateway", URL: "http://bookinfo.example.com/productpage"},
			want: "200; istio-ingressgateway 200 - via_upstream " + page + "; productpage-v1 200 - via_upstream " + inbound},
		{name: "the gateway over TLS", call: lab.Call{From: "istio-ingressgateway", URL: "https://bookinfo.example.com/static/style.css"},
			want: "200; istio-ingressgateway 200 - via_upstream " + page + "; productpage-v1 200 - via_upstream " + inbound},
		{name: "a path that the gateway does not serve", call: lab.Call{From: "istio-ingressgateway", URL: "http://bookinfo.example.com/admin"},
			want: "404; istio-ingressgateway 404 NR route_not_found -"},
		{name: "a host that the gateway does not serve", call: lab.Call{From: "istio-ingressgateway", URL: "http://other.example.com/productpage"},
			want: "404; istio-ingressgateway 404 NR route_not_found -"},
		{name: "plaintext", call: lab.Call{To: "reviews-v1", URL: reviews}, want: "200; reviews-v1 200 - via_upstream " + inbound},
	})

	// What an operator changes, and what becomes of the same requests.
	if err := l.Apply(ctx, operatorsChanges); err != nil {
		t.Fatal(err)
	}
	if err := l.Healthy(ctx); err != nil {
		t.Fatal(err)
	}
	run(t, []expectation{
		{name: "a subset without endpoints", call: lab.Call{From: "productpage-v1", URL: "http://ratings:9080/ratings/7"},
			want: "503; productpage-v1 503 UH no_healthy_upstream outbound|9080|v9|ratings.default.svc.cluster.local"},
		{name: "a subset that does not exist", call: lab.Call{From: "productpage-v1", URL: "http://ratings:9080/ratings/7", Header: header("X-Canary", "yes")},
			want: "503; productpage-v1 503 NC cluster_not_found -"},
		{name: "plaintext to who wants TLS", call: lab.Call{To: "reviews-v1", URL: reviews}, want: "0"},
		{name: "TLS to who wants it", call: lab.Call{From: "productpage-v1", URL: reviews, Header: header("End-User", "jason")}, want: subset("v3")},
		{name: "redirected", call: lab.Call{From: "productpage-v1", URL: "http://ratings:9080/old"}, want: "301; productpage-v1 301 - direct_response -"},
		{name: "aborted", call: lab.Call{From: "productpage-v1", URL: "http://ratings:9080/broken"}, want: "418; productpage-v1 418 FI fault_filter_abort outbound|9080|v9|ratings.default.svc.cluster.local"},
	})
}

const operatorsChanges = `
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: ratings, namespace: default}
spec: {host: ratings, subsets: [{name: v9, labels: {version: v9}}]}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: ratings, namespace: default}
spec:
  hosts: [ratings]
  http:
  - match: [{headers: {x-canary: {exact: "yes"}}}]
    route: [{destination: {host: ratings, subset: v8}}]
  - match: [{uri: {exact: /old}}]
    redirect: {uri: /new}
  - match: [{uri: {prefix: /broken}}]
    fault: {abort: {percentage: {value: 100}, httpStatus: 418}}
    route: [{destination: {host: ratings, subset: v9}}]
  - route: [{destination: {host: ratings, subset: v9}}]
---
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {name: default, namespace: default}
spec: {mtls: {mode: STRICT}}
`

// foretold compares what became of a request with what meshlark says of it, by the Envoys' configuration in the cluster.
func foretold(t *testing.T, l *lab.Lab, call lab.Call, reply *lab.Reply) {
	t.Helper()
	proxy, more := l.Envoy(call.From+call.To).ID(), ""
	if call.From == "" {
		more = `, direction="inbound", source_ip="10.0.0.99", tls=False`
	}
	if call.Method != "" {
		more += fmt.Sprintf(", method=%q", call.Method)
	}
	if len(call.Header) > 0 {
		var headers []string
		for name := range call.Header {
			headers = append(headers, fmt.Sprintf("%q: %q", strings.ToLower(name), call.Header.Get(name)))
		}
		more += ", headers={" + strings.Join(headers, ", ") + "}"
	}
	expr := fmt.Sprintf("[proxy(%q).trace(%q%s)]", proxy, call.URL, more)
	out := runWith(t, l.Kubeconfig, meshlark, "-s", "kube:lab-reader", "-e", expr, "-o", "json")
	if out.status != 0 {
		t.Fatalf("%s: exit status %d: %s", expr, out.status, out.stderr)
	}
	doc := read[struct {
		Items []struct {
			Verdict struct {
				Reached        bool
				Code           *int
				Flags, Details string
			}
			Clusters  []share
			Endpoints []share
		}
	}](t, []byte(out.stdout))
	if len(doc.Items) != 1 {
		t.Fatalf("%s: %d traces", expr, len(doc.Items))
	}
	trace := doc.Items[0]
	said := fmt.Sprintf("%s says %+v", expr, trace)
	if trace.Verdict.Reached != (reply.Status == http.StatusOK) {
		t.Errorf("%s, but the status was %d", said, reply.Status)
	}
	if code := trace.Verdict.Code; code != nil && *code != reply.Status || code == nil && !trace.Verdict.Reached && reply.Status != 0 {
		t.Errorf("%s, but the status was %d", said, reply.Status)
	}
	if len(reply.Hops) == 0 {
		return
	}
	first, last := reply.Hops[0], reply.Hops[len(reply.Hops)-1]
	if call.From != "" && first.Cluster != "-" && !has(trace.Clusters, first.Cluster) {
		t.Errorf("%s, but it went to %s", said, first.Cluster)
	}
	// The endpoints are those of one cluster; of what comes in they are where the client wanted to go.
	if trace.Verdict.Reached && call.From != "" && len(trace.Clusters) == 1 && !has(trace.Endpoints, first.Upstream) {
		t.Errorf("%s, but it went to %s", said, first.Upstream)
	}
	if !trace.Verdict.Reached {
		if flags := strings.TrimPrefix(last.Flags, "-"); trace.Verdict.Flags != flags {
			t.Errorf("%s, but the flags were %q", said, flags)
		}
		if trace.Verdict.Details != last.Details {
			t.Errorf("%s, but the details were %q", said, last.Details)
		}
	}
}

// A share is a part of the requests.
type share struct {
	Name  string
	Share float64
}

func has(shares []share, name string) bool {
	return slices.ContainsFunc(shares, func(s share) bool { return s.Name == name && s.Share > 0 })
}
