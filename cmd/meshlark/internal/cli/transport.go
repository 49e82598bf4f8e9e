package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/meshlark/meshlark/mesh"
)

// transport dials sources, says on the status line what is being waited for,
// and knows whether anything is: when the time of a run is over, that tells a
// slow source from a slow script.
type transport struct {
	base   http.RoundTripper
	app    *app        // whose status line it is
	silent atomic.Bool // the status line says how far a larger question is

	mu     sync.Mutex
	active map[*request]bool // under way, until their last byte
	late   []string          // what was under way when its time was over
}

// request is one that is under way.
type request struct{ what string }

// waiting tells whether a source was waited for when the time was over.
func (t *transport) waiting() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.late) > 0 || len(t.active) > 0
}

// outstanding names what was waited for when the time was over.
func (t *transport) outstanding() string {
	const shown = 5
	t.mu.Lock()
	names := slices.Clone(t.late)
	for r := range t.active {
		names = append(names, r.what)
	}
	t.mu.Unlock()
	slices.Sort(names)
	names = slices.Compact(names)
	if more := len(names) - shown; more > 0 {
		names = append(names[:shown], fmt.Sprintf("%d more", more))
	}
	return strings.Join(names, ", ")
}

// newTransport makes a transport that dials directly: the proxies of the
// environment lead away from the machine whose ports are debugged.
func newTransport(a *app) *transport {
	return &transport{
		base: &http.Transport{
			DialContext:         (&net.Dialer{Timeout: 5 * time.Second}).DialContext,
			TLSHandshakeTimeout: 5 * time.Second,
			MaxIdleConnsPerHost: 4,
			IdleConnTimeout:     30 * time.Second,
		},
		app:    a,
		active: map[*request]bool{},
	}
}

// RoundTrip implements http.RoundTripper.
func (t *transport) RoundTrip(req *http.Request) (*http.Response, error) {
	return t.roundTrip(t.base, req)
}

// around does for another round tripper what t does for its own.
func (t *transport) around(base http.RoundTripper) http.RoundTripper {
	return roundTripper(func(req *http.Request) (*http.Response, error) { return t.roundTrip(base, req) })
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }

func (t *transport) roundTrip(base http.RoundTripper, req *http.Request) (*http.Response, error) {
	what := "GET " + req.URL.Redacted()
	if task, ok := mesh.TaskOf(req.Context()); ok {
		what = task.String()
	}
	end := t.begin(req.Context(), what)
	resp, err := base.RoundTrip(req)
	if err != nil {
		end()
		return nil, err
	}
	resp.Body = &countedBody{ReadCloser: resp.Body, t: t, end: end, what: what}
	return resp, nil
}

// begin says that a source is waited for from now on, until end is called.
func (t *transport) begin(ctx context.Context, what string) (end func()) {
	r := &request{what}
	t.mu.Lock()
	t.active[r] = true
	t.mu.Unlock()
	t.say(what)
	return func() { t.done(ctx, r) }
}

func (t *transport) say(what string) {
	if !t.silent.Load() {
		t.app.say(what)
	}
}

func (t *transport) done(ctx context.Context, r *request) {
	t.mu.Lock()
	delete(t.active, r)
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		t.late = append(t.late, r.what)
	}
	idle := len(t.active) == 0
	t.mu.Unlock()
	if idle && !t.silent.Load() {
		t.app.progress.Clear()
	}
}

// countedBody is a response's body that says how far it is.
type countedBody struct {
	io.ReadCloser
	t      *transport
	end    func()
	what   string
	read   int64
	closed atomic.Bool
}

func (b *countedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.read += int64(n)
	if n > 0 {
		b.t.say(b.what + ": " + mesh.Size(b.read))
	}
	return n, err
}

func (b *countedBody) Close() error {
	if !b.closed.Swap(true) {
		b.end()
	}
	return b.ReadCloser.Close()
}
