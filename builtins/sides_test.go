package builtins

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/meshlark/meshlark/mesh"
	"github.com/meshlark/meshlark/xds/diff"
	"github.com/meshlark/meshlark/xds/dump"
	"github.com/meshlark/meshlark/xds/resource"
	"github.com/meshlark/meshlark/xds/syncz"
	"go.starlark.net/starlark"
)

// written is a side of a proxy's configuration that a test has written.
type written struct {
	text string
	err  error
}

func (w written) Read(context.Context, mesh.Request) (mesh.Answer, error) {
	if w.err != nil {
		return mesh.Answer{}, w.err
	}
	d, err := dump.Split(resource.NewStore(), []byte(w.text), dump.Options{Source: "written"})
	return mesh.Answer{Dump: d, Covers: mesh.CoversKind, Bytes: int64(len(w.text))}, err
}

func (written) Admin(context.Context, string, func(io.Reader) error) (int64, error) {
	return 0, mesh.ErrNotAvailable
}

type writtenMesh struct {
	spec    string
	records []mesh.Record
}

func (w writtenMesh) Spec() string { return w.spec }
func (w writtenMesh) Live() bool   { return true }
func (w writtenMesh) Survey(context.Context) (*mesh.Survey, error) {
	return &mesh.Survey{Proxies: w.records}, nil
}

// side writes a dump of some hosts of the cluster c, and of secrets.
func side(hosts, secrets []string) written {
	var eds, sds []string
	for _, h := range hosts {
		eds = append(eds, `{"endpoint":{"address":{"socket_address":{"address":"`+h+`","port_value":80}}}}`)
	}
	for _, s := range secrets {
		sds = append(sds, `{"name":"`+s+`","secret":{"@type":"type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret","name":"`+s+`"}}`)
	}
	const any = `"@type":"type.googleapis.com/envoy.`
	return written{text: `{"configs":[` +
		`{` + any + `admin.v3.ClustersConfigDump","dynamic_active_clusters":[{"cluster":{` + any + `config.cluster.v3.Cluster","name":"c","type":"EDS"}}]},` +
		`{` + any + `admin.v3.EndpointsConfigDump","dynamic_endpoint_configs":[{"endpoint_config":{` + any + `config.endpoint.v3.ClusterLoadAssignment","cluster_name":"c","endpoints":[{"lb_endpoints":[` + strings.Join(eds, ",") + `]}]}}]},` +
		`{` + any + `admin.v3.SecretsConfigDump","dynamic_active_secrets":[` + strings.Join(sds, ",") + `]}]}`}
}

var refused = written{err: &mesh.UnreachableError{Source: "there", Err: errors.New("connection refused")}}

func meshOf(spec string, records ...mesh.Record) *mesh.Mesh {
	now := func() time.Time { return fixtureNow }
	return mesh.New([]mesh.Source{writtenMesh{spec, records}}, mesh.Options{Clock: now})
}

// TestShare shows the share of the endpoints of proxies that hold all, some and none of them, that cannot be read, and of which one side
// is not known.
func TestShare(t *testing.T) {
	status := &syncz.Client{Types: []syncz.TypeStatus{{Type: "EDS", Status: syncz.Synced, SentAt: fixtureNow.Add(-time.Minute)}}}
	all := side([]string{"10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.4"}, nil)
	thousand := make([]string, 1000)
	for i := range thousand {
		thousand[i] = fmt.Sprintf("10.0.%d.%d", i/250, i%250)
	}
	m := meshOf("there",
		mesh.Record{Name: "all", Sync: status, Desired: all, Actual: all},
		mesh.Record{Name: "dead", Sync: status, Desired: all, Actual: refused},
		mesh.Record{Name: "more", Sync: status, Desired: side([]string{"10.0.0.1"}, nil), Actual: all},
		mesh.Record{Name: "nearly", Sync: status, Desired: side(thousand, nil), Actual: side(thousand[1:], nil)},
		mesh.Record{Name: "none", Sync: status, Desired: all, Actual: side(nil, nil)},
		mesh.Record{Name: "nothing", Sync: status, Desired: side(nil, nil), Actual: all},
		mesh.Record{Name: "some", Sync: status, Desired: all, Actual: side([]string{"10.0.0.3", "10.0.0.9"}, nil)},
		mesh.Record{Name: "unknown", Sync: status, Desired: all},
	)
	ctx := t.Context()
	thread, host, env := newThread(t, ctx, nil)
	host.m = m
	v, err := starlark.EvalOptions(dialect, thread, "share.star", `proxies(share=True)`, env)
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, p := range v.(*Collection).items {
		got[p.(*Proxy).p.Name] = syncCell(p.(*Proxy), "EDS")
	}
	want := map[string]string{
		"all": "SYNCED (100%, 1m)", "dead": "SYNCED (1m)", "more": "SYNCED (100%, 1m)", "nearly": "SYNCED (99%, 1m)", "none": "SYNCED (0%, 1m)",
		"nothing": "SYNCED (100%, 1m)", "some": "SYNCED (25%, 1m)", "unknown": "SYNCED (1m)",
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("cells (-want +got):\n%s", d)
	}
	if fs := v.(*Collection).failures; len(fs) != 1 || fs[0].Proxy != "dead" {
		t.Errorf("failures: %v", fs)
	}
	if _, err := starlark.EvalOptions(dialect, thread, "share.star", `proxy("dead").eds_share()`, env); err == nil || !strings.Contains(err.Error(), "connection refused") {
		t.Errorf("the share of a proxy that cannot be read: %v", err)
	}
}

// TestSidesOfMeshes compares a mesh as a control plane knows it with the same as its proxies know it, in both directions: the agent's own
// secrets make no difference, those of the control plane do.
func TestSidesOfMeshes(t *testing.T) {
	sent := side([]string{"10.0.0.1", "10.0.0.2"}, []string{"kubernetes://a"})
	same := side([]string{"10.0.0.2", "10.0.0.1"}, []string{"ROOTCA", "default", "kubernetes://a"})
	other := side([]string{"10.0.0.1"}, []string{"ROOTCA", "default", "kubernetes://old"})
	istiod := meshOf("istiod", mesh.Record{Name: "a", Desired: sent}, mesh.Record{Name: "b", Desired: sent}, mesh.Record{Name: "c", Desired: sent})
	envoys := meshOf("envoys", mesh.Record{Name: "a", Actual: same}, mesh.Record{Name: "b", Actual: other}, mesh.Record{Name: "c", Actual: refused})
	list := func(d *Diff) (out []string) {
		for _, v := range d.Changes().items {
			c := v.(*change)
			out = append(out, strings.Join([]string{c.proxy, string(c.op), string(c.kind), c.name, c.path}, " "))
		}
		return out
	}
	there, err := Compare(t.Context(), istiod, envoys, diff.Options{})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"b removed secret kubernetes://a .",
		"b added secret kubernetes://old .",
		"b removed endpoint c endpoints[0].lb_endpoints[10.0.0.2:80]",
	}
	got := list(there)
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("changes (-want +got):\n%s", d)
	}
	if got := there.Summary(); got != "Proxies Don't Match: 1 changed; 1 match" {
		t.Error(got)
	}
	if fs := there.Failures(); len(fs) != 1 || fs[0].Proxy != "c" {
		t.Errorf("failures: %v", fs)
	}
	back, err := Compare(t.Context(), envoys, istiod, diff.Options{})
	if err != nil {
		t.Fatal(err)
	}
	turned := list(back)
	for i, line := range turned {
		turned[i] = strings.NewReplacer("removed", "added", "added", "removed").Replace(line)
	}
	if d := cmp.Diff(map[string]bool{got[0]: true, got[1]: true, got[2]: true}, map[string]bool{turned[0]: true, turned[1]: true, turned[2]: true}); d != "" {
		t.Errorf("the other way (-there +back):\n%s", d)
	}
	if _, err := Compare(t.Context(), meshOf("x", mesh.Record{Name: "c", Desired: sent}), meshOf("y", mesh.Record{Name: "c", Actual: refused}), diff.Options{}); err == nil {
		t.Error("comparing with a proxy that cannot be read did not fail")
	}
}

// TestHas shows that who was asked for a kind and sent none has none, while a dump without its section does not tell.
func TestHas(t *testing.T) {
	thread, host, env := newThread(t, t.Context(), nil)
	host.m = meshOf("there", mesh.Record{Name: "a", Actual: side(nil, nil)})
	for src, want := range map[string]starlark.Bool{
		`proxy("a").has("cluster")`:  true,
		`proxy("a").has("listener")`: true,
		`config_dump({"configs": [{"@type": "type.googleapis.com/envoy.admin.v3.ClustersConfigDump"}]}).has("cluster")`:  true,
		`config_dump({"configs": [{"@type": "type.googleapis.com/envoy.admin.v3.ClustersConfigDump"}]}).has("listener")`: false,
	} {
		if got, err := starlark.EvalOptions(dialect, thread, "has.star", src, env); err != nil || got != want {
			t.Errorf("%s = %v, %v", src, got, err)
		}
	}
}
