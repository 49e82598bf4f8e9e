// Package fetch gets documents from the HTTP interfaces of proxies and control planes: GET and nothing else, from an
// allow-list of paths, with bounds on time and size, and with errors that say which of the many ways to fail it was.
package fetch

import (
	"bufio"
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

	"github.com/meshlark/meshlark/mesh"
	"github.com/meshlark/meshlark/xds/redact"
)

// Options bound what a client does.
type Options struct {
	Transport http.RoundTripper // nil dials the network directly, without proxies of the environment
	Timeout   time.Duration     // of one request until its last byte; 0 is 60 s
	Quiet     time.Duration     // how long nothing at all may come; 0 is 30 s
	MaxBytes  int64             // of one answer; 0 is 512 MiB
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
	if o.Quiet == 0 {
		o.Quiet = 30 * time.Second
	}
	if o.MaxBytes == 0 {
		o.MaxBytes = 512 << 20
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
	var body []byte
	_, err := c.ask(ctx, path, func(a *answer) (err error) {
		body, err = readAll(a, a.length)
		return err
	})
	return body, err
}

// JSON is Get for what should be JSON, which is handed to read as it comes: a fleet's answers are long and alike, and nobody need hold one whole. What does
// not begin like JSON is an error that says what it is. The size is that of the answer. An error of read is a *mesh.UnreachableError too.
func (c *Client) JSON(ctx context.Context, path string, read func(io.Reader) error) (size int64, err error) {
	return c.ask(ctx, path, func(a *answer) error {
		r := bufio.NewReaderSize(a, headSize)
		head, err := r.Peek(headSize)
		if err != nil && err != io.EOF {
			return err
		}
		if err := checkJSON(c.Document(path), head, err == io.EOF); err != nil {
			return err
		}
		return read(r)
	})
}

// headSize is how much of an answer tells whether it is JSON.
const headSize = 4 << 10

func (c *Client) ask(ctx context.Context, path string, read func(*answer) error) (size int64, err error) {
	bare, rawQuery, _ := strings.Cut(path, "?")
	query, err := url.ParseQuery(rawQuery)
	if err != nil {
		return 0, fmt.Errorf("query of %q: %w", path, err)
	}
	if c.opts.Allow != nil {
		if err := c.opts.Allow(bare, query); err != nil {
			return 0, err
		}
	}
	select {
	case c.slots <- struct{}{}:
		defer func() { <-c.slots }()
	case <-ctx.Done():
		return 0, context.Cause(ctx)
	}
	size, err = c.get(ctx, path, read)
	if err != nil && ctx.Err() != nil {
		return 0, context.Cause(ctx)
	}
	if err != nil {
		return 0, &mesh.UnreachableError{Source: c.spec, Err: err}
	}
	return size, nil
}

func (c *Client) get(ctx context.Context, path string, read func(*answer) error) (int64, error) {
	target := c.Document(path)
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	limit, quiet, half := c.bounds(ctx)
	ended := time.AfterFunc(limit, func() { cancel(&lateError{after: limit, half: half}) })
	defer ended.Stop()
	silent := time.AfterFunc(quiet, func() { cancel(&lateError{after: quiet, half: half}) })
	defer silent.Stop()

	req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.URL(path), nil)
	if err != nil {
		return 0, err
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return 0, c.explain(ctx, target, 0, err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		head, _ := io.ReadAll(io.LimitReader(resp.Body, headSize))
		return 0, &StatusError{URL: target, Code: resp.StatusCode, Reason: redact.FirstLine(head)}
	}
	if resp.ContentLength > c.opts.MaxBytes {
		return 0, &tooLargeError{target, resp.ContentLength, c.opts.MaxBytes}
	}
	a := &answer{ctx: ctx, body: resp.Body, length: resp.ContentLength, limit: c.opts.MaxBytes, silent: silent, quiet: quiet}
	err = read(a)
	refused := err != nil && a.err == nil
	io.Copy(io.Discard, a) // a connection whose answer was not taken to its end serves no other request
	switch {
	case refused:
		return 0, err
	case a.size > a.limit:
		return 0, &tooLargeError{target, 0, a.limit}
	case a.err != nil:
		return 0, c.explain(ctx, target, a.size, a.err)
	}
	return a.size, nil
}

// bounds give the time that a request has, and that nothing may come. Where all of the question has a time of its own, one that does not answer gets half of
// what is left of it, so that what others answer is still told.
func (c *Client) bounds(ctx context.Context) (limit, quiet time.Duration, half bool) {
	limit, quiet = c.opts.Timeout, min(c.opts.Quiet, c.opts.Timeout)
	if at, ok := ctx.Deadline(); ok {
		left := max(time.Until(at)/2, time.Millisecond)
		half = left < quiet
		limit, quiet = min(limit, left), min(quiet, left)
	}
	return limit, quiet, half
}

// An answer is the body of one, which puts off the end of its request as long as something comes.
type answer struct {
	ctx    context.Context
	body   io.Reader
	length int64 // of the body, where the answer says it; else negative
	limit  int64
	silent *time.Timer
	quiet  time.Duration

	size int64 // what has come
	err  error // why it ended, when that is not its end
}

var errTooLarge = errors.New("the answer is too large")

func (a *answer) Read(p []byte) (int, error) {
	if a.err != nil {
		return 0, a.err
	}
	n, err := a.body.Read(p)
	if n > 0 {
		a.size += int64(n)
		a.silent.Reset(a.quiet)
		if over := mesh.Arrived(a.ctx, n); over != nil {
			err = over
		} else if a.size > a.limit {
			err = errTooLarge
		}
	}
	if err != nil && err != io.EOF {
		a.err = err
	}
	return n, err
}

// lateError is that a request took too long.
type lateError struct {
	after time.Duration
	half  bool  // which was half of what was left of the question's
	got   int64 // bytes, before that
}

func (e *lateError) Error() string {
	unit := 100 * time.Millisecond
	if e.after < time.Second {
		unit = time.Millisecond
	}
	text := "no answer within " + e.after.Round(unit).String()
	if e.got > 0 {
		text = fmt.Sprintf("no end of the answer within %s, after %d bytes", e.after.Round(unit), e.got)
	}
	if e.half {
		return text + ", half of the time there was; it hangs, or is slow: see --timeout"
	}
	return text + "; it hangs, or is slow: see --request-timeout"
}

// Is tells errors.Is what it means in the terms of package context.
func (e *lateError) Is(target error) bool { return target == context.DeadlineExceeded }

// tooLargeError is an answer that nobody could want whole.
type tooLargeError struct {
	target      string
	size, limit int64 // bytes; the size is 0 where the answer does not tell it before its end
}

func (e *tooLargeError) Error() string {
	size := "more than"
	if e.size > 0 {
		size = fmt.Sprintf("%d bytes, more than", e.size)
	}
	return fmt.Sprintf("GET %s: the answer has %s the limit of %d bytes; ask for less (a name), or raise it with --max-fetch", e.target, size, e.limit)
}

// explain puts a network error in words that say what to do next.
func (c *Client) explain(ctx context.Context, target string, got int64, err error) error {
	// url.Error repeats the method and the URL.
	var ue *url.Error
	if errors.As(err, &ue) {
		err = ue.Err
	}
	var ne net.Error
	var late *lateError
	switch {
	case errors.As(context.Cause(ctx), &late):
		return fmt.Errorf("GET %s: %w", target, &lateError{late.after, late.half, got})
	case errors.Is(err, context.DeadlineExceeded) || errors.As(err, &ne) && ne.Timeout():
		return fmt.Errorf("GET %s: no answer in time: %w", target, err)
	case errors.Is(err, io.ErrUnexpectedEOF):
		return fmt.Errorf("GET %s: the connection was closed in the middle of the answer, after %d bytes: %w", target, got, err)
	case errors.Is(err, io.EOF):
		return fmt.Errorf("GET %s: the connection was closed without an answer: %w", target, err)
	default:
		return fmt.Errorf("GET %s: %w", target, err)
	}
}

// checkJSON says what an answer with status 200 is when it is not the JSON it should be: Envoy reports a dump it cannot render as plain
// text with status 200, and what listens on a mistyped port often serves HTML. The head is the beginning of it, or all.
func checkJSON(target string, head []byte, all bool) error {
	trimmed := bytes.TrimLeft(head, " \t\r\n\ufeff")
	switch {
	case len(trimmed) == 0 && !all:
		return nil
	case len(trimmed) == 0:
		return fmt.Errorf("GET %s: the answer is empty, want JSON", target)
	case trimmed[0] == '{' || trimmed[0] == '[':
		return nil
	case trimmed[0] == '<':
		return fmt.Errorf("GET %s: the answer is HTML, want JSON; is this the admin or debug port?: %s", target, redact.FirstLine(trimmed))
	default:
		return fmt.Errorf("GET %s: the answer is plain text, want JSON: %s", target, redact.FirstLine(trimmed))
	}
}

// URL is the address of a path.
func (c *Client) URL(path string) string { return c.base + path }

// longQuery is how many bytes of a query say more than they hide. That of a selection by name is a long regular expression, and what was looked for
// is told beside it.
const longQuery = 40

// Document names the document of a path in messages, which name the source before it: what the source's name tells is not said again.
func (c *Client) Document(path string) string {
	if bare, query, _ := strings.Cut(path, "?"); len(query) > longQuery {
		path = bare + "?..."
	}
	base, err := url.Parse(c.base)
	switch {
	case err != nil || base.Host == "":
		return c.base + path
	case strings.HasSuffix(c.spec, strings.TrimSuffix(c.base, "/")):
		return "/" + path
	case c.spec == base.Hostname() && base.Path == "/":
		return ":" + base.Port() + "/" + path
	}
	return c.base + path
}
