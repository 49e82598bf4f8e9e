package ads

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"

	"github.com/meshlark/meshlark/mesh"
	protocol "github.com/meshlark/meshlark/xds/ads"
	"github.com/meshlark/meshlark/xds/dump"
	"github.com/meshlark/meshlark/xds/rawjson"
	"github.com/meshlark/meshlark/xds/resource"
)

// A Way is one way to reach a control plane.
type Way struct {
	Name     string // in messages, such as xds://istiod-1.istio-system:15010
	Endpoint func() (protocol.Endpoint, error)
}

// Reader reads what a control plane sends to one node.
type Reader struct {
	ways    []Way
	proxy   string
	node    func(context.Context) (rawjson.Value, error)
	mode    protocol.Mode
	options Options

	mu    sync.Mutex // one connection at a time
	store *resource.Store
}

var _ mesh.Reader = (*Reader)(nil)

// NewReader makes a reader. The ways are tried in their order until one leads to a control plane; proxy names the node in messages, and node gives the
// JSON of the envoy.config.core.v3.Node to be asked as. Nothing is asked yet.
func NewReader(ways []Way, proxy string, node func(context.Context) (rawjson.Value, error), mode protocol.Mode, o Options) *Reader {
	o.fill()
	return &Reader{ways: ways, proxy: proxy, node: node, mode: mode, options: o}
}

// UseStore shares the store that resource bodies are kept in.
func (r *Reader) UseStore(store *resource.Store) { r.store = store }

// Read asks for everything: what a listener or a cluster needs can be asked for only when they are known.
func (r *Reader) Read(ctx context.Context, _ mesh.Request) (mesh.Answer, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	body, err := r.node(ctx)
	if err != nil {
		return mesh.Answer{}, err
	}
	node, err := protocol.NewNode(body)
	if err != nil {
		return mesh.Answer{}, fmt.Errorf("configuration that %s is sent: %w", r.proxy, err)
	}
	config, way, err := r.fetch(ctx, node)
	if err != nil {
		return mesh.Answer{}, err
	}
	r.tell(config, way)
	if r.store == nil {
		r.store = resource.NewStore()
	}
	d, err := dump.Split(r.store, config.Dump(), dump.Options{Source: way})
	if err == nil {
		err = d.Settle()
	}
	if err != nil {
		return mesh.Answer{}, &mesh.UnreachableError{Source: way, Err: err}
	}
	return mesh.Answer{Dump: d, Covers: mesh.CoversAll, Bytes: config.Bytes}, nil
}

// fetch tries the ways. The next one is tried only if nothing answers at the one before.
func (r *Reader) fetch(ctx context.Context, node protocol.Node) (config *protocol.Config, way string, err error) {
	var failed error
	for _, w := range r.ways {
		r.options.Connecting(w.Name, node.ID())
		config, err := r.ask(ctx, w, node)
		if err == nil {
			return config, w.Name, nil
		}
		if ctx.Err() != nil {
			return nil, "", err
		}
		err = &mesh.UnreachableError{Source: w.Name, Err: err}
		if failed == nil {
			failed = err
		} else {
			failed = fmt.Errorf("%w; and %w", failed, err)
		}
		var own *protocol.Error
		if !errors.As(err, &own) || own.Code != "Unavailable" || own.Nonce != "" {
			break
		}
	}
	return nil, "", failed
}

func (r *Reader) ask(ctx context.Context, w Way, node protocol.Node) (*protocol.Config, error) {
	endpoint, err := w.Endpoint()
	if err != nil {
		return nil, err
	}
	client, err := protocol.New(endpoint, protocol.Options{Mode: r.mode, Timeout: r.options.Timeout, MaxBytes: r.options.MaxBytes})
	if err != nil {
		return nil, err
	}
	defer client.Close()
	defer r.options.Begin(ctx, "ADS "+w.Name)()
	return client.Fetch(ctx, node)
}

// tell says what the control plane did not send, or not so that it could be read.
func (r *Reader) tell(config *protocol.Config, way string) {
	var names []string
	for _, m := range config.Missing {
		if !slices.Contains(config.Silent, m.Type) {
			names = append(names, m.Type+" "+m.Name)
		}
	}
	if len(names) > 0 {
		r.options.Note(fmt.Sprintf("%s: was asked for and did not send %s; an Envoy would wait for them", way, mesh.Some(names)))
	}
	if len(config.Silent) > 0 {
		text := fmt.Sprintf("%s: did not answer for %s", way, strings.Join(config.Silent, ", "))
		if slices.Contains(config.Silent, "SDS") {
			text += "; an istiod sends secrets only to who is known to it, over TLS"
		}
		r.options.Note(text)
	}
	if len(config.Unknown) > 0 {
		r.options.Note(fmt.Sprintf("%s: sent fields that this version does not know, and that are left out: %s", way, mesh.Some(config.Unknown)))
	}
	for _, f := range config.Faults {
		r.options.Note(fmt.Sprintf("%s: sent something of %s that cannot be read: %v", way, f.Type, f.Err))
	}
}

// Admin says what to ask instead: a control plane knows what it sends, not what Envoy measures.
func (r *Reader) Admin(_ context.Context, path string, _ func(io.Reader) error) (int64, error) {
	what, _, _ := strings.Cut(path, "?")
	return 0, fmt.Errorf("/%s of %s: %w: a control plane knows what it sends, not what Envoy does; name the Envoy's admin address as a source", what, r.proxy, mesh.ErrNotAvailable)
}
