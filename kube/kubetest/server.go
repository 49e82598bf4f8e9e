// Package kubetest is a stand-in for a Kubernetes API server and the kubelets behind it, for tests: pods, documents, and tunnels to ports that are
// served by the test. Tunnels speak the real protocols, over websockets and SPDY.
package kubetest

import (
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/gorilla/websocket"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/tools/portforward"
	"k8s.io/streaming/pkg/httpstream"
	"k8s.io/streaming/pkg/httpstream/spdy"
)

// Server is the API server.
type Server struct {
	URL string

	t    testing.TB
	http *httptest.Server

	mu        sync.Mutex
	pods      []corev1.Pod
	documents map[string]http.Handler
	ports     map[string]string // "namespace/pod:port" to the address of what listens
	rejected  map[string]string // "namespace/pod:port" to why no connection to it ever stands
	refuse    func(*http.Request) *metav1.Status
	noSocket  bool
	requests  []string
	tunnels   map[io.Closer]bool
	opened    int
}

// New starts an API server with no pods. It ends with the test.
func New(t testing.TB) *Server {
	s := &Server{t: t, documents: map[string]http.Handler{}, ports: map[string]string{}, rejected: map[string]string{}, tunnels: map[io.Closer]bool{}}
	s.http = httptest.NewUnstartedServer(s)
	s.http.Config.ErrorLog = log.New(io.Discard, "", 0) // tests hang up on it, and it on them
	s.http.StartTLS()                                   // without TLS, client-go sends no credentials
	s.URL = s.http.URL
	t.Cleanup(func() {
		s.Cut()
		s.http.CloseClientConnections()
		s.http.Close()
	})
	return s
}

// Kubeconfig writes a kubeconfig with the context "test" for this server and gives its path.
func (s *Server) Kubeconfig() string {
	path := filepath.Join(s.t.TempDir(), "kubeconfig")
	authority := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.http.Certificate().Raw})
	text := fmt.Sprintf(`apiVersion: v1
kind: Config
clusters: [{name: test, cluster: {server: %q, certificate-authority-data: %s}}]
users: [{name: tester, user: {token: secret}}]
contexts: [{name: test, context: {cluster: test, user: tester, namespace: default}}]
current-context: test
`, s.URL, base64.StdEncoding.EncodeToString(authority))
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		s.t.Fatal(err)
	}
	return path
}

// Close stops the server before the test ends.
func (s *Server) Close() {
	s.Cut()
	s.http.CloseClientConnections()
	s.http.Close()
}

// Add adds pods.
func (s *Server) Add(pods ...corev1.Pod) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pods = append(s.pods, pods...)
}

// Remove removes a pod.
func (s *Server) Remove(namespace, name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pods = slices.DeleteFunc(s.pods, func(p corev1.Pod) bool { return p.Namespace == namespace && p.Name == name })
}

// Serve answers a path.
func (s *Server) Serve(path string, h http.Handler) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.documents[path] = h
}

// ServeJSON answers a path with a document.
func (s *Server) ServeJSON(path, body string) {
	s.Serve(path, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		io.WriteString(w, body)
	}))
}

// Refuse lets a function refuse requests: where it gives a status, that is the answer.
func (s *Server) Refuse(f func(*http.Request) *metav1.Status) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.refuse = f
}

// NoWebsockets makes the server one that knows SPDY only, as those before Kubernetes 1.31.
func (s *Server) NoWebsockets() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.noSocket = true
}

// Listen makes a handler listen on a port of a pod.
func (s *Server) Listen(namespace, pod string, port int, h http.Handler) {
	server := httptest.NewServer(h)
	s.t.Cleanup(func() {
		server.CloseClientConnections()
		server.Close()
	})
	s.ListenAt(namespace, pod, port, server.Listener.Addr().String())
}

// ListenAt makes a port of a pod lead to an address of this machine.
func (s *Server) ListenAt(namespace, pod string, port int, address string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ports[fmt.Sprintf("%s/%s:%d", namespace, pod, port)] = address
}

// Reject makes connections to a port of a pod fail before they stand, for the given reason.
func (s *Server) Reject(namespace, pod string, port int, reason string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rejected[fmt.Sprintf("%s/%s:%d", namespace, pod, port)] = reason
}

// Requests gives "METHOD path?query" of every request so far.
func (s *Server) Requests() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.requests)
}

// Tunnels tells how many tunnels are open, and how many were opened so far.
func (s *Server) Tunnels() (open, opened int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.tunnels), s.opened
}

// Cut ends every tunnel.
func (s *Server) Cut() {
	s.mu.Lock()
	tunnels := make([]io.Closer, 0, len(s.tunnels))
	for t := range s.tunnels {
		tunnels = append(tunnels, t)
	}
	s.mu.Unlock()
	for _, t := range tunnels {
		t.Close()
	}
}

// Forbidden is the status of a request that the user may not make.
func Forbidden(message string) *metav1.Status {
	return &metav1.Status{Status: "Failure", Code: http.StatusForbidden, Reason: metav1.StatusReasonForbidden, Message: message}
}

func reply(w http.ResponseWriter, status *metav1.Status) {
	status.TypeMeta = metav1.TypeMeta{Kind: "Status", APIVersion: "v1"}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(int(status.Code))
	json.NewEncoder(w).Encode(status)
}

func notFound(what string) *metav1.Status {
	return &metav1.Status{Status: "Failure", Code: http.StatusNotFound, Reason: metav1.StatusReasonNotFound, Message: what + " not found"}
}

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	s.requests = append(s.requests, r.Method+" "+r.URL.RequestURI())
	refuse, document := s.refuse, s.documents[r.URL.Path]
	s.mu.Unlock()
	if refuse != nil {
		if status := refuse(r); status != nil {
			reply(w, status)
			return
		}
	}
	if document != nil {
		document.ServeHTTP(w, r)
		return
	}
	parts := strings.Split(strings.Trim(r.URL.Path, "/"), "/")
	switch {
	case r.URL.Path == "/api/v1/pods":
		s.list(w, r, "")
	case len(parts) == 5 && parts[4] == "pods":
		s.list(w, r, parts[3])
	case len(parts) == 6 && parts[4] == "pods":
		if p := s.pod(parts[3], parts[5]); p != nil {
			w.Header().Set("Content-Type", "application/json")
			p.TypeMeta = metav1.TypeMeta{Kind: "Pod", APIVersion: "v1"}
			json.NewEncoder(w).Encode(p)
			return
		}
		reply(w, notFound("pods "+parts[5]))
	case len(parts) == 7 && parts[6] == "portforward":
		s.forward(w, r, parts[3], parts[5])
	default:
		reply(w, notFound(r.URL.Path))
	}
}

func (s *Server) pod(namespace, name string) *corev1.Pod {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range s.pods {
		if p.Namespace == namespace && p.Name == name {
			return &p
		}
	}
	return nil
}

// list answers page by page; the token is where the next page begins.
func (s *Server) list(w http.ResponseWriter, r *http.Request, namespace string) {
	q := r.URL.Query()
	selector, err := labels.Parse(q.Get("labelSelector"))
	if err != nil {
		s.t.Errorf("label selector: %v", err)
	}
	s.mu.Lock()
	var chosen []corev1.Pod
	for _, p := range s.pods {
		ended := p.Status.Phase == corev1.PodSucceeded || p.Status.Phase == corev1.PodFailed
		if namespace != "" && p.Namespace != namespace || !selector.Matches(labels.Set(p.Labels)) || ended && q.Get("fieldSelector") != "" {
			continue
		}
		chosen = append(chosen, p)
	}
	s.mu.Unlock()
	from, _ := strconv.Atoi(q.Get("continue"))
	list := corev1.PodList{TypeMeta: metav1.TypeMeta{Kind: "PodList", APIVersion: "v1"}}
	chosen = chosen[min(from, len(chosen)):]
	if limit, _ := strconv.Atoi(q.Get("limit")); limit > 0 && limit < len(chosen) {
		chosen = chosen[:limit]
		list.Continue = strconv.Itoa(from + limit)
	}
	list.Items = chosen
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(list)
}

// forward serves a tunnel in the protocol that the client asks for.
func (s *Server) forward(w http.ResponseWriter, r *http.Request, namespace, pod string) {
	if s.pod(namespace, pod) == nil {
		reply(w, notFound(fmt.Sprintf("pods %q", pod)))
		return
	}
	s.mu.Lock()
	noSocket := s.noSocket
	s.mu.Unlock()
	pairs := &pairs{server: s, target: namespace + "/" + pod, half: map[string]httpstream.Stream{}}
	var tunnel httpstream.Connection
	switch {
	case websocket.IsWebSocketUpgrade(r) && noSocket:
		http.Error(w, "unable to upgrade: this server knows no websockets", http.StatusBadRequest)
		return
	case websocket.IsWebSocketUpgrade(r):
		upgrader := websocket.Upgrader{Subprotocols: []string{"SPDY/3.1+" + portforward.PortForwardProtocolV1Name}}
		socket, err := upgrader.Upgrade(w, r, nil)
		if err != nil {
			s.t.Errorf("upgrade to a websocket: %v", err)
			return
		}
		tunnel, err = spdy.NewServerConnection(portforward.NewTunnelingConnection("server", socket), pairs.add)
		if err != nil {
			s.t.Errorf("SPDY on a websocket: %v", err)
			return
		}
	default:
		if _, err := httpstream.Handshake(r, w, []string{portforward.PortForwardProtocolV1Name}); err != nil {
			s.t.Errorf("handshake: %v", err)
			return
		}
		tunnel = spdy.NewResponseUpgrader().UpgradeResponse(w, r, pairs.add)
		if tunnel == nil {
			return // it has answered
		}
	}
	s.mu.Lock()
	s.tunnels[tunnel] = true
	s.opened++
	s.mu.Unlock()
	<-tunnel.CloseChan()
	s.mu.Lock()
	delete(s.tunnels, tunnel)
	s.mu.Unlock()
}

// pairs joins the streams of a tunnel to connections.
type pairs struct {
	server *Server
	target string
	mu     sync.Mutex
	half   map[string]httpstream.Stream
}

func (p *pairs) add(stream httpstream.Stream, replied <-chan struct{}) error {
	h := stream.Headers()
	id := h.Get(corev1.PortForwardRequestIDHeader)
	p.mu.Lock()
	defer p.mu.Unlock()
	other, ok := p.half[id]
	if !ok {
		p.half[id] = stream
		return nil
	}
	delete(p.half, id)
	data, failures := stream, other
	if h.Get(corev1.StreamType) == corev1.StreamTypeError {
		data, failures = other, stream
	}
	p.server.mu.Lock()
	reason, rejected := p.server.rejected[p.target+":"+h.Get(corev1.PortHeader)]
	p.server.mu.Unlock()
	if rejected {
		io.WriteString(failures, reason)
		failures.Close()
		return errors.New(reason) // which resets the stream
	}
	go func() {
		<-replied
		p.connect(data, failures)
	}()
	return nil
}

// connect does what a kubelet does: it copies, or says in the other stream why it cannot.
func (p *pairs) connect(data, failures httpstream.Stream) {
	defer data.Reset()
	defer failures.Reset()
	port := data.Headers().Get(corev1.PortHeader)
	p.server.mu.Lock()
	address, ok := p.server.ports[p.target+":"+port]
	p.server.mu.Unlock()
	if !ok {
		fmt.Fprintf(failures, "an error occurred forwarding %s: failed to connect to localhost:%s inside namespace, IPv4: dial tcp4 127.0.0.1:%s: connect: connection refused", port, port, port)
		failures.Close()
		data.Close()
		return
	}
	conn, err := net.Dial("tcp", address)
	if err != nil {
		fmt.Fprintf(failures, "error forwarding port %s: %v", port, err)
		failures.Close()
		data.Close()
		return
	}
	defer conn.Close()
	go func() {
		io.Copy(conn, data)
		conn.Close()
	}()
	io.Copy(data, conn)
	failures.Close()
	data.Close()
}
