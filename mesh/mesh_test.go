package mesh_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/meshlark/meshlark/mesh"
	"github.com/meshlark/meshlark/xds/dump"
	"github.com/meshlark/meshlark/xds/pattern"
	"github.com/meshlark/meshlark/xds/resource"
	"github.com/meshlark/meshlark/xds/syncz"
)

// fixed is a source with given proxies.
type fixed struct {
	spec    string
	live    bool
	survey  mesh.Survey
	err     error
	surveys atomic.Int32
}

func (f *fixed) Spec() string { return f.spec }
func (f *fixed) Live() bool   { return f.live }
func (f *fixed) Survey(context.Context) (*mesh.Survey, error) {
	f.surveys.Add(1)
	if f.err != nil {
		return nil, f.err
	}
	sv := f.survey
	return &sv, nil
}

// reader answers with clusters of the given names and counts how often it is asked.
type reader struct {
	store  *resource.Store
	names  []string
	covers mesh.Coverage
	err    error
	block  chan struct{}

	mu    sync.Mutex
	asked []string
}

func (r *reader) Read(ctx context.Context, req mesh.Request) (mesh.Answer, error) {
	r.mu.Lock()
	r.asked = append(r.asked, fmt.Sprintf("%s %s", req.Kind, req.Name))
	r.mu.Unlock()
	if r.block != nil {
		select {
		case <-r.block:
		case <-ctx.Done():
			return mesh.Answer{}, context.Cause(ctx)
		}
	}
	if r.err != nil {
		return mesh.Answer{}, r.err
	}
	var elems []string
	for _, n := range r.names {
		if r.covers == mesh.CoversRequest && !req.Name.Match(n) {
			continue
		}
		elems = append(elems, fmt.Sprintf(`{"cluster":{"@type":"type.googleapis.com/envoy.config.cluster.v3.Cluster","name":%q}}`, n))
	}
	text := `{"configs":[{"@type":"type.googleapis.com/envoy.admin.v3.ClustersConfigDump","dynamic_active_clusters":[` + strings.Join(elems, ",") + `]}]}`
	d, err := dump.Split(r.store, []byte(text), dump.Options{Source: "test"})
	return mesh.Answer{Dump: d, Covers: r.covers, Bytes: int64(len(text))}, err
}

func (r *reader) Admin(context.Context, string, func(io.Reader) error) (int64, error) {
	return 0, fmt.Errorf("stats: %w", mesh.ErrNotAvailable)
}

func names(t *testing.T, c mesh.Config, ctx context.Context, pat string) []string {
	t.Helper()
	p, err := pattern.Parse(pat)
	if err != nil {
		t.Fatal(err)
	}
	rs, err := c.Resources(ctx, resource.Cluster, p)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, r := range rs {
		out = append(out, r.Name())
	}
	return out
}

func onlyProxy(t *testing.T, m *mesh.Mesh) *mesh.Proxy {
	t.Helper()
	res, err := m.Proxies(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if len(res.Items) != 1 {
		t.Fatalf("got %d proxies, want 1", len(res.Items))
	}
	return res.Items[0]
}

// One section of a proxy is fetched once in a generation, and what was fetched serves narrower questions.
func TestGeneration(t *testing.T) {
	ctx := t.Context()
	r := &reader{store: resource.NewStore(), names: []string{"a1", "a2", "b"}}
	m := mesh.New([]mesh.Source{&fixed{spec: "x", survey: mesh.Survey{Proxies: []mesh.Record{{Name: "p", Actual: r}}}}}, mesh.Options{})
	c := onlyProxy(t, m).Config(mesh.Any)

	if got := names(t, c, ctx, "a*"); !cmp.Equal(got, []string{"a1", "a2"}) {
		t.Errorf("a* = %v", got)
	}
	names(t, c, ctx, "a*")
	names(t, c, ctx, "b")
	if want := []string{"cluster a*", "cluster b"}; !cmp.Equal(r.asked, want) {
		t.Errorf("asked %v, want %v", r.asked, want)
	}

	r.asked, r.covers = nil, mesh.CoversKind
	m.Refresh()
	names(t, c, ctx, "a*")
	if got := names(t, c, ctx, "b"); !cmp.Equal(got, []string{"b"}) {
		t.Errorf("b = %v", got)
	}
	names(t, c, ctx, "")
	if want := []string{"cluster a*"}; !cmp.Equal(r.asked, want) {
		t.Errorf("after an answer that covers the kind: asked %v, want %v", r.asked, want)
	}
}

func TestTTL(t *testing.T) {
	now := time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC)
	r := &reader{store: resource.NewStore(), names: []string{"a"}, covers: mesh.CoversKind}
	src := &fixed{spec: "x", survey: mesh.Survey{Proxies: []mesh.Record{{Name: "p", Actual: r}}}}
	m := mesh.New([]mesh.Source{src}, mesh.Options{TTL: 30 * time.Second, Clock: func() time.Time { return now }})
	c := onlyProxy(t, m).Config(mesh.Any)
	names(t, c, t.Context(), "")
	now = now.Add(29 * time.Second)
	names(t, c, t.Context(), "")
	if len(r.asked) != 1 {
		t.Errorf("within the TTL asked %d times, want 1", len(r.asked))
	}
	now = now.Add(2 * time.Second)
	names(t, c, t.Context(), "")
	onlyProxy(t, m)
	if len(r.asked) != 2 || src.surveys.Load() != 2 {
		t.Errorf("past the TTL asked %d times and surveyed %d times, want 2 and 2", len(r.asked), src.surveys.Load())
	}
}

// Askers that come while a section is fetched wait for it; one who gives up does not fail the others.
func TestCoalescing(t *testing.T) {
	r := &reader{store: resource.NewStore(), names: []string{"a"}, covers: mesh.CoversKind, block: make(chan struct{})}
	m := mesh.New([]mesh.Source{&fixed{spec: "x", survey: mesh.Survey{Proxies: []mesh.Record{{Name: "p", Actual: r}}}}}, mesh.Options{})
	c := onlyProxy(t, m).Config(mesh.Any)
	impatient, cancel := context.WithCancel(t.Context())
	errs := make(chan error, 9)
	go func() {
		_, err := c.Resources(impatient, resource.Cluster, pattern.Pattern{})
		errs <- err
	}()
	for {
		r.mu.Lock()
		n := len(r.asked)
		r.mu.Unlock()
		if n == 1 {
			break
		}
		time.Sleep(time.Millisecond)
	}
	for range 8 {
		go func() {
			_, err := c.Resources(t.Context(), resource.Cluster, pattern.Pattern{})
			errs <- err
		}()
	}
	cancel()
	if err := <-errs; !errors.Is(err, context.Canceled) {
		t.Errorf("the one who gave up got %v, want %v", err, context.Canceled)
	}
	close(r.block)
	for range 8 {
		if err := <-errs; err != nil {
			t.Errorf("a patient asker got %v", err)
		}
	}
	if len(r.asked) != 2 {
		t.Errorf("asked %d times, want 2: the abandoned one and one for all others", len(r.asked))
	}
}

func TestPartialSources(t *testing.T) {
	broken := &fixed{spec: "broken", err: &mesh.UnreachableError{Source: "broken", Err: errors.New("connection refused")}}
	good := &fixed{spec: "good", survey: mesh.Survey{Proxies: []mesh.Record{{Name: "p"}}}}
	m := mesh.New([]mesh.Source{broken, good}, mesh.Options{})
	rec := &mesh.Recorder{}
	res, err := m.Proxies(mesh.WithRecorder(t.Context(), rec))
	if err != nil || len(res.Items) != 1 || len(res.Failures) != 1 {
		t.Fatalf("got %d proxies, failures %v, error %v; want 1 proxy and 1 failure", len(res.Items), res.Failures, err)
	}
	if fs := rec.Failures(); len(fs) != 1 || fs[0].Source != "broken" {
		t.Errorf("recorded %v, want the broken source", fs)
	}
	_, err = mesh.New([]mesh.Source{broken, broken}, mesh.Options{}).Proxies(t.Context())
	var unreachable *mesh.UnreachableError
	if !errors.As(err, &unreachable) {
		t.Errorf("all sources broken: error %v, want it to hold an UnreachableError", err)
	}
}

// Two sources that know one proxy by different sides make one proxy; two recordings of it stay two.
func TestJoin(t *testing.T) {
	side := &reader{store: resource.NewStore()}
	envoy := &fixed{spec: "envoy", live: true, survey: mesh.Survey{Proxies: []mesh.Record{{NodeID: "sidecar~10.0.0.1~a-1.ns~ns.svc.cluster.local", Actual: side}}}}
	istiod := &fixed{spec: "istiod", live: true, survey: mesh.Survey{Proxies: []mesh.Record{{Name: "a-1.ns", Desired: side}, {Name: "b-1.ns", Desired: side}}}}
	res, err := mesh.New([]mesh.Source{envoy, istiod}, mesh.Options{}).Proxies(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, p := range res.Items {
		got = append(got, fmt.Sprintf("%s actual=%v desired=%v from %s", p.Name, p.Has(mesh.Actual), p.Has(mesh.Desired), p.Source))
	}
	want := []string{"a-1.ns actual=true desired=true from envoy, istiod", "b-1.ns actual=false desired=true from istiod"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("joined (-want +got):\n%s", diff)
	}
	again := &fixed{spec: "again", survey: envoy.survey}
	res, err = mesh.New([]mesh.Source{envoy, again}, mesh.Options{}).Proxies(t.Context())
	if err != nil || len(res.Items) != 2 {
		t.Errorf("two recordings of one proxy: %d proxies, error %v; want 2", len(res.Items), err)
	}
}

func TestResolve(t *testing.T) {
	no, yes := false, true
	node := func(pod, ip string) string {
		return "sidecar~" + ip + "~" + pod + "~" + pod[strings.LastIndex(pod, ".")+1:] + ".svc.cluster.local"
	}
	src := &fixed{spec: "x", survey: mesh.Survey{Proxies: []mesh.Record{
		{NodeID: node("reviews-v1-6b9c8d7f54-abcde.default", "10.0.0.1"), Metadata: []byte(`{"WORKLOAD_NAME":"reviews-v1"}`), Connected: &no},
		{NodeID: node("reviews-v1-6b9c8d7f54-fghij.default", "10.0.0.2"), Metadata: []byte(`{"WORKLOAD_NAME":"reviews-v1"}`), Connected: &yes},
		{NodeID: node("reviews-v2-5c9c8d7f54-klmno.default", "10.0.0.3"), Metadata: []byte(`{"WORKLOAD_NAME":"reviews-v2"}`)},
		{NodeID: node("ratings-v1-7d9c8d7f54-pqrst.other", "10.0.0.4"), Metadata: []byte(`{"WORKLOAD_NAME":"ratings-v1"}`)},
		{NodeID: "edge-1"},
		{Name: "details-v1-5f9c8d7f54-uvwxy.default", IP: "10.0.0.5"}, // of its pod, which does not tell the id
	}}}
	m := mesh.New([]mesh.Source{src}, mesh.Options{})
	for _, test := range []struct{ name, want, note string }{
		{"reviews-v1-6b9c8d7f54-abcde.default", "reviews-v1-6b9c8d7f54-abcde.default", ""},
		{"reviews-v1-6b9c8d7f54-abcde", "reviews-v1-6b9c8d7f54-abcde.default", ""},
		{"reviews-v1", "reviews-v1-6b9c8d7f54-fghij.default", "1 of 2"},
		{"deploy/reviews-v1", "reviews-v1-6b9c8d7f54-fghij.default", "1 of 2"},
		{"deploy/ratings.other", "ratings-v1-7d9c8d7f54-pqrst.other", ""},
		{"deploy/ratings-v1.other", "ratings-v1-7d9c8d7f54-pqrst.other", ""},
		{"ratings-v1.other", "ratings-v1-7d9c8d7f54-pqrst.other", ""},
		{"rat", "ratings-v1-7d9c8d7f54-pqrst.other", ""},
		{"10.0.0.3", "reviews-v2-5c9c8d7f54-klmno.default", ""},
		{node("reviews-v2-5c9c8d7f54-klmno.default", "10.0.0.3"), "reviews-v2-5c9c8d7f54-klmno.default", ""},
		{node("details-v1-5f9c8d7f54-uvwxy.default", "10.0.0.5"), "details-v1-5f9c8d7f54-uvwxy.default", ""},
		{"*klmno*", "reviews-v2-5c9c8d7f54-klmno.default", ""},
		{"edge-1", "edge-1", ""},
	} {
		p, note, err := m.Proxy(t.Context(), test.name)
		if err != nil {
			t.Errorf("proxy(%q): %v", test.name, err)
			continue
		}
		if p.Name != test.want || !strings.Contains(note, test.note) || (test.note == "") != (note == "") {
			t.Errorf("proxy(%q) = %s, note %q; want %s, note with %q", test.name, p.Name, note, test.want, test.note)
		}
	}
	for name, want := range map[string]string{
		"reviews":    "of several workloads",
		"nothing":    `no proxy "nothing"`,
		"deploy/rat": `no proxy "deploy/rat"`,
		node("details-v1-5f9c8d7f54-uvwxy.default", "10.0.0.6"): "there are: details-v1", // the pod of that name has another address now
		"re:(": "re:(",
	} {
		if _, _, err := m.Proxy(t.Context(), name); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("proxy(%q): error %v, want it to contain %q", name, err, want)
		}
	}
}

// cluster is a fixed source that is a Kubernetes cluster.
type cluster struct {
	*fixed
	namespace string
	services  map[string]map[string]string // by name.namespace
}

func (c cluster) Namespace() string { return c.namespace }

func (c cluster) ServiceSelector(_ context.Context, name, namespace string) (map[string]string, error) {
	if labels, ok := c.services[name+"."+namespace]; ok {
		return labels, nil
	}
	return nil, fmt.Errorf("no service %s of namespace %s", name, namespace)
}

// pod is the record of a proxy in a pod of a workload.
func pod(name, kind, workload string, change ...func(*mesh.Record)) mesh.Record {
	ns := name[strings.LastIndex(name, ".")+1:]
	r := mesh.Record{
		NodeID: "sidecar~10.0.0.1~" + name + "~" + ns + ".svc.cluster.local",
		Metadata: fmt.Appendf(nil, `{"WORKLOAD_NAME":%q,"OWNER":"kubernetes://apis/apps/v1/namespaces/%s/%s/%s","CLUSTER_ID":"c1","LABELS":{"app":%q,"gateway.networking.k8s.io/gateway-name":"gw-%s"}}`,
			workload, ns, kind, workload, workload, workload),
		Actual: &reader{store: resource.NewStore()},
	}
	for _, f := range change {
		f(&r)
	}
	return r
}

func at(connected, ready bool) func(*mesh.Record) {
	return func(r *mesh.Record) { r.Connected, r.Ready = &connected, &ready }
}

// A name without a namespace means a proxy of the user's own namespace first, if one there answers to it at all.
func TestNamespace(t *testing.T) {
	src := cluster{&fixed{spec: "kube:a", live: true, survey: mesh.Survey{Proxies: []mesh.Record{
		pod("web-1.prod", "deployments", "web", at(true, true)),
		pod("web-a-1.shop", "deployments", "web-a", at(true, false)),
		pod("web-a-2.shop", "deployments", "web-a", at(false, true)),
		pod("web-a-3.shop", "deployments", "web-a", at(true, true)),
		pod("db-0.shop", "statefulsets", "db"),
		pod("db-0.prod", "statefulsets", "db"),
		pod("db-x-1.prod", "deployments", "db"),
		pod("log-x2kqz.prod", "daemonsets", "log"),
	}}}, "shop", map[string]map[string]string{"front.shop": {"app": "web-a"}, "front.prod": {"app": "web"}, "all.prod": {"app": "db"}}}
	own := mesh.New([]mesh.Source{src}, mesh.Options{})
	other := mesh.New([]mesh.Source{src}, mesh.Options{Namespace: "prod"})
	for _, test := range []struct {
		mesh             *mesh.Mesh
		query            mesh.Query
		want, note, fail string
	}{
		{own, mesh.Query{Name: "web"}, "web-a-3.shop", "1 of 3 proxies of web-a", ""},
		{other, mesh.Query{Name: "web"}, "web-1.prod", "", ""},
		{own, mesh.Query{Name: "web-1.prod"}, "web-1.prod", "", ""},
		{own, mesh.Query{Name: "web.prod"}, "web-1.prod", "", ""},
		{own, mesh.Query{Name: "web", Namespace: "prod"}, "web-1.prod", "", ""},
		{own, mesh.Query{Name: "log"}, "log-x2kqz.prod", "", ""},
		{own, mesh.Query{Name: "ds/log"}, "log-x2kqz.prod", "", ""},
		{own, mesh.Query{Name: "deploy/log"}, "", "", `no proxy "deploy/log"; there are: log-x2kqz.prod, `},
		{own, mesh.Query{Name: "sts/db"}, "db-0.shop", "", ""},
		{own, mesh.Query{Name: "statefulset/db.prod"}, "db-0.prod", "", ""},
		{other, mesh.Query{Name: "deployment/db"}, "db-x-1.prod", "", ""},
		{other, mesh.Query{Name: "Deployment/db"}, "db-x-1.prod", "", ""},
		{own, mesh.Query{Name: "pod/db-0"}, "db-0.shop", "", ""},
		{own, mesh.Query{Name: "pod/db-0.prod"}, "db-0.prod", "", ""},
		{own, mesh.Query{Name: "rs/web-a"}, "web-a-3.shop", "1 of 3", ""},
		{own, mesh.Query{Name: "gateway/gw-web"}, "web-1.prod", "", ""},
		{own, mesh.Query{Name: "svc/front"}, "web-a-3.shop", "1 of 3 proxies of svc/front", ""},
		{own, mesh.Query{Name: "service/front.prod"}, "web-1.prod", "", ""},
		{other, mesh.Query{Name: "svc/front"}, "web-1.prod", "", ""},
		{own, mesh.Query{Name: "svc/front", Namespace: "prod"}, "web-1.prod", "", ""},
		{own, mesh.Query{Name: "svc/nothing"}, "", "", "no service nothing of namespace shop"},
		{own, mesh.Query{Name: "web-1.prod", Namespace: "shop"}, "", "", `no proxy "web-1.prod"; there are: web-a-1.shop`},
		{own, mesh.Query{Name: "web", ClusterID: "c2"}, "", "", `no proxy "web": the mesh has none`},
	} {
		p, note, err := test.mesh.Find(t.Context(), test.query)
		switch {
		case test.fail != "":
			if err == nil || !strings.Contains(err.Error(), test.fail) {
				t.Errorf("%+v: error %v, want %q", test.query, err, test.fail)
			}
		case err != nil:
			t.Errorf("%+v: %v", test.query, err)
		case p.Name != test.want || !strings.Contains(note, test.note) || (test.note == "") != (note == ""):
			t.Errorf("%+v = %s, note %q; want %s, note with %q", test.query, p.Name, note, test.want, test.note)
		}
	}
	plain := mesh.New([]mesh.Source{src.fixed}, mesh.Options{})
	if _, _, err := plain.Proxy(t.Context(), "svc/front"); !errors.Is(err, mesh.ErrNotAvailable) {
		t.Errorf("a service without a cluster: error %v", err)
	}
}

// Proxies of two clusters are never one, and a name that means one in each is ambiguous, also where nobody gave the clusters ids of their own.
func TestClusters(t *testing.T) {
	id := func(id string) func(*mesh.Record) {
		return func(r *mesh.Record) {
			r.Metadata = []byte(strings.Replace(string(r.Metadata), `"c1"`, `"`+id+`"`, 1))
		}
	}
	open := func(idA, idB string) *mesh.Mesh {
		a := cluster{&fixed{spec: "kube:a", live: true, survey: mesh.Survey{Proxies: []mesh.Record{pod("web-0.shop", "statefulsets", "web", id(idA))}}}, "shop", nil}
		b := cluster{&fixed{spec: "kube:b", live: true, survey: mesh.Survey{Proxies: []mesh.Record{pod("web-0.shop", "statefulsets", "web", id(idB))}}}, "default", nil}
		return mesh.New([]mesh.Source{a, b}, mesh.Options{})
	}
	for _, test := range []struct{ idA, idB, clusters, query, fail string }{
		{"east", "west", "east west", "east", "web-0.shop (cluster east), web-0.shop (cluster west); name one with cluster_id="},
		{"Kubernetes", "Kubernetes", "kube:a kube:b", "kube:a", "web-0.shop (kube:a), web-0.shop (kube:b); name one with cluster_id="},
	} {
		m := open(test.idA, test.idB)
		res, err := m.Proxies(t.Context())
		if err != nil || len(res.Items) != 2 {
			t.Fatalf("%d proxies, error %v; want 2", len(res.Items), err)
		}
		if got, want := res.Items[0].Cluster+" "+res.Items[1].Cluster, test.clusters; got != want {
			t.Errorf("clusters %s, want %s", got, want)
		}
		for _, name := range []string{"web-0.shop", "10.0.0.1"} {
			if _, _, err := m.Proxy(t.Context(), name); err == nil || !strings.Contains(err.Error(), test.fail) {
				t.Errorf("%s: error %v, want %q", name, err, test.fail)
			}
		}
		if p, _, err := m.Find(t.Context(), mesh.Query{Name: "web-0.shop", ClusterID: test.query}); err != nil || p.Source != "kube:a" {
			t.Errorf("in cluster %s: %v, error %v", test.query, p, err)
		}
		if p, _, err := m.Proxy(t.Context(), "sts/web"); err != nil || p.Source != "kube:a" {
			t.Errorf("in the namespace of the context: %v, error %v", p, err) // shop is the own namespace of a only
		}
	}
}

// While a proxy moves from one istiod to another both list it: the newer connection is the one in use, whichever source tells of it first.
func TestReconnect(t *testing.T) {
	moment := time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC)
	connection := func(istiod string, since, sent time.Duration) mesh.Record {
		yes := true
		r := mesh.Record{Name: "web-1.shop", NodeID: "sidecar~10.0.0.1~web-1.shop~shop.svc.cluster.local", Connected: &yes, Istiod: istiod, Revision: istiod + "-rev",
			Desired: &reader{store: resource.NewStore(), names: []string{istiod}, covers: mesh.CoversKind},
			Sync:    &syncz.Client{ProxyID: "web-1.shop", ClusterID: "c1", Istiod: istiod, Types: []syncz.TypeStatus{{Type: "CDS", SentAt: moment.Add(sent)}}}}
		if since != 0 {
			r.Since = moment.Add(since)
		}
		return r
	}
	unconnected := pod("web-1.shop", "deployments", "web", at(false, true))
	source := func(spec string, rs ...mesh.Record) mesh.Source {
		return &fixed{spec: spec, live: true, survey: mesh.Survey{Proxies: rs}}
	}
	for name, records := range map[string][2]mesh.Record{
		"by the time of the connection": {connection("old", 1, 9), connection("new", 2, 3)},
		"by what was sent":              {connection("old", 0, 1), connection("new", 0, 2)},
	} {
		old, now := source("old", records[0]), source("new", records[1])
		pods := source("pods", unconnected)
		for _, order := range [][]mesh.Source{{pods, old, now}, {pods, now, old}, {old, pods, now}, {now, old, pods}, {old, now, pods}} {
			m := mesh.New(order, mesh.Options{})
			p := onlyProxy(t, m)
			if p.Istiod != "new" || p.Connected == nil || !*p.Connected || p.Sync == nil || p.Sync.Istiod != "new" || p.Revision != "new-rev" || p.Workload != "web" ||
				!p.Has(mesh.Actual) || p.Ready == nil || !*p.Ready || p.Labels["app"] != "web" {
				t.Errorf("%s, %v: %+v", name, m.Sources(), p)
			}
			if got := names(t, p.Config(mesh.Desired), t.Context(), ""); !cmp.Equal(got, []string{"new"}) {
				t.Errorf("%s, %v: the desired side is that of %v", name, m.Sources(), got)
			}
		}
	}
	// At another address there is another pod.
	elsewhere := connection("other", 3, 3)
	elsewhere.NodeID = strings.Replace(elsewhere.NodeID, "10.0.0.1", "10.9.9.9", 1)
	res, err := mesh.New([]mesh.Source{source("a", connection("old", 1, 1)), source("b", elsewhere)}, mesh.Options{}).Proxies(t.Context())
	if err != nil || len(res.Items) != 2 {
		t.Errorf("at two addresses: %d proxies, error %v; want 2", len(res.Items), err)
	}
}

// A cluster without a control plane is no failure of a mesh in which another source is one.
func TestExternalControlPlane(t *testing.T) {
	none := fmt.Errorf("no istiod: %w", mesh.ErrNotAvailable)
	pods := &fixed{spec: "kube:a", live: true, survey: mesh.Survey{Failures: []mesh.Failure{{Source: "kube:a", Stage: "istiods", Reason: none.Error(), Err: none}}}}
	plane := &fixed{spec: "istiod", live: true, survey: mesh.Survey{Istiods: []mesh.IstiodRecord{{Name: "istiod"}}}}
	for n, sources := range map[int][]mesh.Source{1: {pods}, 0: {pods, plane}} {
		if res, err := mesh.New(sources, mesh.Options{}).Proxies(t.Context()); err != nil || len(res.Failures) != n {
			t.Errorf("%d sources: failures %v, error %v; want %d", len(sources), res.Failures, err, n)
		}
	}
}

// In one generation a proxy that does not answer in time is waited for once.
func TestHungOnce(t *testing.T) {
	late := &mesh.UnreachableError{Source: "p", Err: fmt.Errorf("no answer: %w", context.DeadlineExceeded)}
	hung, well := &reader{store: resource.NewStore(), err: late}, &reader{store: resource.NewStore(), names: []string{"a"}}
	src := &fixed{spec: "x", live: true, survey: mesh.Survey{Proxies: []mesh.Record{{Name: "hung", Actual: hung}, {Name: "well", Actual: well}}}}
	ask := func(kind resource.Kind) func(context.Context, *mesh.Proxy) ([]string, error) {
		return func(ctx context.Context, p *mesh.Proxy) ([]string, error) {
			if task, ok := mesh.TaskOf(ctx); ok {
				t.Errorf("a task before anything is read: %v", task)
			}
			_, err := p.Config(mesh.Actual).Resources(ctx, kind, pattern.Pattern{})
			return []string{p.Name}, err
		}
	}
	for _, ttl := range []time.Duration{0, time.Minute} {
		hung.asked = nil
		m := mesh.New([]mesh.Source{src}, mesh.Options{TTL: ttl})
		all, err := m.Proxies(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, kind := range []resource.Kind{resource.Cluster, resource.Listener} {
			res, err := mesh.Gather(t.Context(), m, all.Items, "things", ask(kind))
			if err != nil || !cmp.Equal(res.Items, []string{"well"}) || len(res.Failures) != 1 || !errors.Is(res.Failures[0], context.DeadlineExceeded) {
				t.Errorf("%v, failures %v, error %v", res.Items, res.Failures, err)
			}
		}
		if len(hung.asked) != 1 {
			t.Errorf("TTL %v: asked %v, want once", ttl, hung.asked)
		}
		// Whoever asks that proxy alone at a prompt asks on purpose.
		if _, err := mesh.Gather(t.Context(), m, all.Items[:1], "things", ask(resource.Cluster)); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("alone: error %v", err)
		}
		if want := map[time.Duration]int{0: 1, time.Minute: 2}[ttl]; len(hung.asked) != want {
			t.Errorf("TTL %v, alone: asked %v, want %d times", ttl, hung.asked, want)
		}
		m.Refresh()
		mesh.Gather(t.Context(), m, all.Items, "things", ask(resource.Cluster))
		if want := map[time.Duration]int{0: 2, time.Minute: 3}[ttl]; len(hung.asked) != want {
			t.Errorf("TTL %v, refreshed: asked %v, want %d times", ttl, hung.asked, want)
		}
	}
}

// Who hangs is known beyond the time for which the list of proxies is kept, until it answers.
func TestHungBeyondTheList(t *testing.T) {
	late := &mesh.UnreachableError{Source: "p", Err: fmt.Errorf("no answer: %w", context.DeadlineExceeded)}
	hung, well := &reader{store: resource.NewStore(), err: late}, &reader{store: resource.NewStore(), names: []string{"a"}}
	src := &fixed{spec: "x", live: true, survey: mesh.Survey{Proxies: []mesh.Record{{Name: "hung", Actual: hung}, {Name: "well", Actual: well}}}}
	now := time.Unix(1000, 0)
	m := mesh.New([]mesh.Source{src}, mesh.Options{TTL: time.Minute, Clock: func() time.Time { return now }})
	ask := func(ctx context.Context, p *mesh.Proxy) ([]string, error) {
		_, err := p.Config(mesh.Actual).Resources(ctx, resource.Cluster, pattern.Pattern{})
		return []string{p.Name}, err
	}
	for step, test := range []struct {
		proxies int // that are asked for at once
		err     error
		want    int // how often the one that hung has been asked by then
	}{
		{2, late, 1},
		{2, late, 1}, // not again
		{1, nil, 2},  // on purpose, and it answers
		{2, nil, 3},
	} {
		now = now.Add(2 * time.Minute)
		all, err := m.Proxies(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		hung.err = test.err
		res, err := mesh.Gather(t.Context(), m, all.Items[:test.proxies], "things", ask)
		if err != nil || (len(res.Failures) > 0) != (test.err != nil) {
			t.Errorf("step %d: failures %v, error %v", step, res.Failures, err)
		}
		if len(hung.asked) != test.want {
			t.Errorf("step %d: asked %d times, want %d", step, len(hung.asked), test.want)
		}
	}
}

func TestGather(t *testing.T) {
	store := resource.NewStore()
	bad := errors.New("connection reset")
	var records []mesh.Record
	for i := range 5 {
		r := &reader{store: store, names: []string{fmt.Sprint("c", i)}}
		if i == 2 {
			r.err = bad
		}
		records = append(records, mesh.Record{Name: fmt.Sprint("p", i), Actual: r})
	}
	src := &fixed{spec: "x", survey: mesh.Survey{Proxies: records}}
	m := mesh.New([]mesh.Source{src}, mesh.Options{Parallel: 2})
	all, err := m.Proxies(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	ask := func(ctx context.Context, p *mesh.Proxy) ([]string, error) {
		rs, err := p.Config(mesh.Any).Resources(ctx, resource.Cluster, pattern.Pattern{})
		var names []string
		for _, r := range rs {
			names = append(names, r.Name())
		}
		return names, err
	}
	rec := &mesh.Recorder{}
	res, err := mesh.Gather(mesh.WithRecorder(t.Context(), rec), m, all.Items, "clusters", ask)
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{"c0", "c1", "c3", "c4"}; !cmp.Equal(res.Items, want) {
		t.Errorf("got %v, want %v in the order of the proxies", res.Items, want)
	}
	if len(res.Failures) != 1 || res.Failures[0].Proxy != "p2" || !errors.Is(res.Failures[0], bad) {
		t.Errorf("failures %v, want that of p2", res.Failures)
	}
	if len(rec.Failures()) != 1 || rec.Fetched().Requests != 4 {
		t.Errorf("recorded %d failures and %d requests, want 1 and 4", len(rec.Failures()), rec.Fetched().Requests)
	}
	if _, err := mesh.Gather(t.Context(), m, all.Items[2:3], "clusters", ask); !errors.Is(err, bad) {
		t.Errorf("every proxy failed: error %v, want %v", err, bad)
	}
}

func TestMaxFetch(t *testing.T) {
	store := resource.NewStore()
	var records []mesh.Record
	for i := range 40 {
		records = append(records, mesh.Record{Name: fmt.Sprint("p", i), Actual: &reader{store: store, names: []string{"a"}, covers: mesh.CoversKind}})
	}
	src := &fixed{spec: "x", survey: mesh.Survey{Proxies: records}}
	ask := func(ctx context.Context, p *mesh.Proxy) ([]int, error) {
		rs, err := p.Config(mesh.Any).Resources(ctx, resource.Cluster, pattern.Pattern{})
		return make([]int, len(rs)), err
	}
	gather := func(o mesh.Options) (mesh.Result[int], error) {
		m := mesh.New([]mesh.Source{src}, o)
		all, err := m.Proxies(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return mesh.Gather(t.Context(), m, all.Items, "clusters", ask)
	}
	var tooMuch *mesh.TooMuchError
	if _, err := gather(mesh.Options{MaxFetch: 1000}); !errors.As(err, &tooMuch) {
		t.Fatalf("error %v, want a TooMuchError", err)
	}
	if tooMuch.Estimate <= 1000 || tooMuch.Proxies != 40 {
		t.Errorf("estimate %d for %d proxies, want more than the limit, for 40", tooMuch.Estimate, tooMuch.Proxies)
	}
	if res, err := gather(mesh.Options{MaxFetch: 1000, Confirm: func(int64) bool { return true }}); err != nil || len(res.Items) != 40 {
		t.Errorf("confirmed: %d items, error %v; want 40", len(res.Items), err)
	}
	if res, err := gather(mesh.Options{MaxFetch: 1 << 20}); err != nil || len(res.Items) != 40 {
		t.Errorf("below the limit: %d items, error %v; want 40", len(res.Items), err)
	}
}

func TestNow(t *testing.T) {
	wall := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	taken := wall.Add(-48 * time.Hour)
	clock := func() time.Time { return wall }
	recording := &fixed{spec: "r", survey: mesh.Survey{Captured: taken}}
	live := &fixed{spec: "l", live: true}
	for _, test := range []struct {
		what    string
		sources []mesh.Source
		now     time.Time
		want    time.Time
	}{
		{"a recording", []mesh.Source{recording}, time.Time{}, taken},
		{"a live source", []mesh.Source{recording, live}, time.Time{}, wall},
		{"a recording that does not say", []mesh.Source{&fixed{}}, time.Time{}, wall},
		{"an override", []mesh.Source{live}, taken, taken},
	} {
		if got := mesh.New(test.sources, mesh.Options{Clock: clock, Now: test.now}).Now(t.Context()); !got.Equal(test.want) {
			t.Errorf("%s: now = %v, want %v", test.what, got, test.want)
		}
	}
}
