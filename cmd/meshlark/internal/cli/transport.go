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
	what := "GET " + req.URL.Redacted()
	t.active.Add(1)
	t.say(what)
	resp, err := t.base.RoundTrip(req)
	if err != nil {
		t.done(req)
		return nil, err
	}
	resp.Body = &countedBody{ReadCloser: resp.Body, t: t, req: req, what: what}
	return resp, nil
}

func (t *transport) say(what string) {
	if !t.silent.Load() {
		t.app.say(what)
	}
}

func (t *transport) done(req *http.Request) {
	if errors.Is(req.Context().Err(), context.DeadlineExceeded) {
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
	req    *http.Request
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
		b.t.done(b.req)
	}
	return b.ReadCloser.Close()
}
