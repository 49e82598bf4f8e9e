package kube

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/portforward"
	"k8s.io/client-go/transport/websocket"
	"k8s.io/klog/v2"
	"k8s.io/streaming/pkg/httpstream"
	"k8s.io/streaming/pkg/httpstream/spdy"
)

const (
	// tunnelTimeout bounds the opening of a tunnel: API server, kubelet and container runtime each have a part in it.
	tunnelTimeout = 15 * time.Second
	// tunnelLinger is how long a tunnel stays open that nothing uses.
	tunnelLinger = 2 * time.Second
	// tunnelsAtOnce bounds the tunnels that are being opened.
	tunnelsAtOnce = 16
	// pingPeriod keeps load balancers on the way from closing tunnels that are quiet, and is how soon one is known to be cut: an API server closes a
	// websocket whose kubelet has gone only when something is sent over it.
	pingPeriod = 3 * time.Second
)

// podKey names a pod.
type podKey struct{ namespace, name string }

func (k podKey) String() string { return k.name + "." + k.namespace }

// link is an open connection to a pod's ports, and the way to end it whatever state it is in.
type link struct {
	httpstream.Connection
	kill func()
}

// tunnels has at most one usable tunnel to each pod.
type tunnels struct {
	dial  func(context.Context, podKey) (*link, error)
	slots chan struct{}

	mu     sync.Mutex
	usable map[podKey]*tunnel
	all    map[*tunnel]bool
}

// tunnel is a link that is being opened or is in use. Its fields are guarded by tunnels.mu; link and err never change once ready is closed.
type tunnel struct {
	key    podKey
	ready  chan struct{}
	cancel context.CancelFunc // of the opening
	link   *link
	err    error
	users  int
	next   int // id of the next forwarded connection
	linger *time.Timer
	conns  map[*conn]bool
	spoilt atomic.Bool // something was left half done in it
}

func newTunnels(dial func(context.Context, podKey) (*link, error)) *tunnels {
	return &tunnels{dial: dial, slots: make(chan struct{}, tunnelsAtOnce), usable: map[podKey]*tunnel{}, all: map[*tunnel]bool{}}
}

// acquire gives the tunnel to a pod, opening it if there is none. Whoever got it releases it. fresh tells that it was opened for this call.
func (ts *tunnels) acquire(ctx context.Context, key podKey) (t *tunnel, fresh bool, err error) {
	ts.mu.Lock()
	t = ts.usable[key]
	if t != nil && t.broken() {
		delete(ts.usable, key)
		t = nil
	}
	if t == nil {
		fresh = true
		t = &tunnel{key: key, ready: make(chan struct{}), conns: map[*conn]bool{}}
		// The opening belongs to all who wait for it: it ends when the last of them has gone.
		opening, cancel := context.WithTimeout(context.Background(), tunnelTimeout)
		t.cancel = cancel
		ts.usable[key] = t
		ts.all[t] = true
		go ts.open(opening, t)
	}
	if t.linger != nil {
		t.linger.Stop()
		t.linger = nil
	}
	t.users++
	ts.mu.Unlock()

	select {
	case <-t.ready:
	case <-ctx.Done():
		ts.release(t)
		return nil, false, context.Cause(ctx)
	}
	if t.err != nil {
		ts.release(t)
		return nil, false, t.err
	}
	return t, fresh, nil
}

func (ts *tunnels) open(ctx context.Context, t *tunnel) {
	defer t.cancel()
	var l *link
	var err error
	select {
	case ts.slots <- struct{}{}:
		l, err = ts.dial(ctx, t.key)
		<-ts.slots
	case <-ctx.Done():
		err = ctx.Err()
	}
	ts.mu.Lock()
	defer ts.mu.Unlock()
	t.link, t.err = l, err
	close(t.ready)
	if err != nil && ts.usable[t.key] == t {
		delete(ts.usable, t.key)
	}
	if t.users == 0 {
		ts.end(t)
	}
}

// broken tells whether the tunnel is known to carry nothing any more. The caller holds ts.mu.
func (t *tunnel) broken() bool {
	select {
	case <-t.ready:
	default:
		return false
	}
	return t.err != nil || t.lost()
}

// lost tells whether the other side closed the tunnel.
func (t *tunnel) lost() bool {
	select {
	case <-t.link.CloseChan():
		return true
	default:
		return false
	}
}

// spoil ends the use of a tunnel that something was left half done in: nobody new gets it, and connections that are kept for later are closed. Those in
// use come to their end.
func (ts *tunnels) spoil(t *tunnel) {
	ts.mu.Lock()
	if ts.usable[t.key] == t {
		delete(ts.usable, t.key)
	}
	t.spoilt.Store(true)
	var idle []*conn
	for c := range t.conns {
		if !c.busy.Load() {
			idle = append(idle, c)
		}
	}
	if t.users == 0 {
		ts.end(t)
	}
	ts.mu.Unlock()
	for _, c := range idle {
		c.Close()
	}
}

// join and leave keep the list of a tunnel's connections.
func (ts *tunnels) join(t *tunnel, c *conn) {
	ts.mu.Lock()
	defer ts.mu.Unlock()
	t.conns[c] = true
}

func (ts *tunnels) leave(t *tunnel, c *conn) {
	ts.mu.Lock()
	defer ts.mu.Unlock()
	delete(t.conns, c)
}

// release gives a tunnel back.
func (ts *tunnels) release(t *tunnel) {
	ts.mu.Lock()
	defer ts.mu.Unlock()
	t.users--
	if t.users > 0 {
		return
	}
	select {
	case <-t.ready:
	default:
		t.cancel() // open ends it
		if ts.usable[t.key] == t {
			delete(ts.usable, t.key)
		}
		return
	}
	if ts.usable[t.key] != t {
		ts.end(t)
		return
	}
	t.linger = time.AfterFunc(tunnelLinger, func() {
		ts.mu.Lock()
		defer ts.mu.Unlock()
		if t.users == 0 {
			ts.end(t)
		}
	})
}

// end closes a tunnel. The caller holds ts.mu.
func (ts *tunnels) end(t *tunnel) {
	if ts.usable[t.key] == t {
		delete(ts.usable, t.key)
	}
	if !ts.all[t] {
		return
	}
	delete(ts.all, t)
	if t.link != nil {
		go t.link.kill()
	}
}

// close ends all tunnels, in use or not.
func (ts *tunnels) close() {
	ts.mu.Lock()
	defer ts.mu.Unlock()
	for t := range ts.all {
		t.cancel()
		select {
		case <-t.ready:
			ts.end(t)
		default:
		}
	}
}

// nextID numbers the connections of a tunnel: the two streams of each carry it.
func (ts *tunnels) nextID(t *tunnel) int {
	ts.mu.Lock()
	defer ts.mu.Unlock()
	t.next++
	return t.next - 1
}

// dialPod opens a tunnel to a pod: over a websocket, which proxies on the way understand, or by SPDY where the API server is too old for that
// (before 1.31) or lets this user only create, not get, pods/portforward.
func (c *Cluster) dialPod(ctx context.Context, key podKey) (*link, error) {
	var l *link
	var err error
	if !c.spdyFirst.Load() {
		l, err = c.dialWebsocket(ctx, key)
	}
	if l == nil && (err == nil || fallsBack(err)) {
		var second error
		if l, second = c.dialSPDY(ctx, key); second == nil {
			c.spdyFirst.Store(true)
			return l, nil
		}
		// A refusal of what was asked second says more than one of the first, which may only mean "no websocket here".
		var status apierrors.APIStatus
		if err == nil || errors.As(second, &status) {
			err = second
		}
	}
	if err != nil {
		return nil, c.explainTunnel(key, err)
	}
	return l, nil
}

// fallsBack tells whether SPDY may do where a websocket did not.
func fallsBack(err error) bool {
	if apierrors.IsNotFound(err) || apierrors.IsUnauthorized(err) || strings.Contains(err.Error(), nodeDown) {
		return false
	}
	return httpstream.IsUpgradeFailure(err) || httpstream.IsHTTPSProxyError(err)
}

// nodeDown is how an API server says that it does not reach the kubelet.
const nodeDown = "error dialing backend"

const forwardProtocol = portforward.PortForwardProtocolV1Name

func (c *Cluster) dialWebsocket(ctx context.Context, key podKey) (*link, error) {
	transport, holder, err := websocket.RoundTripperFor(c.config.rest)
	if err != nil {
		return nil, err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, c.forwardURL(key), nil)
	if err != nil {
		return nil, err
	}
	ws, err := websocket.Negotiate(transport, holder, request, "SPDY/3.1+"+forwardProtocol)
	if err != nil {
		return nil, err
	}
	wire := portforward.NewTunnelingConnectionWithLogger(klog.Logger{}, ws) // which would log every piece
	streams := newSPDYLink(wire, pingPeriod)
	return &link{streams, func() {
		// The wire first: on one that hangs, an orderly end of the streams would hang too.
		wire.Close()
		streams.Close()
	}}, nil
}

func (c *Cluster) dialSPDY(ctx context.Context, key podKey) (*link, error) {
	tls, err := rest.TLSConfigFor(c.config.rest)
	if err != nil {
		return nil, err
	}
	upgrader, err := spdy.NewRoundTripperWithConfig(spdy.RoundTripperConfig{TLS: tls, Proxier: c.config.rest.Proxy, PingPeriod: pingPeriod})
	if err != nil {
		return nil, err
	}
	transport, err := rest.HTTPWrappersForConfig(c.config.rest, upgrader)
	if err != nil {
		return nil, err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, c.forwardURL(key), nil)
	if err != nil {
		return nil, err
	}
	request.Header.Set(httpstream.HeaderProtocolVersion, forwardProtocol)

	type opened struct {
		streams httpstream.Connection
		err     error
	}
	done := make(chan opened, 1)
	go func() {
		// The upgrade does not heed the context while it waits for an answer.
		response, err := transport.RoundTrip(request)
		if err != nil {
			done <- opened{nil, err}
			return
		}
		defer response.Body.Close()
		if response.StatusCode == http.StatusForbidden || response.StatusCode == http.StatusUnauthorized || response.StatusCode == http.StatusNotFound {
			done <- opened{nil, statusOf(response)}
			return
		}
		streams, err := upgrader.NewConnection(response)
		done <- opened{streams, err}
	}()
	select {
	case o := <-done:
		if o.err != nil {
			return nil, o.err
		}
		return &link{o.streams, func() { o.streams.Close() }}, nil
	case <-ctx.Done():
		go func() {
			if o := <-done; o.streams != nil {
				o.streams.Close()
			}
		}()
		return nil, ctx.Err()
	}
}

func (c *Cluster) forwardURL(key podKey) string {
	return c.core.Post().Namespace(key.namespace).Resource("pods").Name(key.name).SubResource("portforward").URL().String()
}

// explainTunnel says why a tunnel could not be opened.
func (c *Cluster) explainTunnel(key podKey, err error) error {
	doing := fmt.Sprintf("reach pod %s of namespace %s", key.name, key.namespace)
	explained := c.explain(doing, err)
	var e *Error
	if !errors.As(explained, &e) {
		return explained
	}
	text := e.Reason
	switch {
	case e.Problem == NotFound:
		e.Reason = "there is no such pod any more"
		e.Next = "refresh to see what took its place"
	case e.Problem == Forbidden:
		e.Next = "that takes the verb create on pods/portforward in namespace " + key.namespace + "; ask for it, or choose another --user, --as or --context"
	case errors.Is(err, context.DeadlineExceeded):
		e.Reason = fmt.Sprintf("no tunnel within %s", tunnelTimeout)
		e.Problem = Late
		e.Next = "is the pod's node reachable from the API server?"
	case strings.Contains(text, "does not have a host assigned"), strings.Contains(text, "pod is not running"), strings.Contains(text, "not running, current phase"):
		e.Reason = "it does not run: " + text
	case strings.Contains(text, nodeDown), strings.Contains(text, "proxy error"):
		e.Reason = "the API server cannot reach the pod's node: " + text
		e.Next = "is the node up, and are the API server's connections to kubelets allowed?"
	}
	return e
}
