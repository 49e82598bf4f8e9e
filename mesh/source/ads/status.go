package ads

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"

	"github.com/meshlark/meshlark/mesh"
	protocol "github.com/meshlark/meshlark/xds/ads"
	"github.com/meshlark/meshlark/xds/dump"
	"github.com/meshlark/meshlark/xds/rawjson"
	"github.com/meshlark/meshlark/xds/resource"
	"github.com/meshlark/meshlark/xds/syncz"
)

// Status asks an istiod over xDS who is connected to it and how far each is: what its HTTP debug API tells, but for nonces and metadata.
func Status(ctx context.Context, way Way, store *resource.Store, o Options) (*mesh.Survey, error) {
	o.fill()
	return status(ctx, way, store, o)
}

func status(ctx context.Context, way Way, store *resource.Store, o Options) (*mesh.Survey, error) {
	a, err := question(ctx, way, o, protocol.IstioSyncStatus)
	if err != nil {
		var own *protocol.Error
		if errors.As(err, &own) && (own.Code == "DeadlineExceeded" || own.Code == "Unauthenticated") {
			own.Next += "; or ask what it sends to a node: " + way.Name + "?node=ID"
		}
		return nil, &mesh.UnreachableError{Source: way.Name, Err: err}
	}
	clients, err := syncz.Read(a.JSON())
	if err != nil {
		return nil, &mesh.UnreachableError{Source: way.Name, Err: err}
	}
	sv := &mesh.Survey{Fetched: mesh.Fetched{Requests: 1, Bytes: a.Bytes}}
	identity := rawjson.Value(nil)
	if id, err := rawjson.Compact(nil, []byte(a.Control)); err == nil {
		identity = id
	}
	name := identity.Str("ID")
	if name == "" {
		_, name, _ = strings.Cut(way.Name, "://")
	}
	connected := true
	for i := range clients {
		c := &clients[i]
		if c.Istiod == "" {
			c.Istiod = name
		}
		sv.Proxies = append(sv.Proxies, mesh.Record{
			Name: c.ProxyID, NodeID: c.NodeID, Connected: &connected, Sync: c, Istiod: c.Istiod,
			Desired: &view{way: way, proxy: c.ProxyID, store: store, options: o},
		})
	}
	sv.Istiods = []mesh.IstiodRecord{{
		Name: name, Version: identity.Str("Info", "version"), // its revision there is that of its source code
		Debug: func(_ context.Context, path string) ([]byte, error) {
			return nil, fmt.Errorf("debug path %q of %s: %w: it is served over HTTP; name that with -s istiod+http://HOST:15014", path, name, mesh.ErrNotAvailable)
		},
	}}
	return sv, nil
}

func question(ctx context.Context, way Way, o Options, typeURL string, names ...string) (*protocol.Answer, error) {
	endpoint, err := way.Endpoint()
	if err != nil {
		return nil, err
	}
	client, err := protocol.New(endpoint, protocol.Options{Timeout: o.Timeout, MaxBytes: o.MaxBytes})
	if err != nil {
		return nil, err
	}
	defer client.Close()
	defer o.Begin(ctx, "xDS "+way.Name)()
	return client.Ask(ctx, protocol.Observer(o.Namespace), typeURL, names...)
}

// view reads what an istiod says over xDS that it would send one of its proxies. Endpoints are not in it.
type view struct {
	way     Way
	proxy   string
	store   *resource.Store
	options Options

	mu   sync.Mutex
	read *mesh.Answer // for all kinds but endpoints; a view lasts as long as its survey
}

func (v *view) Read(ctx context.Context, req mesh.Request) (mesh.Answer, error) {
	if req.Kind == resource.Endpoint {
		return mesh.Answer{}, fmt.Errorf("endpoints of %s: %w: istiod leaves them out of what it tells over xDS; name its HTTP debug API with -s istiod+http://HOST:15014", v.proxy, mesh.ErrNotAvailable)
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.read != nil {
		return mesh.Answer{Dump: v.read.Dump, Covers: mesh.CoversKind}, nil
	}
	a, err := question(ctx, v.way, v.options, protocol.IstioConfigDump, v.proxy)
	if err != nil {
		return mesh.Answer{}, &mesh.UnreachableError{Source: v.way.Name, Err: err}
	}
	if len(a.Resources) == 0 {
		return mesh.Answer{}, fmt.Errorf("desired configuration of %s: it is not connected to %s any more; refresh to find where it is", v.proxy, v.way.Name)
	}
	text := append([]byte(`{"configs":`), rawjson.Value(a.JSON()).Get("resources")...)
	d, err := dump.Split(v.store, append(text, '}'), dump.Options{Source: v.way.Name})
	if err == nil {
		err = d.Settle()
	}
	if err != nil {
		return mesh.Answer{}, &mesh.UnreachableError{Source: v.way.Name, Err: err}
	}
	v.read = &mesh.Answer{Dump: d, Covers: mesh.CoversKind, Bytes: a.Bytes}
	return *v.read, nil
}

func (v *view) Admin(_ context.Context, path string, _ func(io.Reader) error) (int64, error) {
	what, _, _ := strings.Cut(path, "?")
	return 0, fmt.Errorf("/%s of %s: %w: istiod knows what it would send, not what Envoy does", what, v.proxy, mesh.ErrNotAvailable)
}
