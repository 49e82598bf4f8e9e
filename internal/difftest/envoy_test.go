package difftest

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/textproto"
	"slices"
	"strings"
	"testing"
	"time"

	bootstrapv3 "github.com/envoyproxy/go-control-plane/envoy/config/bootstrap/v3"
	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"github.com/meshlark/meshlark/internal/envoytest"
)

// A bench is an Envoy with the clusters of the tests behind it.
type bench struct {
	*envoytest.Envoy
	fixed   []proto.Message // resources that are always there
	version int
}

// newBench starts the Envoy and an upstream that says what it was sent. more is what its bootstrap has besides.
func newBench(t testing.TB, more ...dict) *bench {
	t.Helper()
	upstream, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatalf("listen for the upstream: %v", err)
	}
	t.Cleanup(func() { upstream.Close() })
	go func() {
		for {
			conn, err := upstream.Accept()
			if err != nil {
				return
			}
			go echo(conn)
		}
	}()
	b := &bench{}
	for _, name := range clusters {
		if name != "missing" {
			b.fixed = append(b.fixed, decode(t, &clusterv3.Cluster{}, dict{
				"name": name, "type": "STATIC", "connect_timeout": "1s",
				"load_assignment": dict{"cluster_name": name, "endpoints": []any{dict{"lb_endpoints": []any{dict{
					"endpoint": dict{"address": socket("127.0.0.1", upstream.Addr().(*net.TCPAddr).Port)},
				}}}}},
			}))
		}
	}
	bootstrap := decode(t, &bootstrapv3.Bootstrap{}, dict{"layered_runtime": dict{"layers": []any{
		dict{"name": "static", "static_layer": runtime}, dict{"name": "admin", "admin_layer": dict{}},
	}}})
	for _, d := range more {
		proto.Merge(bootstrap, decode(t, &bootstrapv3.Bootstrap{}, d))
	}
	b.Envoy = envoytest.StartEnvoy(t, envoytest.Options{Bootstrap: bootstrap, Resources: b.fixed,
		// Deprecated forms are tested too, and each would be a line.
		Args: []string{"--component-log-level", "misc:error,config:error,upstream:error,main:error"}})
	return b
}

// A sent is what the upstream says about the request that reached it.
type sent struct {
	Path, Host string
	Header     textproto.MIMEHeader
}

// echo answers requests on a connection with what they are. It takes any target, also those that no server of the standard library
// would.
func echo(conn net.Conn) {
	defer conn.Close()
	in := textproto.NewReader(bufio.NewReader(conn))
	for {
		line, err := in.ReadLine()
		if err != nil {
			return
		}
		header, err := in.ReadMIMEHeader()
		if err != nil {
			return
		}
		method, rest, _ := strings.Cut(line, " ")
		target := strings.TrimSuffix(rest, " HTTP/1.1")
		body := text(sent{target, header.Get("host"), header})
		status := "200 OK"
		if method == "CONNECT" {
			status = "403 Forbidden" // so that the connection is not turned into a tunnel
		}
		if _, err := fmt.Fprintf(conn, "HTTP/1.1 %s\r\ny-up: up\r\ncontent-length: %d\r\n\r\n%s", status, len(body), body); err != nil {
			return
		}
	}
}

func socket(address string, port int) dict {
	return dict{"socket_address": dict{"address": address, "port_value": port}}
}

func decode[M proto.Message](t testing.TB, into M, d dict) M {
	t.Helper()
	if err := protojson.Unmarshal(text(d), into); err != nil {
		t.Fatalf("make a %T: %v\n%s", into, err, text(d))
	}
	return into
}

// add gives the Envoy clusters that stay. They are there when it returns: listeners that come at the same time may be looked at first, and refused.
func (b *bench) add(t testing.TB, clusters ...dict) {
	t.Helper()
	for _, d := range clusters {
		b.fixed = append(b.fixed, decode(t, &clusterv3.Cluster{}, d))
	}
	b.load(t, nil)
	b.WaitFor(t, "take over its clusters", func() bool {
		var list struct {
			Statuses []struct {
				Name string `json:"name"`
			} `json:"cluster_statuses"`
		}
		if err := json.Unmarshal(b.Get(t, "/clusters?format=json"), &list); err != nil {
			t.Fatalf("read /clusters: %v", err)
		}
		there := map[any]bool{}
		for _, s := range list.Statuses {
			there[s.Name] = true
		}
		return !slices.ContainsFunc(clusters, func(d dict) bool { return !there[d["name"]] })
	})
}

// load gives the Envoy listeners and says where each listens. Those it refused are left out, with its reason in the second result.
func (b *bench) load(t testing.TB, listeners map[string]dict) (ports map[string]string, refused string) {
	t.Helper()
	b.version++
	resources := append([]proto.Message(nil), b.fixed...)
	for _, l := range listeners {
		resources = append(resources, decode(t, &listenerv3.Listener{}, l))
	}
	still, last := 0, -1
	before := len(b.ControlPlane.Rejected())
	if err := b.ControlPlane.Set(fmt.Sprint(b.version+1), resources...); err != nil {
		t.Fatal(err)
	}
	ports = map[string]string{}
	b.WaitFor(t, "take over its listeners", func() bool {
		var list struct {
			Statuses []struct {
				Name    string `json:"name"`
				Address struct {
					Socket struct {
						Address string `json:"address"`
						Port    int    `json:"port_value"`
					} `json:"socket_address"`
				} `json:"local_address"`
			} `json:"listener_statuses"`
		}
		if err := json.Unmarshal(b.Get(t, "/listeners?format=json"), &list); err != nil {
			t.Fatalf("read /listeners: %v", err)
		}
		clear(ports)
		for _, s := range list.Statuses {
			if listeners[s.Name] != nil {
				ports[s.Name] = fmt.Sprintf("%s:%d", s.Address.Socket.Address, s.Address.Socket.Port)
			}
		}
		rejected := b.ControlPlane.Rejected()
		if len(rejected) > before {
			// Not every refused one need be named, so what counts is that no more appear.
			refused = rejected[len(rejected)-1].Details
			if still++; last != len(ports) {
				still, last = 0, len(ports)
			}
			return still == 20
		}
		return len(ports) == len(listeners)
	})
	return ports, refused
}

// A reply is what Envoy answered.
type reply struct {
	Code   int
	Header http.Header
	Body   string
	Close  bool // whether Envoy closes the connection
}

// send sends a request as HTTP/1.1, byte for byte.
func (r request) send(conn net.Conn, in *bufio.Reader) (reply, error) {
	var b strings.Builder
	target := r.Path
	if r.Method == "CONNECT" {
		target = r.Host
	}
	fmt.Fprintf(&b, "%s %s HTTP/1.1\r\nhost: %s\r\n", r.Method, target, r.Host)
	for _, h := range r.Headers {
		fmt.Fprintf(&b, "%s: %s\r\n", h[0], h[1])
	}
	if r.Method == "POST" || r.Method == "PUT" {
		b.WriteString("content-length: 0\r\n")
	}
	b.WriteString("\r\n")
	if err := conn.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		return reply{}, err
	}
	if _, err := io.WriteString(conn, b.String()); err != nil {
		return reply{}, err
	}
	resp, err := http.ReadResponse(in, &http.Request{Method: r.Method})
	if err != nil {
		return reply{}, err
	}
	defer resp.Body.Close()
	if r.Method == "CONNECT" && resp.StatusCode == http.StatusOK {
		return reply{Code: resp.StatusCode, Header: resp.Header, Close: true}, nil
	}
	body, err := io.ReadAll(resp.Body)
	return reply{resp.StatusCode, resp.Header, string(body), resp.Close}, err
}

// sendAlone sends a request on a connection of its own.
func (r request) sendAlone(address string) (reply, error) {
	conn, err := net.Dial("tcp", address)
	if err != nil {
		return reply{}, err
	}
	defer conn.Close()
	return r.send(conn, bufio.NewReader(conn))
}

// reasons logs why listeners were refused.
func (b *bench) reasons(t testing.TB) {
	t.Helper()
	var dump struct {
		Configs []struct {
			Name  string `json:"name"`
			Error struct {
				Details string `json:"details"`
			} `json:"error_state"`
		} `json:"configs"`
	}
	if err := json.Unmarshal(b.Get(t, "/config_dump?resource=dynamic_listeners"), &dump); err != nil {
		t.Fatalf("read /config_dump: %v", err)
	}
	for _, l := range dump.Configs {
		if details := l.Error.Details; details != "" {
			if i := strings.LastIndex(details, "\n}"); i >= 0 {
				details = details[i:]
			}
			t.Logf("refused %s: %.400s", l.Name, details)
		}
	}
}
