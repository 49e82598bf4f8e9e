package ads

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/meshlark/meshlark/xds/naming"
	"github.com/meshlark/meshlark/xds/rawjson"
	"github.com/meshlark/meshlark/xds/schema"
	"github.com/meshlark/meshlark/xds/wire"
)

// Fetch connects as a node and gives what the control plane sends it. It returns when everything that was referred to has come, or when the control plane
// is silent about the rest (see Options.Quiet): what is missing then is in the answer. Errors are *Error.
func (c *Client) Fetch(ctx context.Context, n Node) (*Config, error) {
	timed, cancel := context.WithTimeout(ctx, c.options.Timeout)
	defer cancel()
	st, err := c.open(timed)
	s := &session{client: c, node: n.node, stream: st, kinds: map[string]*kind{}}
	s.printer = wire.Printer{Types: referring, Visit: s.visit}
	if err == nil {
		err = s.run(timed)
	}
	if err != nil {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		return nil, c.explain(timed, "ask for "+s.waiting(), s.nonce, err)
	}
	return s.config(), nil
}

// A kind is what is known of one type of resources.
type kind struct {
	url      string
	whole    bool            // asked for without names
	names    map[string]bool // wanted; true once the server was asked
	absent   map[string]bool // wanted, and the server says that there are none
	told     bool            // the server was asked since names were added
	answered bool
	version  string
	nonce    string

	resources map[string]Resource
	order     []string // names in the order in which they came first
}

// wanted are all the names, sorted.
func (k *kind) wanted() []string { return slices.Sorted(maps.Keys(k.names)) }

// unasked are the names that the server was not asked for yet, sorted.
func (k *kind) unasked() []string {
	var names []string
	for name, asked := range k.names {
		if !asked {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// missing are the names that did not come, sorted.
func (k *kind) missing() []string {
	var names []string
	for name := range k.names {
		if _, ok := k.resources[name]; !ok {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// complete tells whether everything of the kind has come.
func (k *kind) complete() bool {
	if k.whole {
		return k.answered
	}
	return !slices.ContainsFunc(k.missing(), func(name string) bool { return !k.absent[name] })
}

// A session is one question.
type session struct {
	client  *Client
	node    *corev3.Node // until it was sent
	stream  stream
	printer wire.Printer
	kinds   map[string]*kind
	order   []*kind

	nonce   string // of the last answer
	control string
	bytes   int64
	faults  []Fault
	scopes  []string
}

func (s *session) kind(url string) *kind {
	k := s.kinds[url]
	if k == nil {
		k = &kind{url: url, names: map[string]bool{}, absent: map[string]bool{}, resources: map[string]Resource{}}
		s.kinds[url] = k
		s.order = append(s.order, k)
	}
	return k
}

// visit collects the names that a message refers to.
func (s *session) visit(message string, body rawjson.Value) {
	if name := scopesOf(message, body); name != "" && !slices.Contains(s.scopes, name) {
		s.scopes = append(s.scopes, name)
	}
	refer(message, body, func(short, name string) {
		k := s.kind(naming.TypeURL(short))
		if name == "" {
			k.whole = true
			return
		}
		if _, ok := k.names[name]; !ok {
			k.names[name] = false
			k.told = false
		}
	})
}

// ask sends what was not asked for yet.
func (s *session) ask(k *kind, ack bool) error {
	if err := s.stream.ask(s.node, k, ack); err != nil {
		return err
	}
	s.node = nil // it goes with the first request only
	k.told = true
	for name := range k.names {
		k.names[name] = true
	}
	return nil
}

// received is what came from the stream.
type received struct {
	answer
	err error
}

// listen takes what comes from the stream, until an error or the end of the context.
func (s *session) listen(ctx context.Context) <-chan received {
	answers := make(chan received)
	go func() {
		for {
			a, err := s.stream.receive()
			select {
			case answers <- received{a, err}:
			case <-ctx.Done():
				return
			}
			if err != nil {
				return
			}
		}
	}()
	return answers
}

// end is why the stream ended: sending to one that has ended tells only that it has.
func end(ctx context.Context, answers <-chan received) error {
	for {
		select {
		case r := <-answers:
			if r.err != nil {
				return r.err
			}
		case <-ctx.Done():
			return status.FromContextError(ctx.Err()).Err()
		}
	}
}

// run asks, takes answers until everything is there, and says goodbye.
func (s *session) run(ctx context.Context) error {
	answers := s.listen(ctx)
	err := s.converse(ctx, answers)
	if err == nil {
		s.leave(ctx, answers)
	}
	return err
}

func (s *session) converse(ctx context.Context, answers <-chan received) error {
	s.kind(naming.TypeURL("CDS")).whole = true
	s.kind(naming.TypeURL("LDS")).whole = true
	for _, k := range s.order {
		if s.ask(k, false) != nil {
			return end(ctx, answers)
		}
	}
	quiet := time.NewTimer(s.client.options.Quiet)
	defer quiet.Stop()
	silence := 0 // how often in a row the timer went off
	for {
		select {
		case r := <-answers:
			if r.err != nil {
				return s.over(r.err)
			}
			silence = 0
			quiet.Reset(s.client.options.Quiet)
			if s.bytes += r.size; s.bytes > s.client.options.MaxBytes {
				return status.Error(codes.ResourceExhausted, "the answers are too long")
			}
			if s.take(r.answer) != nil {
				return s.over(end(ctx, answers))
			}
			if s.complete(func(*kind) bool { return false }) {
				return nil
			}
		case <-quiet.C:
			silence++
			if s.complete(func(k *kind) bool { return !k.whole || s.nonce != "" && silence >= patience }) {
				return nil
			}
			quiet.Reset(s.client.options.Quiet)
		case <-ctx.Done():
			return s.over(status.FromContextError(ctx.Err()).Err())
		}
	}
}

// over is the error that the stream ended with; nil when its time was over while it went on and on, and there is an answer nevertheless.
func (s *session) over(err error) error {
	if status.Code(err) == codes.DeadlineExceeded && s.complete(func(k *kind) bool { return !k.whole }) {
		return nil
	}
	return err
}

// leave says goodbye and waits for the control plane to say so too, by which it has forgotten the node. Without, it could for a moment take this client
// for the Envoy when it is asked about that.
func (s *session) leave(ctx context.Context, answers <-chan received) {
	const longest = time.Second
	ctx, cancel := context.WithTimeout(ctx, longest)
	defer cancel()
	if s.stream.close() == nil {
		_ = end(ctx, answers) // it is gone, one way or the other
	}
}

// complete tells whether nothing has to be waited for; given tells for which kinds waiting was given up.
func (s *session) complete(given func(*kind) bool) bool {
	return !slices.ContainsFunc(s.order, func(k *kind) bool { return !k.complete() && !given(k) })
}

// take keeps what an answer has, acknowledges it, and asks for what it refers to.
func (s *session) take(a answer) error {
	s.nonce = a.nonce
	if a.control != "" {
		s.control = a.control
	}
	k := s.kinds[a.typeURL]
	if k == nil {
		return nil // nobody asked
	}
	k.answered, k.version, k.nonce = true, a.version, a.nonce
	if k.whole && s.client.options.Mode != Delta {
		clear(k.resources)
		k.order = nil
	}
	for _, r := range a.resources {
		s.keep(k, r)
	}
	for _, name := range a.removed {
		delete(k.resources, name)
		k.absent[name] = true
	}
	if err := s.ask(k, true); err != nil {
		return err
	}
	for _, other := range s.order {
		if !other.told {
			if err := s.ask(other, false); err != nil {
				return err
			}
		}
	}
	return nil
}

// keep adds a resource. What cannot be read is a fault, for which nothing else is given up.
func (s *session) keep(k *kind, r sent) {
	body, err := s.printer.Message(nil, schema.TypeOfAny(r.body.GetTypeUrl()), r.body.GetValue())
	if err != nil {
		s.faults = append(s.faults, Fault{Type: label(k.url), Name: r.name, Err: err})
		return
	}
	name := r.name
	for _, field := range []string{"name", "cluster_name"} {
		if name == "" {
			name = rawjson.Value(body).Str(field)
		}
	}
	if name == "" {
		name = fmt.Sprintf("%d", len(k.order)) // a listener need not have one
	}
	if _, ok := k.resources[name]; !ok {
		k.order = append(k.order, name)
	}
	delete(k.absent, name)
	k.resources[name] = Resource{Type: label(k.url), Name: name, Version: r.version, TypeURL: r.body.GetTypeUrl(), Body: body}
}

// waiting names what was being waited for.
func (s *session) waiting() string {
	var types []string
	for _, k := range s.order {
		if !k.complete() {
			types = append(types, label(k.url))
		}
	}
	if len(types) == 0 {
		return "CDS, LDS"
	}
	return strings.Join(types, ", ")
}

func (s *session) config() *Config {
	c := &Config{Control: s.control, Bytes: s.bytes, Faults: s.faults, Scopes: s.scopes, Unknown: s.printer.Unknown}
	for _, k := range s.order {
		if !k.answered && (k.whole || len(k.names) > 0) {
			c.Silent = append(c.Silent, label(k.url))
		}
		for _, name := range k.order {
			if r, ok := k.resources[name]; ok {
				c.Resources = append(c.Resources, r)
			}
		}
		for _, name := range k.missing() {
			c.Missing = append(c.Missing, Name{label(k.url), name})
		}
	}
	return c
}
