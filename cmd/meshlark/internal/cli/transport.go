package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync/atomic"
	"time"
)

// transport dials sources, says on the status line what is being waited for,
// and knows whether anything is: when the time of a run is over, that tells a
// slow source from a slow script.
type transport struct {
	base   http.RoundTripper
	app    *app         // whose status line it is
	active atomic.Int64 // requests under way, until their last byte
	late   atomic.Bool  // a request was under way when its time was over
	silent atomic.Bool  // the status line says how far a larger question is
}

// waiting tells whether a source was waited for when the time was over.
func (t *transport) waiting() bool { return t.late.Load() || t.active.Load() > 0 }

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
		app: a,
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
	t.active.Add(1)
	t.say(what)
	return func() { t.done(ctx) }
}

func (t *transport) say(what string) {
	if !t.silent.Load() {
		t.app.say(what)
	}
}

func (t *transport) done(ctx context.Context) {
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		t.late.Store(true)
	}
	if t.active.Add(-1) == 0 && !t.silent.Load() {
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
	b.t.say(fmt.Sprintf("%s: %.1f MB", b.what, float64(b.read)/1e6))
	return n, err
}

func (b *countedBody) Close() error {
	if !b.closed.Swap(true) {
		b.end()
	}
	return b.ReadCloser.Close()
}
