// Package ads reads what a control plane sends to an Envoy, by asking it as that Envoy's node over xDS (see package xds/ads). It works for any control
// plane that serves ADS. While it is asked, which takes a moment, the control plane lists the node as connected.
//
// A source without a node asks an istiod what it says over xDS about its proxies, as istioctl does: how far each is, and its configuration.
package ads

import (
	"context"
	"crypto/tls"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/meshlark/meshlark/mesh"
	"github.com/meshlark/meshlark/mesh/source/fetch"
	protocol "github.com/meshlark/meshlark/xds/ads"
	"github.com/meshlark/meshlark/xds/rawjson"
	"github.com/meshlark/meshlark/xds/resource"
)

// Options say how control planes are asked.
type Options struct {
	Security Security
	// Namespace is the one in whose name an istiod is asked about its proxies; "" is istio-system.
	Namespace string
	Timeout   time.Duration // of one question; 0 is 30 s
	MaxBytes  int64         // of the answers to one question; 0 is 1 GiB
	Fetch     fetch.Options // for a node that is described by an Envoy's admin interface
	// ReadFile reads the files that specs name; nil reads them from the disk.
	ReadFile func(name string) ([]byte, error)
	// Begin, when set, is told what is being waited for, until the function that it gives is called.
	Begin func(ctx context.Context, what string) (end func())
	// Connecting, when set, is told each time that a control plane is asked as a node, which appears as connected for that moment.
	Connecting func(way, node string)
	// Note, when set, is told what the user should know of an answer: what is missing from it.
	Note func(text string)
}

func (o *Options) fill() {
	if o.ReadFile == nil {
		o.ReadFile = os.ReadFile
	}
	if o.Begin == nil {
		o.Begin = func(context.Context, string) func() { return func() {} }
	}
	if o.Connecting == nil {
		o.Connecting = func(string, string) {}
	}
	if o.Note == nil {
		o.Note = func(string) {}
	}
	if o.Namespace == "" {
		o.Namespace = "istio-system"
	}
}

// TLS makes the configuration for control planes that speak TLS.
func (o Options) TLS() (*tls.Config, error) {
	o.fill()
	return o.Security.Config(o.ReadFile)
}

// Source is one control plane.
type Source struct {
	spec    Spec
	options Options

	mu     sync.Mutex
	store  *resource.Store
	reader *Reader // of a source with a node
}

// New makes a source. Nothing is asked or read yet.
func New(spec Spec, o Options) *Source {
	o.fill()
	return &Source{spec: spec, options: o}
}

// UseStore shares the store that resource bodies are kept in.
func (s *Source) UseStore(store *resource.Store) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.store = store
}

// Spec is what the user named the source by.
func (s *Source) Spec() string { return s.spec.Text }

// Live is true: the control plane answers with what it would send now.
func (s *Source) Live() bool { return true }

// Refresh forgets who the node is: its description is read anew.
func (s *Source) Refresh() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.reader = nil
}

// Survey gives the one proxy that the spec names; the control plane is not asked for that. Without a node it asks an istiod for its proxies.
func (s *Source) Survey(ctx context.Context) (*mesh.Survey, error) {
	s.mu.Lock()
	if s.store == nil {
		s.store = resource.NewStore()
	}
	store, reader := s.store, s.reader
	s.mu.Unlock()
	way := Way{Name: s.spec.Server(), Endpoint: s.endpoint}
	if !s.spec.HasNode() {
		return status(ctx, way, store, s.options)
	}
	body, err := s.node(ctx)
	if err != nil {
		return nil, &mesh.UnreachableError{Source: s.spec.Text, Err: err}
	}
	if _, err := protocol.NewNode(body); err != nil {
		return nil, &mesh.UnreachableError{Source: s.spec.Text, Err: fmt.Errorf("%w; name one with ?node=ID, or with ?metadata=FILE that says whose it is", err)}
	}
	if reader == nil {
		reader = NewReader([]Way{way}, body.Str("id"), func(context.Context) (rawjson.Value, error) { return body, nil }, s.spec.Mode, s.options)
		reader.UseStore(store)
		s.mu.Lock()
		s.reader = reader
		s.mu.Unlock()
	}
	r := mesh.Record{NodeID: body.Str("id"), Metadata: body.Get("metadata"), Desired: reader}
	return &mesh.Survey{Proxies: []mesh.Record{r}}, nil
}

// endpoint is how the control plane is reached.
func (s *Source) endpoint() (protocol.Endpoint, error) {
	e := protocol.Endpoint{Address: s.spec.Address}
	if !s.spec.TLS {
		return e, nil
	}
	config, err := s.options.Security.Config(s.options.ReadFile)
	if err != nil {
		return e, err
	}
	e.TLS, e.Authority = config, s.options.Security.Authority
	if s.spec.Token != "" {
		e.Token = tokenFile(s.spec.Token, s.options.ReadFile)
	}
	return e, nil
}
