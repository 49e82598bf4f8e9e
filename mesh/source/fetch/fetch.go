// Package fetch gets documents from the HTTP interfaces of proxies and control planes: GET and nothing else, from an
// allow-list of paths, with bounds on time and size, and with errors that say which of the many ways to fail it was.
package fetch

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/meshlark/meshlark/mesh"
)

// Options bound what a client does.
type Options struct {
	Transport http.RoundTripper // nil dials the network directly, without proxies of the environment
	Timeout   time.Duration     // of one request until its last byte; 0 is 60 s
	MaxBytes  int64             // of one answer; 0 is 2 GiB
	Parallel  int               // requests under way at a time; 0 is 1
	// Allow says whether a path (no leading slash) with its query may be asked; it names the reason when not.
	Allow func(path string, query url.Values) error
}

// A Client gets documents below one base URL.
type Client struct {
	spec  string
	base  string
	http  *http.Client
	opts  Options
	slots chan struct{}
}

// New makes a client for a base URL such as http://127.0.0.1:15000. The spec names it in errors. Nothing is dialled yet.
func New(spec, base string, o Options) *Client {
	if o.Timeout == 0 {
		o.Timeout = 60 * time.Second
	}
	if o.MaxBytes == 0 {
		o.MaxBytes = 2 << 30
	}
	if o.Parallel == 0 {
		o.Parallel = 1
	}
	if o.Transport == nil {
		o.Transport = &http.Transport{
			DialContext:         (&net.Dialer{Timeout: 5 * time.Second}).DialContext,
			TLSHandshakeTimeout: 5 * time.Second,
			MaxIdleConnsPerHost: o.Parallel,
			IdleConnTimeout:     30 * time.Second,
		}
	}
	return &Client{
		spec: spec,
		base: strings.TrimSuffix(base, "/") + "/",
		opts: o,
		http: &http.Client{
			Transport: o.Transport,
			// A redirect leads away from the proxy that was asked; the body of the redirect says more than where it leads.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
		slots: make(chan struct{}, o.Parallel),
	}
}

// A StatusError is an answer that is no 200.
type StatusError struct {
	URL    string
	Code   int
	Reason string // the first line of the body, shortened
}

func (e *StatusError) Error() string {
	s := fmt.Sprintf("GET %s: HTTP status %d %s", e.URL, e.Code, http.StatusText(e.Code))
	if e.Reason != "" {
		s += ": " + e.Reason
	}
	return s
}

// Get gets a path with its query, without the leading slash. Errors of the network and of the server are *mesh.UnreachableError; those
// of the server wrap a *StatusError.
func (c *Client) Get(ctx context.Context, path string) ([]byte, error) {
	bare, rawQuery, _ := strings.Cut(path, "?")
	query, err := url.ParseQuery(rawQuery)
	if err != nil {
		return nil, fmt.Errorf("query of %q: %w", path, err)
	}
	if c.opts.Allow != nil {
		if err := c.opts.Allow(bare, query); err != nil {
			return nil, err
		}
	}
	select {
	case c.slots <- struct{}{}:
		defer func() { <-c.slots }()
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	b, err := c.get(ctx, c.base+path)
	if err != nil && ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	if err != nil {
		return nil, &mesh.UnreachableError{Source: c.spec, Err: err}
	}
	return b, nil
}

func (c *Client) get(ctx context.Context, target string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, c.opts.Timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, target, nil)
	if err != nil {
		return nil, err
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, c.explain(target, 0, err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		head, _ := io.ReadAll(io.LimitReader(resp.Body, 4<<10))
		return nil, &StatusError{URL: target, Code: resp.StatusCode, Reason: firstLine(head)}
	}
	if resp.ContentLength > c.opts.MaxBytes {
		return nil, fmt.Errorf("GET %s: the answer has %d bytes, more than the limit of %d", target, resp.ContentLength, c.opts.MaxBytes)
	}
	var buf bytes.Buffer
	if resp.ContentLength > 0 {
		buf.Grow(int(resp.ContentLength) + bytes.MinRead)
	}
	n, err := buf.ReadFrom(io.LimitReader(resp.Body, c.opts.MaxBytes+1))
	if err != nil {
		return nil, c.explain(target, n, err)
	}
	if n > c.opts.MaxBytes {
		return nil, fmt.Errorf("GET %s: the answer is longer than the limit of %d bytes", target, c.opts.MaxBytes)
	}
	return buf.Bytes(), nil
}

// explain puts a network error in words that say what to do next.
func (c *Client) explain(target string, got int64, err error) error {
	// url.Error repeats the method and the URL.
	var ue *url.Error
	if errors.As(err, &ue) {
		err = ue.Err
	}
	var ne net.Error
	switch {
	case errors.Is(err, context.DeadlineExceeded) || errors.As(err, &ne) && ne.Timeout():
		if got > 0 {
			return fmt.Errorf("GET %s: no end of the answer within %s, after %d bytes: %w", target, c.opts.Timeout, got, err)
		}
		return fmt.Errorf("GET %s: no answer in time: %w", target, err)
	case errors.Is(err, io.ErrUnexpectedEOF):
		return fmt.Errorf("GET %s: the connection was closed in the middle of the answer, after %d bytes: %w", target, got, err)
	case errors.Is(err, io.EOF):
		return fmt.Errorf("GET %s: the connection was closed without an answer: %w", target, err)
	default:
		return fmt.Errorf("GET %s: %w", target, err)
	}
}

// CheckJSON says what an answer with status 200 is when it is not the JSON it should be: Envoy reports a dump it cannot render as plain
// text with status 200, and what listens on a mistyped port often serves HTML.
func CheckJSON(target string, body []byte) error {
	trimmed := bytes.TrimLeft(body, " \t\r\n\ufeff")
	switch {
	case len(trimmed) == 0:
		return fmt.Errorf("GET %s: the answer is empty, want JSON", target)
	case trimmed[0] == '{' || trimmed[0] == '[':
		return nil
	case trimmed[0] == '<':
		return fmt.Errorf("GET %s: the answer is HTML, want JSON; is this the admin or debug port?: %s", target, firstLine(trimmed))
	default:
		return fmt.Errorf("GET %s: the answer is plain text, want JSON: %s", target, firstLine(trimmed))
	}
}

// URL is the address of a path, for messages.
func (c *Client) URL(path string) string { return c.base + path }

// firstLine is the first line of a body that is not blank, fit for a message: printable, at most 200 bytes.
func firstLine(body []byte) string {
	const most = 200
	for line := range bytes.Lines(body) {
		s := strings.TrimSpace(strings.ToValidUTF8(string(line), "?"))
		s = strings.Map(func(r rune) rune {
			if !unicode.IsPrint(r) {
				return ' '
			}
			return r
		}, s)
		if s == "" {
			continue
		}
		if len(s) > most {
			cut := most
			for !utf8.RuneStart(s[cut]) {
				cut--
			}
			s = s[:cut] + "..."
		}
		return s
	}
	return ""
}
