package kube

import (
	"net/http"
	"net/http/httptrace"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// loginPause is how long a login that failed is not tried again: longer than it takes to make the requests of one question, shorter than it takes a person to
// log in by hand.
const loginPause = 3 * time.Second

// login keeps a program of the kubeconfig that gives credentials from being run once for each of the requests that are made at the same time: client-go runs
// one that failed again for every request that waited for it, and each run may open a browser or ask for a password.
type login struct {
	base http.RoundTripper
	now  func() time.Time
	done atomic.Bool // it has succeeded

	turn   chan struct{} // held by the request that logs in
	failed error         // by which the last login failed, at a time; both for who has the turn
	at     time.Time
}

func newLogin(base http.RoundTripper) *login {
	return &login{base: base, now: time.Now, turn: make(chan struct{}, 1)}
}

// RoundTrip implements http.RoundTripper.
func (l *login) RoundTrip(req *http.Request) (*http.Response, error) {
	if l.done.Load() {
		resp, err := l.base.RoundTrip(req)
		if isLoginFailure(err) {
			l.done.Store(false)
		}
		return resp, err
	}
	select {
	case l.turn <- struct{}{}:
	case <-req.Context().Done():
		return nil, req.Context().Err()
	}
	leave := sync.OnceFunc(func() { <-l.turn })
	defer leave()
	if l.failed != nil && l.now().Sub(l.at) < loginPause {
		return nil, l.failed
	}
	// Who looks for a connection has its credentials.
	trace := &httptrace.ClientTrace{GetConn: func(string) {
		l.done.Store(true)
		leave()
	}}
	resp, err := l.base.RoundTrip(req.WithContext(httptrace.WithClientTrace(req.Context(), trace)))
	if isLoginFailure(err) {
		l.failed, l.at = err, l.now()
	}
	return resp, err
}

// CloseIdleConnections lets an http.Client reach the connections.
func (l *login) CloseIdleConnections() {
	if c, ok := l.base.(interface{ CloseIdleConnections() }); ok {
		c.CloseIdleConnections()
	}
}

// isLoginFailure tells that the program for the credentials failed. client-go's credential plugins have no error type of their own.
func isLoginFailure(err error) bool {
	return err != nil && strings.Contains(err.Error(), "getting credentials")
}
