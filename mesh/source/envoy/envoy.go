// Package envoy reads one Envoy through its admin interface: a sidecar behind a port-forward, a VM, a laptop. It needs no Istio.
//
// Only paths that read are asked, and only the part of the configuration that a question needs: Envoy renders a dump on its main
// thread, and a whole one of a large mesh has tens of megabytes.
package envoy

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"

	"github.com/meshlark/meshlark/mesh"
	"github.com/meshlark/meshlark/mesh/source/fetch"
	"github.com/meshlark/meshlark/xds/dump"
	"github.com/meshlark/meshlark/xds/rawjson"
	"github.com/meshlark/meshlark/xds/resource"
)

// paths are the admin paths this package may ask. All of them answer GET and change nothing (source/server/admin/admin.cc marks those that do,
// and wants POST for them).
var paths = map[string]bool{
	"config_dump": true, "clusters": true, "server_info": true, "certs": true, "stats": true, "listeners": true,
	"ready": true, "memory": true, "runtime": true, "init_dump": true, "stats/prometheus": true,
}

func allow(path string, _ url.Values) error {
	if !paths[path] {
		return fmt.Errorf("admin path %q is not one that meshlark reads", path)
	}
	return nil
}

// Source is one Envoy.
type Source struct {
	spec   string
	reader *Reader
}

// New makes a source of an admin address such as http://127.0.0.1:15000. Nothing is asked yet.
func New(spec, base string, o fetch.Options) *Source {
	return &Source{spec: spec, reader: NewReader(spec, base, o)}
}

// UseStore shares the store that resource bodies are kept in.
func (s *Source) UseStore(store *resource.Store) { s.reader.store = store }

// Spec is what the user named the source by.
func (s *Source) Spec() string { return s.spec }

// Live is true: the admin interface shows what Envoy runs now.
func (s *Source) Live() bool { return true }

// Survey asks who this Envoy is: /server_info has its node and version.
func (s *Source) Survey(ctx context.Context) (*mesh.Survey, error) {
	b, err := document(ctx, s.reader, "server_info")
	if err != nil {
		return nil, err
	}
	checked, err := rawjson.Compact(nil, b)
	if err != nil {
		return nil, &mesh.UnreachableError{Source: s.spec, Err: fmt.Errorf("server_info: %w", err)}
	}
	info := rawjson.Value(checked)
	if !info.Get("version").Exists() {
		return nil, &mesh.UnreachableError{Source: s.spec, Err: errors.New("server_info has no version; is this an Envoy's admin port?")}
	}
	r := mesh.Record{
		NodeID:    info.Str("node", "id"),
		Metadata:  info.Get("node", "metadata"),
		BuildInfo: info.Str("version"),
		Actual:    s.reader,
	}
	if r.NodeID == "" {
		r.Name = hostOf(s.spec)
	}
	return &mesh.Survey{Proxies: []mesh.Record{r}, Fetched: mesh.Fetched{Requests: 1, Bytes: int64(len(b))}}, nil
}

func hostOf(spec string) string {
	if u, err := url.Parse(spec); err == nil && u.Host != "" {
		return u.Host
	}
	return spec
}

// Reader reads what one Envoy runs.
type Reader struct {
	spec   string
	client *fetch.Client
	once   sync.Once
	store  *resource.Store
}

// NewReader makes a reader of an admin address.
func NewReader(spec, base string, o fetch.Options) *Reader {
	o.Allow = allow
	o.Parallel = 1 // Envoy answers on its main thread
	return &Reader{spec: spec, client: fetch.New(spec, base, o)}
}

// UseStore shares the store that resource bodies are kept in.
func (r *Reader) UseStore(store *resource.Store) { r.store = store }

// masks name the fields of the dump's sections that hold resources of a kind. A mask of a section's fields is applied to every section
// and drops those that do not have them, so that it selects the section.
var masks = map[resource.Kind]string{
	resource.Bootstrap:    "bootstrap,last_updated",
	resource.Cluster:      "static_clusters,dynamic_active_clusters,dynamic_warming_clusters",
	resource.Listener:     "static_listeners,dynamic_listeners",
	resource.RouteConfig:  "static_route_configs,dynamic_route_configs",
	resource.ScopedRoutes: "inline_scoped_route_configs,dynamic_scoped_route_configs",
	resource.Secret:       "static_secrets,dynamic_active_secrets,dynamic_warming_secrets",
	resource.Endpoint:     "static_endpoint_configs,dynamic_endpoint_configs",
	resource.Extension:    "ecds_filters",
}

// Read gets the section of the kind that is asked for, cut down to the names that are asked for.
func (r *Reader) Read(ctx context.Context, req mesh.Request) (mesh.Answer, error) {
	mask, ok := masks[req.Kind]
	if !ok {
		return mesh.Answer{}, fmt.Errorf("%s: %w: Envoy's config dump has no such section", req.Kind, mesh.ErrNotAvailable)
	}
	path := "config_dump?mask=" + mask
	if req.Kind == resource.Endpoint {
		path += "&include_eds"
	}
	covers := mesh.CoversKind
	if !req.Name.IsAll() {
		path += "&name_regex=" + url.QueryEscape(req.Name.Regexp())
		covers = mesh.CoversRequest
	}
	var d *dump.Dump
	size, err := r.client.JSON(ctx, path, func(from io.Reader) (err error) {
		d, err = r.read(path, from)
		return err
	})
	if noSection(err) {
		d, err = r.read(path, strings.NewReader(`{"configs":[]}`))
	}
	if err != nil {
		return mesh.Answer{}, err
	}
	return mesh.Answer{Dump: d, Covers: covers, Bytes: size}, nil
}

func (r *Reader) read(path string, from io.Reader) (*dump.Dump, error) {
	r.once.Do(func() {
		if r.store == nil {
			r.store = resource.NewStore()
		}
	})
	return dump.Read(r.store, from, dump.Options{Source: r.client.Document(path)})
}

// noSection tells Envoy's way to say that no section has the masked fields, as when it has no secrets or no scoped routes at all.
func noSection(err error) bool {
	var se *fetch.StatusError
	return errors.As(err, &se) && (se.Code == http.StatusBadRequest && strings.Contains(se.Reason, "could not be successfully applied") ||
		se.Code == http.StatusNotFound && strings.Contains(se.Reason, "not found in config dump"))
}

// Admin gets one of the admin interface's other answers.
func (r *Reader) Admin(ctx context.Context, path string, read func(io.Reader) error) (int64, error) {
	return r.client.JSON(ctx, path, read)
}

// document gets one of them whole.
func document(ctx context.Context, r mesh.Reader, path string) (text []byte, err error) {
	_, err = r.Admin(ctx, path, func(from io.Reader) (err error) {
		text, err = io.ReadAll(from)
		return err
	})
	return text, err
}
