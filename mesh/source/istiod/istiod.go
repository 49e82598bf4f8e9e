// Package istiod reads an istiod through its HTTP debug API (port 15014 or 8080): which proxies are connected to it, what it sent them and
// what they acknowledged, and the configuration it would send each. It needs no Kubernetes.
//
// Of the debug API only what reads is asked. Some of its GET requests change something (adsz?push=true triggers a push to every proxy,
// cachez?clear=true drops the cache, force_disconnect ends a connection): those are refused, whoever asks.
package istiod

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/meshlark/meshlark/mesh"
	"github.com/meshlark/meshlark/mesh/source/fetch"
	"github.com/meshlark/meshlark/xds/dump"
	"github.com/meshlark/meshlark/xds/resource"
	"github.com/meshlark/meshlark/xds/syncz"
)

// debugPaths are the paths below /debug/ that read (pilot/pkg/xds/debug.go); each may have the parameters of params.
var debugPaths = []string{
	"adsz", "ambientz", "authorizationz", "cachez", "clusterz", "config_dump", "configz", "connections", "ecdsz", "edsz",
	"endpointShardz", "endpointz", "inject", "instancesz", "krtz", "list", "mcsz", "mesh", "ndsz", "networkz", "push_status",
	"pushcontext", "registryz", "resourcesz", "sidecarz", "syncz", "telemetryz",
}

// params are the query parameters that only select what is shown.
var params = []string{"proxyID", "types", "include_eds", "namespace", "pretty", "sizes"}

func allow(path string, query url.Values) error {
	if path == "version" {
		return nil
	}
	name, ok := strings.CutPrefix(path, "debug/")
	if !ok || !slices.Contains(debugPaths, name) {
		return fmt.Errorf("debug path %q is not one that meshlark reads; there are: %s", name, strings.Join(debugPaths, ", "))
	}
	for p := range query {
		if !slices.Contains(params, p) {
			return fmt.Errorf("debug path %q with parameter %q: meshlark only reads, and this could change something; allowed parameters: %s", name, p, strings.Join(params, ", "))
		}
	}
	return nil
}

// Source is one istiod.
type Source struct {
	spec   string
	host   string
	client *fetch.Client
	once   sync.Once
	store  *resource.Store
	ads    func(*syncz.Client, syncz.Connection) mesh.Reader // nil: nobody said how
}

// New makes a source of the address of a debug API such as http://127.0.0.1:15014. Nothing is asked yet. An istiod does not say over HTTP what it
// is called: its name is the address's host and port, or what follows a # in the address, as in http://127.0.0.1:15014#istiod-7d4b9c6f8d-k2xvm.
func New(spec, base string, o fetch.Options) *Source {
	o.Allow = allow
	if o.Parallel == 0 {
		o.Parallel = 4 // istiod generates a dump anew for each request
	}
	base, name, _ := strings.Cut(base, "#")
	if unescaped, err := url.PathUnescape(name); err == nil {
		name = unescaped
	}
	host := spec
	if u, err := url.Parse(base); err == nil && u.Host != "" {
		host = u.Host
	}
	return &Source{spec: spec, host: cmp.Or(name, host), client: fetch.New(spec, base, o)}
}

// UseStore shares the store that resource bodies are kept in.
func (s *Source) UseStore(store *resource.Store) { s.store = store }

// Spec is what the user named the source by.
func (s *Source) Spec() string { return s.spec }

// Live is true: the debug API shows the connections of this moment.
func (s *Source) Live() bool { return true }

// Survey asks for the connected proxies and their state. The details of their nodes come from another path, which needs more rights
// in some set-ups; without it the rest stands.
func (s *Source) Survey(ctx context.Context) (*mesh.Survey, error) {
	var (
		wg               sync.WaitGroup
		clients          []syncz.Client
		connections      []syncz.Connection
		syncErr, adErr   error
		syncSize, adSize int64
		version          string
	)
	wg.Go(func() {
		syncSize, syncErr = s.get(ctx, "debug/syncz", func(from io.Reader) error {
			text, err := io.ReadAll(from)
			if err == nil {
				clients, err = syncz.Read(text)
			}
			return err
		})
	})
	wg.Go(func() { connections, adSize, adErr = s.connections(ctx, "debug/adsz") })
	wg.Go(func() {
		if b, err := s.client.Get(ctx, "version"); err == nil {
			version = releaseOf(string(b))
		}
	})
	wg.Wait()
	if syncErr != nil {
		return nil, syncErr
	}
	sv := &mesh.Survey{Fetched: mesh.Fetched{Requests: 3, Bytes: syncSize + adSize + int64(len(version))}}
	byProxy := map[string][]syncz.Connection{}
	for _, c := range connections {
		byProxy[c.ProxyID] = append(byProxy[c.ProxyID], c)
	}
	if adErr != nil {
		sv.Failures = append(sv.Failures, mesh.Failure{Source: s.spec, Stage: "adsz", Reason: adErr.Error(), Err: adErr})
	}
	name := s.host
	for _, c := range clients {
		if c.Istiod != "" {
			name = c.Istiod
			break
		}
	}
	connected := true
	for _, c := range newest(clients) {
		if c.Istiod == "" {
			c.Istiod = name
		}
		conn := connectionOf(byProxy[c.ProxyID], c.ClusterID)
		sv.Proxies = append(sv.Proxies, mesh.Record{
			Name:      c.ProxyID,
			NodeID:    c.NodeID,
			Metadata:  conn.Metadata,
			Connected: &connected,
			Sync:      c,
			Istiod:    c.Istiod,
			Since:     conn.ConnectedAt,
			ADS:       s.byADS(c, conn),
			Desired:   &reader{source: s, proxy: c.ProxyID, cluster: c.ClusterID, connection: conn.ConnectionID, others: confused(conn.ConnectionID, connections)},
		})
	}
	sv.Istiods = []mesh.IstiodRecord{{Name: name, Version: version, Debug: s.debug}}
	return sv, nil
}

// debug gets a path of the debug API, given with or without the leading "debug/".
func (s *Source) debug(ctx context.Context, path string) ([]byte, error) {
	path = strings.TrimPrefix(path, "/")
	if path != "version" && !strings.HasPrefix(path, "debug/") {
		path = "debug/" + path
	}
	return s.client.Get(ctx, path)
}

// get gets JSON.
func (s *Source) get(ctx context.Context, path string, read func(io.Reader) error) (size int64, err error) {
	size, err = s.client.JSON(ctx, path, read)
	if err != nil {
		return 0, explain(s.spec, err)
	}
	return size, nil
}

// connections asks a path that lists who is connected.
func (s *Source) connections(ctx context.Context, path string) (all []syncz.Connection, size int64, err error) {
	size, err = s.get(ctx, path, func(from io.Reader) (err error) {
		all, err = syncz.ReadConnections(from)
		return err
	})
	if err != nil {
		return nil, 0, err
	}
	return all, size, nil
}

// explain adds to istiod's refusals what to do about them.
func explain(spec string, err error) error {
	var se *fetch.StatusError
	if !errors.As(err, &se) {
		return err
	}
	switch se.Code {
	case http.StatusUnauthorized, http.StatusForbidden:
		return &mesh.UnreachableError{Source: spec, Err: fmt.Errorf("%w; istiod trusts requests from its own loopback only (port-forward to it), or set ENABLE_DEBUG_ENDPOINT_AUTH / DEBUG_ENDPOINT_AUTH_ALLOWED_NAMESPACES on it", se)}
	case http.StatusNotFound:
		return &mesh.UnreachableError{Source: spec, Err: fmt.Errorf("%w; is this istiod's monitoring (15014) or debug (8080) port, with ENABLE_DEBUG_ON_HTTP?", se)}
	}
	return err
}

// releaseOf gives the version out of what /version prints, <version>-<git revision>-<status>.
func releaseOf(text string) string {
	parts := strings.Split(strings.TrimSpace(text), "-")
	if len(parts) < 3 {
		return strings.TrimSpace(text)
	}
	return strings.Join(parts[:len(parts)-2], "-")
}

// newest keeps of the entries of each proxy the one that was sent something last: one that has just reconnected has two for a moment.
func newest(clients []syncz.Client) []*syncz.Client {
	type identity struct{ proxy, cluster string }
	at := map[identity]int{}
	var kept []*syncz.Client
	for i := range clients {
		c := &clients[i]
		id := identity{c.ProxyID, c.ClusterID}
		if k, seen := at[id]; !seen {
			at[id] = len(kept)
			kept = append(kept, c)
		} else if c.LastSent().After(kept[k].LastSent()) {
			kept[k] = c
		}
	}
	return kept
}

// connectionOf finds the newest connection of a proxy of a cluster among those of its name.
func connectionOf(connections []syncz.Connection, cluster string) syncz.Connection {
	var found syncz.Connection
	for _, c := range connections {
		if id := c.Metadata.Str("CLUSTER_ID"); id != "" && cluster != "" && id != cluster {
			continue
		}
		if found.ConnectionID == "" || c.ConnectedAt.After(found.ConnectedAt) {
			found = c
		}
	}
	return found
}

// confused gives the other proxies whose connections istiod may take for this one, as it looks for a part of their ids.
func confused(id string, connections []syncz.Connection) []string {
	if id == "" {
		return nil
	}
	var others []string
	for _, c := range connections {
		if c.ConnectionID != id && strings.Contains(c.ConnectionID, id) {
			others = append(others, c.ProxyID)
		}
	}
	return others
}

// ErrNotConnected is wrapped by errors that say that a proxy is not connected to this istiod, or no more.
var ErrNotConnected = errors.New("it is not connected to this istiod")

// A NotAloneError says that an istiod cannot be asked for one proxy alone: it finds a connection by a part of its id, and that of another proxy
// has it as a part too.
type NotAloneError struct {
	Proxy, Istiod string
	Others        []string
}

func (e *NotAloneError) Error() string {
	return fmt.Sprintf("desired configuration of %s: %s finds connections by a part of their names and may take it for %s; ask as the proxy: desired(via=\"ads\")",
		e.Proxy, e.Istiod, strings.Join(e.Others, ", "))
}

// reader reads what istiod would send one proxy.
type reader struct {
	source  *Source
	proxy   string // "pod.namespace"
	cluster string // the id of its cluster; "" when unknown

	mu         sync.Mutex
	connection string   // the connection's id; "" when unknown
	others     []string // that istiod may take it for
}

// Moved gives a reader of the proxy's desired configuration and when it connected here, as of this moment. Errors wrap ErrNotConnected when it is not
// connected to this istiod.
func (s *Source) Moved(ctx context.Context, proxy, cluster string) (mesh.Reader, time.Time, error) {
	r := &reader{source: s, proxy: proxy, cluster: cluster}
	since, err := r.find(ctx)
	if err != nil {
		return nil, time.Time{}, err
	}
	return r, since, nil
}

// find looks up the proxy's connection.
func (r *reader) find(ctx context.Context) (time.Time, error) {
	all, _, err := r.source.connections(ctx, "debug/connections")
	if err != nil {
		return time.Time{}, err
	}
	c := connectionOf(slices.DeleteFunc(slices.Clone(all), func(c syncz.Connection) bool { return c.ProxyID != r.proxy }), r.cluster)
	if c.ConnectionID == "" {
		return time.Time{}, fmt.Errorf("%w (%s)", ErrNotConnected, r.source.spec)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.connection, r.others = c.ConnectionID, confused(c.ConnectionID, all)
	return c.ConnectedAt, nil
}

// types are what config_dump calls the kinds in its parameter of that name. Extensions are left to the whole dump: in the flat list that the
// parameter selects, one rewritten by istiod (a bare Wasm message) does not tell that it is one.
var types = map[resource.Kind]string{
	resource.Cluster: "cds", resource.Listener: "lds", resource.RouteConfig: "rds", resource.Endpoint: "eds", resource.Secret: "sds",
}

// Read asks for the configuration of the kind. istiod cannot select by name. An istiod that does not know the parameter answers with its whole
// dump. A proxy that has connected anew is found again; errors wrap ErrNotConnected when it is gone from this istiod.
func (r *reader) Read(ctx context.Context, req mesh.Request) (mesh.Answer, error) {
	d, size, err := r.ask(ctx, req)
	var se *fetch.StatusError
	if errors.As(err, &se) && se.Code == http.StatusNotFound {
		if _, found := r.find(ctx); found == nil {
			d, size, err = r.ask(ctx, req)
		}
	}
	if err != nil {
		if errors.As(err, &se) && se.Code == http.StatusNotFound {
			return mesh.Answer{}, fmt.Errorf("desired configuration of %s: %w any more (%s: %s); refresh to find where it is", r.proxy, ErrNotConnected, r.source.spec, se.Reason)
		}
		return mesh.Answer{}, explain(r.source.spec, err)
	}
	return mesh.Answer{Dump: d, Covers: mesh.CoversKind, Bytes: size}, nil
}

// ask gets the dump. istiod takes the first connection whose id contains what it is asked for, so that a pod's name would find a longer name that
// ends alike; a connection's id has a number of its own and mostly does not.
func (r *reader) ask(ctx context.Context, req mesh.Request) (d *dump.Dump, size int64, err error) {
	r.mu.Lock()
	id, others := r.connection, r.others
	r.mu.Unlock()
	if id == "" {
		id = r.proxy
	}
	if len(others) > 0 {
		return nil, 0, &NotAloneError{Proxy: r.proxy, Istiod: r.source.spec, Others: others}
	}
	path := "debug/config_dump?proxyID=" + url.QueryEscape(id)
	if t, ok := types[req.Kind]; ok {
		path += "&types=" + t
		if req.Kind == resource.Endpoint {
			path += "&include_eds=true"
		}
	}
	s := r.source
	s.once.Do(func() {
		if s.store == nil {
			s.store = resource.NewStore()
		}
	})
	size, err = s.client.JSON(ctx, path, func(from io.Reader) (err error) {
		d, err = dump.Read(s.store, from, dump.Options{Source: s.client.Document(path)})
		return err
	})
	return d, size, err
}

// Admin says what to ask instead: istiod knows what it sends, not what Envoy measures.
func (r *reader) Admin(_ context.Context, path string, _ func(io.Reader) error) (int64, error) {
	what, _, _ := strings.Cut(path, "?")
	return 0, fmt.Errorf("/%s of %s: %w: istiod knows what it would send, not what Envoy does; name the Envoy's admin address as a source", what, r.proxy, mesh.ErrNotAvailable)
}
