package builtins

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/meshlark/meshlark/mesh"
	"github.com/meshlark/meshlark/xds/dump"
	"github.com/meshlark/meshlark/xds/rawjson"
	"github.com/meshlark/meshlark/xds/resource"
	"github.com/meshlark/meshlark/xds/syncz"
	"go.starlark.net/starlark"
	"go.starlark.net/syntax"
)

// The fixture is a mesh of four proxies: productpage-v1, whose Envoy's answers
// were recorded and whose desired configuration is the same dump; two of
// reviews-v1, of which the second cannot be reached and the first has the
// configuration of productpage-v1 but no other answers; and a gateway that no
// source can read.
const (
	recorded    = "../xds/dump/testdata/envoy-1.40/"
	productpage = "productpage-v1-abc.default"
)

// fixtureNow is the fixture's time of capture. The sync status speaks of the
// minutes before it.
var fixtureNow = time.Date(2026, 11, 24, 10, 0, 0, 0, time.UTC)

type fixture struct {
	store *resource.Store
	mu    sync.Mutex
	dumps int      // how often a dump was read
	asked []string // the objects that were asked for
}

func (f *fixture) Spec() string                   { return "fixture" }
func (f *fixture) Live() bool                     { return false }
func (f *fixture) UseStore(store *resource.Store) { f.store = store }

func (f *fixture) Survey(context.Context) (*mesh.Survey, error) {
	yes, no := true, false
	node := func(pod string) string { return "sidecar~10.0.0.5~" + pod + ".default~default.svc.cluster.local" }
	meta := func(app, version string) rawjson.Value {
		return rawjson.Value(fmt.Sprintf(`{"NAMESPACE":"default","CLUSTER_ID":"Kubernetes","ISTIO_VERSION":"1.31.0","WORKLOAD_NAME":"%s-%s","LABELS":{"app":"%[1]s","version":"%[2]s"}}`, app, version))
	}
	status := func(typ string, s syncz.Status, ago time.Duration, reason string) syncz.TypeStatus {
		t := syncz.TypeStatus{Type: typ, TypeURL: "type.googleapis.com/" + typ, Status: s, SentNonce: "n2", AckedNonce: "n2", Error: reason}
		if s == syncz.Stale || s == syncz.Rejected {
			t.AckedNonce = "n1"
		}
		if s == syncz.NotSent {
			t.SentNonce, t.AckedNonce = "", ""
		} else {
			t.SentAt = fixtureNow.Add(-ago)
		}
		return t
	}
	client := func(pod string, types ...syncz.TypeStatus) *syncz.Client {
		return &syncz.Client{ProxyID: pod + ".default", Types: types}
	}
	return &mesh.Survey{
		Captured: fixtureNow,
		Proxies: []mesh.Record{
			{NodeID: node("productpage-v1-abc"), Metadata: meta("productpage", "v1"), Connected: &yes, Istiod: "istiod-1", Actual: recording{f, true}, Desired: recording{f, false}, ADS: recording{f, false},
				Sync: client("productpage-v1-abc", status("CDS", syncz.Synced, time.Minute, ""), status("LDS", syncz.Synced, time.Minute, ""), status("EDS", syncz.Synced, 10*time.Second, ""), status("RDS", syncz.Stale, 5*time.Minute, ""))},
			{NodeID: node("reviews-v1-x1"), Metadata: meta("reviews", "v1"), Connected: &yes, Istiod: "istiod-1", Actual: recording{f, false},
				Sync: client("reviews-v1-x1", status("CDS", syncz.Rejected, time.Hour, "no such filter"), status("LDS", syncz.Synced, time.Minute, ""), status("RDS", syncz.NotSent, 0, ""))},
			{NodeID: node("reviews-v1-x2"), Metadata: meta("reviews", "v1"), Connected: &no, Actual: unreachable{}},
		},
		Istiods: []mesh.IstiodRecord{{Name: "istiod-1", Version: "1.31.0", Revision: "default", Debug: func(_ context.Context, path string) ([]byte, error) {
			if path != "syncz" {
				return nil, errors.New("refused")
			}
			return []byte(`[{"proxy": "productpage-v1-abc.default"}]`), nil
		}}},
	}, nil
}

// recording answers with recorded files.
type recording struct {
	f   *fixture
	all bool // the answers other than the dump too
}

func (r recording) Read(context.Context, mesh.Request) (mesh.Answer, error) {
	r.f.mu.Lock()
	r.f.dumps++
	r.f.mu.Unlock()
	src, err := os.ReadFile(recorded + "config_dump.json")
	if err != nil {
		return mesh.Answer{}, err
	}
	d, err := dump.Split(r.f.store, src, dump.Options{Source: "config_dump.json"})
	return mesh.Answer{Dump: d, Covers: mesh.CoversAll, Bytes: int64(len(src))}, err
}

func (r recording) Admin(_ context.Context, path string, read func(io.Reader) error) (int64, error) {
	name, _, _ := strings.Cut(path, "?")
	if !r.all {
		return 0, fmt.Errorf("%s: %w", name, mesh.ErrNotAvailable)
	}
	file := recorded + name + ".json"
	if name == "stats" {
		file += ".gz"
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return 0, err
	}
	if name != "stats" {
		return int64(len(text)), read(bytes.NewReader(text))
	}
	gz, err := gzip.NewReader(bytes.NewReader(text))
	if err != nil {
		return 0, err
	}
	return int64(len(text)), read(gz)
}

// unreachable is a proxy that does not answer.
type unreachable struct{}

func (unreachable) Read(context.Context, mesh.Request) (mesh.Answer, error) {
	return mesh.Answer{}, &mesh.UnreachableError{Source: "fixture", Err: errors.New("connection refused")}
}

func (unreachable) Admin(context.Context, string, func(io.Reader) error) (int64, error) {
	return 0, &mesh.UnreachableError{Source: "fixture", Err: errors.New("connection refused")}
}

func newFixture() (*mesh.Mesh, *fixture) {
	f := &fixture{}
	return mesh.New([]mesh.Source{f}, mesh.Options{Name: "fixture"}), f
}

// testHost is the least of a session.
type testHost struct {
	m           *mesh.Mesh
	checks      []Check
	notes       []string
	generations int
	slept       time.Duration
	files       map[string]string
}

func (h *testHost) Mesh() *mesh.Mesh { return h.m }
func (h *testHost) MeshError() error { return errors.New("no mesh is open: name one with --source") }
func (h *testHost) OpenMesh(_ context.Context, spec string) (*mesh.Mesh, error) {
	return nil, fmt.Errorf("cannot open %s", spec)
}
func (h *testHost) ReadFile(_ *starlark.Thread, path string) ([]byte, error) {
	if s, ok := h.files[path]; ok {
		return []byte(s), nil
	}
	return nil, os.ErrNotExist
}
func (h *testHost) WriteFile(path string, data []byte) error {
	if h.files == nil {
		h.files = map[string]string{}
	}
	h.files[path] = string(data)
	return nil
}
func (h *testHost) RecordCheck(_ *starlark.Thread, c Check) error {
	h.checks = append(h.checks, c)
	return nil
}
func (h *testHost) Arg(_ *starlark.Thread, spec ArgSpec) (starlark.Value, error) {
	return spec.Default, nil
}
func (h *testHost) RunRunbook(_ *starlark.Thread, name string, _ []starlark.Value, _ map[string]starlark.Value) (starlark.Value, error) {
	if name != "stale" {
		return nil, fmt.Errorf("no runbook %s", name)
	}
	return NewChecks([]Check{{ID: "stale-rds", Subject: productpage, Severity: SeverityError, Runbook: name}, {Message: "no gateway", Skipped: true, Severity: SeverityInfo, Runbook: name}}), nil
}
func (h *testHost) NewGeneration() { h.generations++; h.m.Refresh() }
func (h *testHost) Sleep(ctx context.Context, d time.Duration) error {
	h.slept += d
	return context.Cause(ctx)
}
func (h *testHost) Now() time.Time { return h.m.Now(context.Background()) }
func (h *testHost) Note(format string, args ...any) {
	h.notes = append(h.notes, fmt.Sprintf(format, args...))
}
func (h *testHost) Show(starlark.Value) (string, bool) { return "", false }

// dialect is the one session uses for scripts.
var dialect = &syntax.FileOptions{Set: true, While: true, TopLevelControl: true, GlobalReassign: true, Recursion: true}

// newThread makes a thread on the fixture whose print goes to the writer.
func newThread(t testing.TB, ctx context.Context, out io.Writer) (*starlark.Thread, *testHost, starlark.StringDict) {
	t.Helper()
	if _, err := os.Stat(recorded + "config_dump.json"); err != nil {
		t.Fatal("the recorded answers of Envoy are missing:", err)
	}
	m, _ := newFixture()
	h := &testHost{m: m}
	thread := &starlark.Thread{Name: t.Name(), Print: func(_ *starlark.Thread, s string) { fmt.Fprintln(out, s) }}
	Bind(thread, ctx, h)
	env := Predeclared()
	env["mesh"] = NewMesh(m)
	return thread, h, env
}
