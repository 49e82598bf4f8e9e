package lab

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/meshlark/meshlark/lab/carrier"
)

// The ports of the gateways' pods.
const (
	gatewayPort       = 8080
	gatewaySecurePort = 8443
)

// A Call is a request that goes through the mesh. It needs a lab with Traffic.
type Call struct {
	// From is the workload whose application sends it, to where its URL leads, or the gateway that a client outside of the mesh sends it to. With neither it is
	// sent past any sidecar, in plaintext.
	From string
	// To is the workload that a Call without From goes to.
	To     string
	Method string // GET if empty
	URL    string // its host is a service, as "reviews:9080", an address, or what the gateway serves
	Header http.Header
}

// A Reply is what became of a Call.
type Reply struct {
	// Status and Body are those of the answer. Status is 0 if there is none, and Err says why.
	Status int
	Header http.Header
	Body   []byte
	Err    error
	// Hops are what the Envoys wrote into their access logs: first the one of From, then the one that it led to, if any.
	Hops []Hop
}

// A Hop is a line of an Envoy's access log, by the names of Envoy's format.
type Hop struct {
	Workload string
	Status   string // RESPONSE_CODE
	Flags    string // RESPONSE_FLAGS; "-" for none
	Details  string // RESPONSE_CODE_DETAILS
	Failure  string // UPSTREAM_TRANSPORT_FAILURE_REASON; "-" for none
	Upstream string // UPSTREAM_HOST, "IP:port"; "-" for none
	Cluster  string // UPSTREAM_CLUSTER_RAW; "-" for none
	Route    string // ROUTE_NAME; "-" for none
}

// Request sends a request through the mesh. An error means that the lab could not; what the mesh did with it is in the Reply.
func (l *Lab) Request(ctx context.Context, call Call) (*Reply, error) {
	if l.network == nil {
		return nil, errors.New("send a request through the mesh: the lab has no traffic; see Options.Traffic")
	}
	u, err := url.Parse(call.URL)
	if err != nil {
		return nil, err
	}
	pod, to, err := l.way(ctx, call, u)
	if err != nil {
		return nil, fmt.Errorf("send a request to %s: %w", call.URL, err)
	}
	method := call.Method
	if method == "" {
		method = http.MethodGet
	}
	req, err := http.NewRequestWithContext(ctx, method, call.URL, nil)
	if err != nil {
		return nil, err
	}
	for name, values := range call.Header {
		req.Header[name] = values
	}
	l.mu.Lock()
	l.calls++
	tag := fmt.Sprintf("lab-call/%d", l.calls)
	l.mu.Unlock()
	// Nothing is routed by it, and every log has it.
	req.Header.Set("User-Agent", tag)
	transport := &http.Transport{
		DialContext:     func(context.Context, string, string) (net.Conn, error) { return l.network.dial(pod, to) },
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true, ServerName: u.Hostname()}, // the certificates are the lab's own
	}
	defer transport.CloseIdleConnections()
	reply := &Reply{}
	answer, err := transport.RoundTrip(req)
	if err == nil {
		reply.Status, reply.Header = answer.StatusCode, answer.Header
		reply.Body, err = io.ReadAll(answer.Body)
		answer.Body.Close()
	}
	reply.Err = err
	reply.Hops, err = l.hops(ctx, pod, tag)
	return reply, err
}

// way is the pod in whose network a call begins, and its first connection there.
func (l *Lab) way(ctx context.Context, call Call, u *url.URL) (*Pod, carrier.Request, error) {
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	if call.From == "" {
		p := &l.Envoy(call.To).Pod
		const outside = "10.0.0.99" // no pod has it
		return p, carrier.Request{To: net.JoinHostPort(p.IP, port), From: outside, Mark: markInbound}, nil
	}
	p := &l.Envoy(call.From).Pod
	if p.kind == "router" {
		at := map[string]int{"http": gatewayPort, "https": gatewaySecurePort}[u.Scheme]
		return p, carrier.Request{To: net.JoinHostPort(p.IP, fmt.Sprint(at))}, nil
	}
	ip := u.Hostname()
	if net.ParseIP(ip) == nil {
		var err error
		if ip, err = l.serviceIP(ctx, ip, p.Namespace); err != nil {
			return nil, carrier.Request{}, err
		}
	}
	return p, carrier.Request{To: net.JoinHostPort(ip, port), From: p.IP, Mark: markOutbound}, nil
}

// The marks of connections in the network of a pod: see cmd/podnet.
const (
	markOutbound = 1
	markInbound  = 2
)

// serviceIP resolves a name as the DNS of a cluster does for a pod of the namespace. Names that are no services have an address too, one for all, as those
// outside of a cluster have.
func (l *Lab) serviceIP(ctx context.Context, host, namespace string) (string, error) {
	const elsewhere = "10.99.99.99"
	name, rest, found := strings.Cut(host, ".")
	if found {
		var domain string
		namespace, domain, _ = strings.Cut(rest, ".")
		if domain != "" && domain != "svc" && domain != "svc.cluster.local" {
			return elsewhere, nil
		}
	}
	services := l.cluster.client.Resource(schema.GroupVersionResource{Version: "v1", Resource: "services"}).Namespace(namespace)
	service, err := services.Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		return elsewhere, nil
	}
	ip, _, err := unstructured.NestedString(service.Object, "spec", "clusterIP")
	return ip, err
}

// hops waits for what the Envoys wrote of a call: that of the pod where it began, and what others have written by then.
func (l *Lab) hops(ctx context.Context, first *Pod, tag string) ([]Hop, error) {
	var hops []Hop
	look := func() (bool, string) {
		hops = nil
		for _, e := range l.Envoys() {
			of, err := hopsIn(filepath.Join(l.dir, e.Name+".log"), tag)
			if err != nil {
				return false, err.Error()
			}
			for i := range of {
				of[i].Workload = e.Workload
			}
			if e.ID() == first.ID() {
				hops = append(of, hops...)
			} else {
				hops = append(hops, of...)
			}
		}
		return len(hops) > 0 && hops[0].Workload == first.Workload, fmt.Sprint(hops)
	}
	// A connection that no Envoy took for HTTP is in no log of requests.
	err := poll(ctx, 2*time.Second, "the access log of "+first.ID(), nil, look)
	if ctx.Err() != nil {
		return nil, err
	}
	// Each writes what it has every 20 ms.
	time.Sleep(100 * time.Millisecond)
	look()
	return hops, nil
}

// hopsIn reads the lines of an access log that have the tag as their user agent, in Istio's own format.
func hopsIn(file, tag string) ([]Hop, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var hops []Hop
	for line := range strings.Lines(string(text)) {
		if !strings.Contains(line, `"`+tag+`"`) || !strings.HasSuffix(line, "\n") {
			continue
		}
		// [time] "request" code flags details termination "failure" received sent duration service "forwarded" "agent" "id" "authority" "upstream" cluster local
		// local remote sni route
		f := fields(strings.TrimSpace(line))
		if len(f) != 22 {
			return nil, fmt.Errorf("read the access log %s: %d fields, want 22, in %s", file, len(f), line)
		}
		hops = append(hops, Hop{Status: f[2], Flags: f[3], Details: f[4], Failure: f[6], Upstream: f[15], Cluster: f[16], Route: f[21]})
	}
	return hops, nil
}

// fields splits a line at spaces that are not in quotes.
func fields(line string) []string {
	var out []string
	for line != "" {
		var field string
		if quoted, ok := strings.CutPrefix(line, `"`); ok {
			field, line, _ = strings.Cut(quoted, `"`)
			line = strings.TrimPrefix(line, " ")
		} else {
			field, line, _ = strings.Cut(line, " ")
		}
		out = append(out, field)
	}
	return out
}
