package e2e

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/meshlark/meshlark/lab"
)

// compareStatus compares what `istioctl proxy-status -v 1` prints of the proxies of a revision with what meshlark says of them, from the debug
// interface of its istiod and from the cluster: name, cluster, version, istiod and the state of each type. Ages are left out, as the programs look at
// different moments; the name of the istiod is, of its debug interface, which does not tell.
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
		want[columns["NAME"]] = columns
	}
	direct := status(t, sources("istiod+"+mesh.Istiod(revision).Debug), "proxies()", heads)
	for name, columns := range direct {
		if want[name] != nil {
			columns["ISTIOD"] = want[name]["ISTIOD"]
		}
	}
	if diff := gocmp.Diff(want, direct); diff != "" {
		t.Errorf("proxy-status of revision %s by its istiod (-istioctl +meshlark):\n%s", revision, diff)
	}
	got := status(t, cluster, fmt.Sprintf("[p for p in proxies(connected=True) if p.istiod == %q]", mesh.Istiod(revision).Name), heads)
	if diff := gocmp.Diff(want, got); diff != "" {
		t.Errorf("proxy-status of revision %s by the cluster (-istioctl +meshlark):\n%s", revision, diff)
	}
	return got
}

// status asks for proxies and writes them as the row of proxy-status with the given heads, by name.
func status(t *testing.T, sources []string, expr string, heads []string) map[string]map[string]string {
	t.Helper()
	type proxy struct {
		Name, Istiod                  string
		CDS, LDS, EDS, RDS, SDS, ECDS *string
		ClusterID                     string `json:"cluster_id"`
		IstioVersion                  string `json:"istio_version"`
	}
	got := map[string]map[string]string{}
	for _, p := range items[proxy](t, sources, expr) {
		columns := map[string]string{"NAME": p.Name, "CLUSTER": p.ClusterID, "ISTIOD": p.Istiod, "VERSION": p.IstioVersion}
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
	want := []string{"details-v1", "istio-ingressgateway", "productpage-v1", "ratings-v1", "reviews-v1", "reviews-v2", "reviews-v3"}
	for _, sources := range [][]string{istiods(), cluster, reader} {
		got := items[string](t, sources, "sorted([p.workload for p in proxies()])")
		if diff := gocmp.Diff(want, got); diff != "" {
			t.Errorf("the proxies of both revisions by %s (-want +got):\n%s", sources, diff)
		}
	}
	got := items[string](t, cluster, `[i.revision + ": " + i.version for i in istiods()]`)
	if diff := gocmp.Diff([]string{"default: " + mesh.IstioVersion, "canary: " + mesh.IstioVersion}, got); diff != "" {
		t.Errorf("the istiods (-want +got):\n%s", diff)
	}
}

// The question that meshlark was made for.
func TestStale(t *testing.T) {
	undo, err := mesh.Stale(t.Context(), "reviews-v1")
	play(t, undo, err)
	stale := mesh.Envoy("reviews-v1").ID()
	for _, sources := range [][]string{istiods(), cluster} {
		got := items[string](t, sources, `[p.name for p in proxies() if p.rds == "STALE"]`)
		if diff := gocmp.Diff([]string{stale}, got); diff != "" {
			t.Errorf("stale proxies by %s (-want +got):\n%s", sources, diff)
		}
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
	for _, sources := range [][]string{istiods(), cluster} {
		reasons := items[string](t, sources, `[p.name + ": " + p.sync.cds.error for p in proxies(cds="ERROR")]`)
		if len(reasons) != 1 || !strings.HasPrefix(reasons[0], rejecting+": ") || !strings.Contains(reasons[0], "RingHashLbConfig") {
			t.Errorf("reasons of rejections by %s: %.500q", sources, reasons)
		}
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
	for _, sources := range [][]string{sources(e.Admin), cluster} {
		if diff := gocmp.Diff([]string{secret}, items[string](t, sources, `[s.name for s in secrets(state="warming")]`)); diff != "" {
			t.Errorf("warming secrets by %s (-want +got):\n%s", sources, diff)
		}
		if got := items[string](t, sources, `[l.name for l in listeners(state="warming")]`); len(got) != 1 {
			t.Errorf("warming listeners by %s: %q, want one", sources, got)
		}
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
	for _, sources := range [][]string{sources(e.Admin), cluster} {
		if got := items[string](t, sources, `[e.name for e in endpoints() if e.outlier == "FAILED"]`); len(got) != 2 {
			t.Errorf("ejected endpoints by %s: %q, want 2", sources, got)
		}
	}
	for _, k := range kinds {
		if k.name == "endpoint" || k.name == "cluster" {
			k.compare(t, e)
		}
	}
}

// A sidecar that no istiod knows, which istioctl never shows, is in the overview as what it is.
func TestNeverConnected(t *testing.T) {
	undo, err := mesh.NeverConnected(t.Context())
	play(t, undo, err)
	type proxy struct {
		Workload  string
		Connected *bool
		CDS       *string
	}
	got := items[proxy](t, cluster, "proxies(connected=False)")
	no := false
	if diff := gocmp.Diff([]proxy{{Workload: "sleep-v1", Connected: &no}}, got); diff != "" {
		t.Errorf("proxies that are not connected (-want +got):\n%s", diff)
	}
	if n := items[int](t, cluster, "[len(proxies())]"); n[0] != 8 {
		t.Errorf("%d proxies, want the seven that are connected and the one that is not", n[0])
	}
	compareStatus(t, "default")
	// Its Envoy does not listen; the others answer nevertheless.
	answered, missing := partly[string](t, cluster, "sorted({c.proxy.workload: 1 for c in clusters()})")
	if len(answered) != 7 || len(missing) != 1 || !strings.HasPrefix(missing[0].Proxy, "sleep-v1-") || !strings.Contains(missing[0].Reason, "nothing listens on port 15000 in pod sleep-v1") {
		t.Errorf("answers of %q, want all seven that run; missing are %+v", answered, missing)
	}
}

// An istiod that goes away while it is asked takes its own answer with it and no other.
func TestIstiodKilledWhileAsked(t *testing.T) {
	canary := mesh.Istiod("canary")
	restart(t, canary)
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

// restart has an istiod end and start again at the end of the test.
func restart(t *testing.T, i *lab.Istiod) {
	t.Cleanup(func() {
		ctx := context.Background()
		if err := i.Kill(); err != nil {
			t.Error(err)
		}
		if err := i.Start(ctx); err != nil {
			t.Fatal(err)
		}
		if err := mesh.Healthy(ctx); err != nil {
			t.Error(err)
		}
	})
}
