package mesh

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"
)

// A Failure is a part of an answer that is missing, and why.
type Failure struct {
	Proxy  string // the proxy's name, "" when the whole source failed
	Source string // the source's spec
	Stage  string // what was attempted: "open", "clusters", "listeners" ...
	Reason string
	Err    error `json:"-"`
}

func (f Failure) Error() string { return fmt.Sprintf("%s of %s: %s", f.Stage, f.subject(), f.Reason) }

// subject is what failed.
func (f Failure) subject() string {
	if f.Proxy != "" {
		return f.Proxy
	}
	return f.Source
}

// address is the part of a reason that says what was asked of whom.
var address = regexp.MustCompile(`GET \S+: `)

// anybody is the reason as it would be of any proxy.
func (f Failure) anybody() string {
	if f.Proxy == "" {
		return f.Reason
	}
	reason := strings.ReplaceAll(address.ReplaceAllString(f.Reason, ""), f.Proxy, "\x00")
	if pod, _, ok := cutLast(f.Proxy, "."); ok {
		reason = strings.ReplaceAll(reason, pod, "\x00")
	}
	return reason
}

func (f Failure) Unwrap() error { return f.Err }

// A Result is the part of an answer that could be had, and the parts that could not.
type Result[T any] struct {
	Items    []T
	Failures []Failure
}

// ErrNotAvailable is wrapped by errors that say what a source cannot give, whatever its state.
var ErrNotAvailable = errors.New("not available from this source")

// An UnreachableError says that a source could not be read: connection refused, time-out, an answer that is not what the source
// should give, a file that is not there or is no dump.
type UnreachableError struct {
	Source string
	Err    error
}

func (e *UnreachableError) Error() string { return fmt.Sprintf("cannot read %s: %v", e.Source, e.Err) }
func (e *UnreachableError) Unwrap() error { return e.Err }

// An AllFailedError says that no part of an answer could be had.
type AllFailedError struct {
	What     string
	Failures []Failure
}

// Error tells each reason once, of the first that it was met on: most often all met the same.
func (e *AllFailedError) Error() string {
	const shown = 3
	var order []string
	first, more := map[string]Failure{}, map[string]int{}
	for _, f := range e.Failures {
		reason := f.anybody()
		if _, ok := first[reason]; ok {
			more[reason]++
			continue
		}
		order, first[reason] = append(order, reason), f
	}
	told := make([]string, 0, shown+1)
	for i, reason := range order {
		if i == shown {
			told = append(told, Count(len(order)-shown, "more reason"))
			break
		}
		text := first[reason].Error()
		if n := more[reason]; n > 0 {
			text += fmt.Sprintf(" (and the same of %d more)", n)
		}
		told = append(told, text)
	}
	return fmt.Sprintf("%s failed everywhere (%d of %d): %s", e.What, len(e.Failures), len(e.Failures), strings.Join(told, "; "))
}

func (e *AllFailedError) Unwrap() []error {
	errs := make([]error, len(e.Failures))
	for i, f := range e.Failures {
		errs[i] = f
	}
	return errs
}

// A Recorder remembers the failures of every call made under its context, each once, and what was fetched.
type Recorder struct {
	mu       sync.Mutex
	failures []Failure
	seen     map[failureKey]bool
	fetched  Fetched
}

type failureKey struct{ proxy, source, stage, reason string }

// Fetched counts what was read from sources, as opposed to taken from what was kept.
type Fetched struct {
	Requests int
	Bytes    int64
}

// Failures gives what was recorded so far.
func (r *Recorder) Failures() []Failure {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.failures)
}

// Fetched gives what was read so far.
func (r *Recorder) Fetched() Fetched {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.fetched
}

func (r *Recorder) add(fs []Failure) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, f := range fs {
		k := failureKey{f.Proxy, f.Source, f.Stage, f.Reason}
		if r.seen[k] {
			continue
		}
		if r.seen == nil {
			r.seen = map[failureKey]bool{}
		}
		r.seen[k] = true
		r.failures = append(r.failures, f)
	}
}

type recorderKey struct{}

// WithRecorder gives a context under which every failure is recorded in r.
func WithRecorder(ctx context.Context, r *Recorder) context.Context {
	return context.WithValue(ctx, recorderKey{}, r)
}

// Note tells the recorder of a context, if it has one, of parts of an answer that are missing.
func Note(ctx context.Context, fs []Failure) { record(ctx, fs) }

func record(ctx context.Context, fs []Failure) {
	if r, ok := ctx.Value(recorderKey{}).(*Recorder); ok && len(fs) > 0 {
		r.add(fs)
	}
}

func recordFetch(ctx context.Context, bytes int64) {
	if r, ok := ctx.Value(recorderKey{}).(*Recorder); ok {
		r.mu.Lock()
		r.fetched.Requests++
		r.fetched.Bytes += bytes
		r.mu.Unlock()
	}
}
