package e2e

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/meshlark/meshlark/lab"
)

// compareStatus compares what `istioctl proxy-status -v 1` prints of the proxies of a revision, and what meshlark says of them from the debug interface
// of its istiod: name, cluster, version and the state of each type. Ages are left out, as the two look at different moments, and so is the name of
// the istiod, which its debug interface does not tell.
func compareStatus(t *testing.T, revision string) map[string]map[string]string {
	t.Helper()
	table := istioctl(t, "proxy-status", "-v", "1", "--revision", revision)
	heads := strings.Fields(strings.SplitN(table, "\n", 2)[0])
	want := map[string]map[string]string{}
	for _, row := range cells(t, table, heads...) {
		columns := map[string]string{}
		for i, head := range heads {
			// "SYNCED (21s)", "NOT SENT"
			state, _, _ := strings.Cut(row[i], " (")
			columns[head] = state
		}
		delete(columns, "ISTIOD")
		name := columns["NAME"]
		delete(columns, "NAME")
		want[name] = columns
	}

	type proxy struct {
		Name, Version, Cluster        string
		CDS, LDS, EDS, RDS, SDS, ECDS *string
		ClusterID                     string `json:"cluster_id"`
		IstioVersion                  string `json:"istio_version"`
	}
	got := map[string]map[string]string{}
	for _, p := range items[proxy](t, sources("istiod+"+mesh.Istiod(revision).Debug), "proxies()") {
		columns := map[string]string{"CLUSTER": p.ClusterID, "VERSION": p.IstioVersion}
		for kind, state := range map[string]*string{"CDS": p.CDS, "LDS": p.LDS, "EDS": p.EDS, "RDS": p.RDS, "SDS": p.SDS, "ECDS": p.ECDS} {
			switch {
			case !slices.Contains(heads, kind): // nobody watches it
				if state != nil {
					t.Errorf("istioctl has no column %s, but for %s meshlark says %s", kind, p.Name, *state)
				}
			case state == nil:
				columns[kind] = "IGNORED"
			default:
				columns[kind] = strings.ReplaceAll(*state, "_", " ")
			}
		}
		got[p.Name] = columns
	}
	if diff := gocmp.Diff(want, got); diff != "" {
		t.Errorf("proxy-status of revision %s (-istioctl +meshlark):\n%s", revision, diff)
	}
	return got
}

func TestProxyStatusIsIstioctls(t *testing.T) {
	for revision, proxies := range map[string]int{"default": 5, "canary": 2} {
		t.Run(revision, func(t *testing.T) {
			got := compareStatus(t, revision)
			if len(got) != proxies {
				t.Errorf("%d proxies, the mesh has %d", len(got), proxies)
			}
			for name, columns := range got {
				if columns["CDS"] != "SYNCED" || columns["LDS"] != "SYNCED" {
					t.Errorf("%s is not synced: %v", name, columns)
				}
			}
		})
	}
}

// istioctl asks one revision at a time, meshlark all that it is given.
func TestRevisions(t *testing.T) {
	got := items[string](t, istiods(), "sorted([p.workload for p in proxies()])")
	want := []string{"details-v1", "istio-ingressgateway", "productpage-v1", "ratings-v1", "reviews-v1", "reviews-v2", "reviews-v3"}
	if diff := gocmp.Diff(want, got); diff != "" {
		t.Errorf("the proxies of both revisions (-want +got):\n%s", diff)
	}
}

// The question that meshlark was made for.
func TestStale(t *testing.T) {
	undo, err := mesh.Stale(t.Context(), "reviews-v1")
	play(t, undo, err)
	stale := mesh.Envoy("reviews-v1").ID()
	got := items[string](t, istiods(), `[p.name for p in proxies() if p.rds == "STALE"]`)
	if diff := gocmp.Diff([]string{stale}, got); diff != "" {
		t.Errorf("stale proxies (-want +got):\n%s", diff)
	}
	if got := compareStatus(t, "default")[stale]["RDS"]; got != "STALE" {
		t.Errorf("the stale proxy has RDS %s", got)
	}
	// Stale for as long as nothing has been acknowledged since, which is more than no time.
	ages := items[bool](t, istiods(), `[p.sync.rds.age > time.parse_duration("0s") and p.sync.rds.sent != p.sync.rds.acked for p in proxies(rds="STALE")]`)
	if diff := gocmp.Diff([]bool{true}, ages); diff != "" {
		t.Errorf("whether the stale proxy says how long it has been (-want +got):\n%s", diff)
	}
	// The Envoy itself does not answer; the question ends when it has to.
	silent := runProgram(t, meshlark, append(sources(mesh.Envoy("reviews-v1").Admin), "--timeout", "2s", "-e", "clusters()")...)
	if silent.status != 4 || silent.stdout != "" {
		t.Errorf("asking the stopped Envoy: exit status %d, want 4, and nothing but what went wrong:\n%s%s", silent.status, silent.stdout, silent.stderr)
	}
}

// What istioctl has and never prints: why a proxy rejected its configuration.
func TestNack(t *testing.T) {
	undo, err := mesh.Nack(t.Context(), "details-v1")
	play(t, undo, err)
	rejecting := mesh.Envoy("details-v1").ID()
	if got := compareStatus(t, "default")[rejecting]["CDS"]; got != "ERROR" {
		t.Errorf("the proxy that rejects has CDS %s", got)
	}
	reasons := items[string](t, istiods(), `[p.name + ": " + p.sync.cds.error for p in proxies(cds="ERROR")]`)
	if len(reasons) != 1 || !strings.HasPrefix(reasons[0], rejecting+": ") || !strings.Contains(reasons[0], "RingHashLbConfig") {
		t.Errorf("reasons of rejections: %.500q", reasons)
	}
}

func TestNotSent(t *testing.T) {
	undo, err := mesh.NotSent(t.Context())
	play(t, undo, err)
	e := mesh.Envoy("istio-egressgateway")
	if got := compareStatus(t, "default")[e.ID()]["SDS"]; got != "NOT SENT" {
		t.Errorf("the gateway that is sent no secret has SDS %s", got)
	}
	warming(t, e, "kubernetes://bookinfo-cert")
}

func TestWarmingSecret(t *testing.T) {
	undo, err := mesh.WarmingSecret(t.Context())
	play(t, undo, err)
	warming(t, mesh.Envoy("istio-ingressgateway"), "kubernetes://no-such-cert")
}

// warming looks for a secret that an Envoy waits for and the listener that waits with it, which istioctl does not show.
func warming(t *testing.T, e *lab.Envoy, secret string) {
	t.Helper()
	if diff := gocmp.Diff([]string{secret}, items[string](t, sources(e.Admin), `[s.name for s in secrets(state="warming")]`)); diff != "" {
		t.Errorf("warming secrets (-want +got):\n%s", diff)
	}
	if got := items[string](t, sources(e.Admin), `[l.name for l in listeners(state="warming")]`); len(got) != 1 {
		t.Errorf("warming listeners: %q, want one", got)
	}
	for _, k := range kinds {
		if k.name == "secret" || k.name == "listener" {
			k.compare(t, e)
		}
	}
}

func TestEjected(t *testing.T) {
	undo, err := mesh.Ejected(t.Context())
	play(t, undo, err)
	e := mesh.Envoy("istio-ingressgateway")
	if got := items[string](t, sources(e.Admin), `[e.name for e in endpoints() if e.outlier == "FAILED"]`); len(got) != 2 {
		t.Errorf("ejected endpoints: %q, want 2", got)
	}
	for _, k := range kinds {
		if k.name == "endpoint" || k.name == "cluster" {
			k.compare(t, e)
		}
	}
}

// An istiod that goes away while it is asked takes its own answer with it and no other.
func TestIstiodKilledWhileAsked(t *testing.T) {
	canary := mesh.Istiod("canary")
	t.Cleanup(func() {
		ctx := context.Background()
		if err := canary.Kill(); err != nil {
			t.Error(err)
		}
		if err := canary.Start(ctx); err != nil {
			t.Fatal(err)
		}
		if err := mesh.Healthy(ctx); err != nil {
			t.Error(err)
		}
	})
	// Stopped, it takes the question and does not answer.
	if err := canary.Pause(); err != nil {
		t.Fatal(err)
	}
	killer := time.AfterFunc(time.Second, func() { canary.Kill() })
	defer killer.Stop()
	got := runProgram(t, meshlark, append(istiods(), "-e", "[p.workload for p in proxies()]", "-o", "json")...)
	if got.status != 5 {
		t.Errorf("exit status %d, want 5 for an answer with something left out; it said:\n%s", got.status, got.stderr)
	}
	if !strings.Contains(got.stdout, "reviews-v1") || strings.Contains(got.stdout, "reviews-v3") {
		t.Errorf("want the proxies of the other istiod, got:\n%s", got.stdout)
	}
	if !strings.Contains(got.stderr, canary.Address) {
		t.Errorf("what was left out does not name %s:\n%s", canary.Debug, got.stderr)
	}
}
