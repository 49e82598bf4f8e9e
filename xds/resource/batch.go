package resource

import (
	"bytes"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/meshlark/meshlark/xds/rawjson"
	"github.com/meshlark/meshlark/xds/redact"
	"github.com/meshlark/meshlark/xds/schema"
)

// A TextError says where and why a text could not be read.
type TextError struct {
	Source string // what was read, such as a file name; "" where whoever shows the error names it
	Offset int64  // bytes from its start
	Line   int    // from 1; 0 when not known
	Column int    // in bytes, from 1
	Reason string

	// Foreign tells that the text is well-formed as far as it was read but not what was wanted; otherwise it is broken JSON.
	Foreign bool
}

func (e *TextError) Error() string {
	what := ""
	if e.Source != "" {
		what = "config dump " + e.Source + ": "
	}
	if e.Foreign {
		return what + e.Reason
	}
	at := fmt.Sprintf("offset %d", e.Offset)
	if e.Line > 0 {
		at += fmt.Sprintf(" (line %d, column %d)", e.Line, e.Column)
	}
	return fmt.Sprintf("%sinvalid JSON at %s: %s", what, at, e.Reason)
}

// NewTextError makes a TextError of a fault at an offset of a text, with its line and column.
func NewTextError(source string, text []byte, offset int, reason string) *TextError {
	offset = min(max(offset, 0), len(text))
	before := text[:offset]
	return &TextError{
		Source: source,
		Offset: int64(offset),
		Line:   bytes.Count(before, []byte{'\n'}) + 1,
		Column: offset - bytes.LastIndexByte(before, '\n'),
		Reason: reason,
	}
}

// A Batch makes the resources of one text, such as a dump. Those of a text that is there are read from it only when they are touched, and it keeps the text
// until every body has been interned.
type Batch struct {
	store  *Store
	source string
	mu     sync.Mutex
	text   []byte // nil once every body has been interned
	camel  bool   // the text spells fields in lowerCamelCase
	intern bool   // bodies are interned as they are added
	metas  map[metaKey]*meta
	newest int64

	// What the last resource had, mostly that of the next one too.
	last     *meta
	lastText []byte // of its time
	lastTime int64
}

// messages are the messages of the kinds, for bodies that were sent without their type.
var messages = map[Kind]string{
	Cluster:      "envoy.config.cluster.v3.Cluster",
	Listener:     "envoy.config.listener.v3.Listener",
	RouteConfig:  "envoy.config.route.v3.RouteConfiguration",
	ScopedRoutes: "envoy.config.route.v3.ScopedRouteConfiguration",
	Endpoint:     "envoy.config.endpoint.v3.ClusterLoadAssignment",
	Secret:       "envoy.extensions.transport_sockets.tls.v3.Secret",
	Bootstrap:    "envoy.config.bootstrap.v3.Bootstrap",
}

type metaKey struct{ version, clientStatus string }

// lazy is where an entry's body still has to be read from.
type lazy struct {
	batch  *Batch
	text   []byte // of one JSON value
	offset int    // in batch.text, -1 when it was put together
}

// NewBatch starts a batch over a text. The text must not change as long as the batch's resources are used.
func NewBatch(store *Store, source string, text []byte) *Batch {
	return &Batch{store: store, source: source, text: text, camel: schema.LooksCamel(text), metas: map[metaKey]*meta{}, newest: noTime}
}

// NewInterning starts a batch over a text that begins so. It keeps nothing of the texts of resources that are added: they are interned at once.
func NewInterning(store *Store, head []byte) *Batch {
	return &Batch{store: store, camel: schema.LooksCamel(head), intern: true, metas: map[metaKey]*meta{}, newest: noTime}
}

// A Spec describes a resource to add to a batch.
type Spec struct {
	Kind         Kind
	Name         string
	State        State
	VersionInfo  string
	ClientStatus string
	LastUpdated  string // RFC 3339, as the dump has it; other text counts as unknown
	Text         []byte // of the body; nil when there is none
	Offset       int    // of Text in the batch's text; -1 when it is no part of it
	Failure      *FailureSpec
}

// A FailureSpec describes a rejected update. Its configuration is the spec's Text; what the details quote of it is cleared of private material too.
type FailureSpec struct{ Details, LastAttempt, VersionInfo string }

// Add makes a resource. The error, of a batch that interns, is a *rawjson.SyntaxError of the spec's text.
func (b *Batch) Add(spec Spec) (*Resource, error) {
	e, err := b.entry(spec)
	if err != nil {
		return nil, err
	}
	r := &Resource{meta: b.meta(spec), updated: b.time(spec.LastUpdated), state: stateIndex(spec.State)}
	r.entry.Store(e)
	if spec.Failure != nil {
		m := *r.meta
		m.failure = &failure{
			of: r, details: strings.Clone(redact.Text(spec.Failure.Details)), version: strings.Clone(spec.Failure.VersionInfo),
			attempt: b.time(spec.Failure.LastAttempt),
		}
		r.meta = &m
	}
	return r, nil
}

func (b *Batch) entry(spec Spec) (*entry, error) {
	switch {
	case b.intern && spec.Text != nil:
		return b.settle(spec.Kind, spec.Name, spec.Text)
	case b.intern:
		return &entry{kind: spec.Kind, name: strings.Clone(spec.Name)}, nil
	case spec.Text == nil:
		return &entry{kind: spec.Kind, name: spec.Name}, nil
	default:
		return &entry{kind: spec.Kind, name: spec.Name, lazy: &lazy{batch: b, text: spec.Text, offset: spec.Offset}}, nil
	}
}

func (b *Batch) meta(spec Spec) *meta {
	if m := b.last; m != nil && m.version == spec.VersionInfo && m.clientStatus == spec.ClientStatus {
		return m
	}
	key := metaKey{spec.VersionInfo, spec.ClientStatus}
	m := b.metas[key]
	if m == nil {
		key.version, key.clientStatus = strings.Clone(key.version), strings.Clone(key.clientStatus)
		m = &meta{version: key.version, clientStatus: key.clientStatus}
		b.metas[key] = m
	}
	b.last = m
	return m
}

// time reads a time of update, in nanoseconds since 1970, and remembers the newest.
func (b *Batch) time(text string) int64 {
	if text == "" {
		return noTime
	}
	if text == string(b.lastText) {
		return b.lastTime
	}
	ns := int64(noTime)
	if t, err := time.Parse(time.RFC3339Nano, text); err == nil {
		ns = t.UnixNano()
	}
	b.lastText, b.lastTime = append(b.lastText[:0], text...), ns
	b.newest = max(b.newest, ns)
	return ns
}

// Newest is the newest time of an update or of an attempt at one among the batch's resources; zero when none says.
func (b *Batch) Newest() time.Time { return fromNano(b.newest) }

func fromNano(ns int64) time.Time {
	if ns == noTime {
		return time.Time{}
	}
	return time.Unix(0, ns).UTC()
}

// settle interns a body and gives the entry of the store for its kind and name.
func (b *Batch) settle(kind Kind, name string, text []byte) (*entry, error) {
	s := b.store
	key := s.sum(text)
	if b.camel { // the same text may be another body here, see internAs
		key[0] = ^key[0]
	}
	find := func() (*entry, *Body) {
		var body *Body
		for known := s.texts[key]; known != nil; known = known.next {
			if !b.camel {
				body = known.body
			}
			if known.kind == kind && known.name == name {
				return known, body
			}
		}
		return nil, body
	}
	s.mu.RLock()
	known, body := find()
	s.mu.RUnlock()
	if known != nil {
		return known, nil
	}
	id := s.id(kind, name)
	if body == nil {
		s.mu.RLock()
		first := s.firsts[id]
		s.mu.RUnlock()
		var err error
		if body, err = s.internAs(text, b.camel, messages[kind], first); err != nil {
			return nil, err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if known, _ := find(); known != nil {
		return known, nil
	}
	if s.firsts[id] == nil && body.variant == nil {
		s.firsts[id] = body
	}
	shared := &entry{kind: kind, name: strings.Clone(name), body: body, next: s.texts[key]}
	s.texts[key] = shared
	return shared, nil
}

// fault places a syntax error of one body in the whole text.
func (l *lazy) fault(err error) error {
	var syntax *rawjson.SyntaxError
	if !errors.As(err, &syntax) {
		return err
	}
	if l.offset < 0 {
		return &TextError{Source: l.batch.source, Offset: syntax.Offset, Reason: syntax.Msg}
	}
	l.batch.mu.Lock()
	text := l.batch.text
	l.batch.mu.Unlock()
	return NewTextError(l.batch.source, text, l.offset+int(syntax.Offset), syntax.Msg)
}

// A failure is what a Failure is made of; the rejected configuration is the resource's body.
type failure struct {
	of      *Resource
	details string
	version string
	attempt int64
}

func (f *failure) get() *Failure {
	// A configuration that cannot be read is missing here; Body says why.
	body, _ := f.of.Body()
	return &Failure{Details: f.details, VersionInfo: f.version, LastAttempt: fromNano(f.attempt), Failed: body}
}

// New makes a resource whose body is known. A nil body is allowed.
func New(kind Kind, name string, state State, body *Body) *Resource {
	r := &Resource{meta: &meta{}, updated: noTime, state: stateIndex(state)}
	r.entry.Store(&entry{kind: kind, name: name, body: body})
	return r
}

// Prefetch interns the bodies of some resources on all processors. Every one is tried; the first fault in their order is the error.
func Prefetch(resources []*Resource) error {
	workers := min(runtime.GOMAXPROCS(0), len(resources))
	var (
		wg   sync.WaitGroup
		next atomic.Int64
		errs = make([]error, len(resources))
	)
	const stride = 32
	for range workers {
		wg.Go(func() {
			for {
				from := int(next.Add(stride)) - stride
				if from >= len(resources) {
					return
				}
				for i := from; i < min(from+stride, len(resources)); i++ {
					_, errs[i] = resources[i].Body()
				}
			}
		})
	}
	wg.Wait()
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// Settle interns the bodies of the batch's resources and lets go of the text.
func (b *Batch) Settle(resources []*Resource) error {
	err := Prefetch(resources)
	if err == nil {
		b.mu.Lock()
		b.text = nil
		b.mu.Unlock()
	}
	return err
}
