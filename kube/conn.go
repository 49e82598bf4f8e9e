package kube

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/streaming/pkg/httpstream"
)

// DialPod connects to a port of a pod, through the pod's tunnel. The connection stands as soon as the tunnel does; that nothing listens at the port
// shows when it is first read or written. Errors, also those of reading and writing, are *[Error].
func (c *Cluster) DialPod(ctx context.Context, namespace, pod string, port int) (net.Conn, error) {
	key := podKey{namespace, pod}
	for {
		t, fresh, err := c.tunnels.acquire(ctx, key)
		if err != nil {
			return nil, err
		}
		conn, err := c.forward(ctx, t, port)
		if err == nil {
			return conn, nil
		}
		c.tunnels.spoil(t)
		c.tunnels.release(t)
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		var refused *Error
		if errors.As(err, &refused) {
			return nil, err
		}
		// A tunnel that was there before may have died unnoticed; nothing was sent yet, so that another may be tried.
		if fresh {
			return nil, &Error{Problem: Lost, Reason: fmt.Sprintf("the tunnel to pod %s takes no connection to port %d: %v", key, port, err), Next: "try again", Err: err}
		}
	}
}

// streamPair is what one forwarded connection is made of.
type streamPair struct{ data, errors httpstream.Stream }

// forward opens the two streams of a connection. The headers are those that kubelets pair them by (k8s.io/kubelet, cri-streaming).
func (c *Cluster) forward(ctx context.Context, t *tunnel, port int) (net.Conn, error) {
	headers := func(kind string, id int) http.Header {
		h := http.Header{}
		h.Set(corev1.StreamType, kind)
		h.Set(corev1.PortHeader, strconv.Itoa(port))
		h.Set(corev1.PortForwardRequestIDHeader, strconv.Itoa(id))
		return h
	}
	type opened struct {
		pair streamPair
		err  error
	}
	done := make(chan opened, 1)
	go func() {
		// A tunnel that is dead but does not show it answers after 30 s only.
		id := c.tunnels.nextID(t)
		failures, err := t.link.CreateStream(headers(corev1.StreamTypeError, id))
		if err != nil {
			done <- opened{err: err}
			return
		}
		failures.Close() // our side of it has nothing to say
		data, err := t.link.CreateStream(headers(corev1.StreamTypeData, id))
		if err != nil {
			// A port that refuses at once may end the connection before it stands; the reason is in the other stream.
			if text := readFailure(failures); text != "" {
				err = c.explainForward(t.key, port, text)
			}
			t.link.RemoveStreams(failures)
			done <- opened{err: err}
			return
		}
		done <- opened{pair: streamPair{data, failures}}
	}()
	select {
	case o := <-done:
		if o.err != nil {
			return nil, o.err
		}
		return newConn(c, t, port, o.pair), nil
	case <-t.link.CloseChan():
		return nil, errors.New("the tunnel was closed by the other side")
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// conn is one forwarded connection. Between its user and the streams is a pipe, which has the deadlines that streams do not have.
type conn struct {
	net.Conn // the user's end
	far      net.Conn
	cluster  *Cluster
	tunnel   *tunnel
	port     int
	pair     streamPair

	failures chan string   // what the other side says went wrong, closed when it has ended
	closed   chan struct{} // by the user
	once     sync.Once
	busy     atomic.Bool // it is for a request of which nobody said yet that its answer is complete
	written  atomic.Bool // the request was begun

	mu  sync.Mutex
	err error // why the other side ended the connection; nil when it just did
}

func newConn(c *Cluster, t *tunnel, port int, pair streamPair) *conn {
	near, far := net.Pipe()
	n := &conn{Conn: near, far: far, cluster: c, tunnel: t, port: port, pair: pair, failures: make(chan string, 1), closed: make(chan struct{})}
	n.busy.Store(true)
	c.tunnels.join(t, n)
	go n.listen()
	var copying sync.WaitGroup
	copying.Go(n.down)
	copying.Go(n.up)
	go func() {
		copying.Wait()
		pair.data.Reset() // where the other side ended it, ours is still open
		pair.errors.Reset()
		t.link.RemoveStreams(pair.data, pair.errors)
		c.tunnels.leave(t, n)
		c.tunnels.release(t)
	}()
	return n
}

// listen collects what the other side says went wrong.
func (n *conn) listen() {
	n.failures <- readAll(n.pair.errors)
	close(n.failures)
}

func readAll(s httpstream.Stream) string {
	const most = 4 << 10
	text, _ := io.ReadAll(io.LimitReader(s, most))
	return string(text)
}

// failureWait is how long after the end of a connection the reason of it may come.
const failureWait = time.Second

// completeWait is how long after a connection is closed it may be said that its last answer was complete: net/http closes one that it will not keep
// before the answer's end is read.
const completeWait = 50 * time.Millisecond

// requestSize is what the largest part of most requests takes.
const requestSize = 4 << 10

// lossWait is how long after the end of a connection that of its tunnel may come.
const lossWait = 200 * time.Millisecond

// readFailure reads the reason that the other side gives, if it gives one soon, and ends the stream.
func readFailure(s httpstream.Stream) string {
	text := make(chan string, 1)
	go func() { text <- readAll(s) }()
	defer s.Reset()
	select {
	case t := <-text:
		return t
	case <-time.After(failureWait):
		return ""
	}
}

// up copies what the user writes.
func (n *conn) up() {
	io.CopyBuffer(n.pair.data, n.far, make([]byte, requestSize))
	// Either the user closed the connection, which down has to learn, or the other side did, which down knows.
	select {
	case <-n.closed:
		n.pair.data.Reset()
		n.pair.errors.Reset()
	default:
	}
}

// down copies what the pod sends, and finds out why it stopped.
func (n *conn) down() {
	io.Copy(n.far, n.pair.data)
	select {
	case <-n.closed:
	default:
		err := n.verdict()
		n.mu.Lock()
		n.err = err
		n.mu.Unlock()
		if err != nil {
			n.cluster.tunnels.spoil(n.tunnel)
		}
	}
	n.far.Close()
}

// verdict tells why the other side ended the connection; nil is the ordinary end.
func (n *conn) verdict() error {
	var text string
	if !n.tunnel.lost() {
		select {
		case text = <-n.failures:
		case <-n.tunnel.link.CloseChan():
		case <-n.closed:
			return nil
		case <-time.After(failureWait):
		}
	}
	if text == "" {
		// A tunnel that is ended in good order ends its streams first.
		select {
		case <-n.tunnel.link.CloseChan():
		case <-n.closed:
		case <-time.After(lossWait):
		}
	}
	switch {
	case text != "":
		return n.cluster.explainForward(n.tunnel.key, n.port, text)
	case n.tunnel.lost():
		return n.cluster.explainLoss(n.tunnel.key, n.port)
	default:
		return nil
	}
}

func (n *conn) reason(err error) error {
	if err == nil {
		return nil
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrClosedPipe) {
		n.mu.Lock()
		defer n.mu.Unlock()
		if n.err != nil {
			return n.err
		}
	}
	return err
}

func (n *conn) Read(p []byte) (int, error) {
	read, err := n.Conn.Read(p)
	return read, n.reason(err)
}

func (n *conn) Write(p []byte) (int, error) {
	n.busy.Store(true)
	n.written.Store(true)
	written, err := n.Conn.Write(p)
	return written, n.reason(err)
}

// Close ends the connection. What is given up by that goes on on the other side: a hanging process keeps the kubelet in front of it busy, and a kubelet
// sends all that is left of an answer even after its stream was reset, which holds up whoever comes next in the same tunnel.
func (n *conn) Close() error {
	n.once.Do(func() {
		close(n.closed)
		if n.written.Load() && n.busy.Load() {
			time.AfterFunc(completeWait, func() {
				if n.busy.Load() {
					n.cluster.tunnels.spoil(n.tunnel)
				}
			})
		}
		n.Conn.Close() // which up sees; to end the streams may take a while on a tunnel that hangs
	})
	return nil
}

// complete says that the answer to all that was written has come.
func (n *conn) complete() {
	n.busy.Store(false)
	if n.tunnel.spoilt.Load() {
		n.Close()
	}
}

func (n *conn) LocalAddr() net.Addr  { return podAddr("here") }
func (n *conn) RemoteAddr() net.Addr { return podAddr(fmt.Sprintf("%s:%d", n.tunnel.key, n.port)) }

// podAddr is the address of a port of a pod.
type podAddr string

func (podAddr) Network() string  { return "pod" }
func (a podAddr) String() string { return string(a) }

// explainForward puts into words what a kubelet says: in its own, and those of the container runtime below it.
func (c *Cluster) explainForward(key podKey, port int, text string) error {
	text = strings.TrimSpace(strings.ToValidUTF8(text, "?"))
	e := &Error{Problem: Other, Reason: fmt.Sprintf("port %d of pod %s: %s", port, key, text), Err: errors.New(text)}
	low := strings.ToLower(text)
	switch {
	case strings.Contains(low, "connection refused"):
		e.Problem = NotListening
		e.Reason = fmt.Sprintf("nothing listens on port %d in pod %s", port, key)
		e.Next = "is it the right port, and its container running?"
	case strings.Contains(low, "not found"), strings.Contains(low, "no such container"), strings.Contains(low, "no such file"), strings.Contains(low, "not running"):
		c.state(e, key)
	}
	return e
}

// explainLoss says that a tunnel broke, and why if the pod tells.
func (c *Cluster) explainLoss(key podKey, port int) error {
	e := &Error{Problem: Lost, Reason: fmt.Sprintf("the tunnel to port %d of pod %s was cut", port, key), Next: "try again", Err: io.ErrUnexpectedEOF}
	c.state(e, key)
	return e
}

// explainEnd says that whoever listens at a port ended a connection before its answer was complete, and why if the pod tells.
func (c *Cluster) explainEnd(key podKey, port int, err error) error {
	e := &Error{Problem: Lost, Reason: fmt.Sprintf("port %d of pod %s ended the connection", port, key), Next: "try again", Err: err}
	c.state(e, key)
	return e
}

// state looks up what became of a pod that does not answer.
func (c *Cluster) state(e *Error, key podKey) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	p, err := c.Pod(ctx, key.namespace, key.name)
	switch {
	case errors.Is(err, NotFound):
		e.Problem, e.Reason, e.Next = NotFound, fmt.Sprintf("pod %s is gone", key), "refresh to see what took its place"
	case err != nil:
	case p.Deleting:
		e.Reason, e.Next = e.Reason+"; the pod is being deleted", "refresh to see what takes its place"
	case p.Phase != string(corev1.PodRunning):
		e.Reason, e.Next = fmt.Sprintf("%s; the pod is %s, not running", e.Reason, p.Phase), ""
	}
}

// statusOf reads a refusal of the API server.
func statusOf(r *http.Response) error {
	b, _ := io.ReadAll(io.LimitReader(r.Body, 64<<10))
	return readStatus(r.StatusCode, b)
}
