package e2e

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/meshlark/meshlark/kube"
	"github.com/meshlark/meshlark/lab"
)

var seedFlag = flag.Uint64("seed", 0, "the seed of what breaks where, to see it again; 0 for any")

// endsBy says whether a run ended soon enough after its deadline.
func endsBy(t *testing.T, got answer, deadline time.Duration) {
	t.Helper()
	// What is more is for a program that starts and ends on a machine that is busy.
	if got.took > deadline+5*time.Second {
		t.Errorf("it took %v, and had %v:\n%s", got.took, deadline, got.stderr)
	}
}

// Tunnels that break or fall silent at any point of a run leave an answer that says what it lacks, or none that says why, within the time that it had.
func TestTunnelsBreakAnywhere(t *testing.T) {
	const tries = 32
	seed := *seedFlag
	if seed == 0 {
		seed = rand.Uint64()
	}
	random := rand.New(rand.NewPCG(seed, 0))
	const expr = `[c.proxy.name + " " + c.name for c in clusters(state="*")] + [l.proxy.name + " " + l.name for l in listeners(state="*")]`
	whole := map[string]int{} // rows by proxy
	for _, row := range items[string](t, reader, expr) {
		proxy, _, _ := strings.Cut(row, " ")
		whole[proxy]++
	}
	if len(whole) != len(mesh.Envoys()) {
		t.Fatalf("answers of %d proxies, want %d", len(whole), len(mesh.Envoys()))
	}
	var pods []string
	for _, e := range mesh.Envoys() {
		pods = append(pods, e.ID())
	}
	for _, i := range mesh.Istiods() {
		pods = append(pods, i.ID())
	}
	// Half of the runs are of a user whose tunnels are by SPDY, as those of older clusters are.
	spdy := user{"spdy-only", []rule{
		{kube.Access{Verb: "list", Resource: "pods"}, ""}, {kube.Access{Verb: "get", Resource: "pods"}, ""},
		{kube.Access{Verb: "create", Resource: "pods", Subresource: "portforward"}, ""},
	}}
	grant(t, []user{spdy})
	users := [][]string{reader, append(slices.Clone(cluster), "--as", spdy.name)}
	statuses := map[int]int{}
	for try := range tries {
		const deadline = 3 * time.Second
		how := ""
		var timers []*time.Timer
		random.Shuffle(len(pods), func(i, j int) { pods[i], pods[j] = pods[j], pods[i] })
		broken := pods[:1+random.IntN(3)]
		for _, pod := range broken {
			switch f := (lab.Fault{After: random.Int64N(150_000), Hang: random.IntN(10) == 0}); random.IntN(3) {
			case 0:
				after := time.Duration(random.IntN(150)) * time.Millisecond
				timers = append(timers, time.AfterFunc(after, func() { mesh.Kubelet.Cut(pod) }))
				how += fmt.Sprintf("%s is cut after %v; ", pod, after)
			case 1:
				f.After /= 1000 // in the head of an answer
				fallthrough
			default:
				mesh.Kubelet.SetFault(pod, &f)
				how += fmt.Sprintf("%s breaks as of %+v; ", pod, f)
			}
		}
		got := runProgram(t, meshlark, append(slices.Clone(users[try%len(users)]), "--timeout", deadline.String(), "-e", expr, "-o", "json")...)
		for _, timer := range timers {
			timer.Stop()
		}
		for _, pod := range pods {
			mesh.Kubelet.SetFault(pod, nil)
			mesh.Kubelet.Cut(pod)
		}
		statuses[got.status]++
		fail := func(what string) {
			t.Errorf("seed %d, try %d: %s: %s; exit status %d:\n%.2000s\n%s", seed, try, how, what, got.status, got.stdout, got.stderr)
		}
		endsBy(t, got, deadline)
		var doc struct {
			Items  []string
			Errors []failure
		}
		rows := map[string]int{}
		switch got.status {
		case 4:
			if !slices.ContainsFunc(broken, func(pod string) bool { return strings.Contains(got.stderr, strings.SplitN(pod, ".", 2)[0]) }) && !strings.Contains(got.stderr, "time") {
				fail("it does not say why there is no answer")
			}
			continue
		case 0, 5:
			doc = read[struct {
				Items  []string
				Errors []failure
			}](t, []byte(got.stdout))
			for _, row := range doc.Items {
				proxy, _, _ := strings.Cut(row, " ")
				rows[proxy]++
			}
		default:
			fail("what goes wrong in a tunnel has status 0, 4 or 5")
			continue
		}
		if (got.status == 0) != (len(doc.Errors) == 0) {
			fail("the status does not agree with .errors")
		}
		for proxy, n := range whole {
			named := slices.ContainsFunc(doc.Errors, func(f failure) bool { return f.Proxy == proxy })
			if rows[proxy] != n && !named {
				fail(fmt.Sprintf("%s has %d rows of %d, and nobody says so", proxy, rows[proxy], n))
			}
			if !slices.Contains(broken, proxy) && named {
				fail(fmt.Sprintf("%s is said to have failed, and nothing happened to it", proxy))
			}
		}
		for _, f := range doc.Errors {
			if f.Reason == "" || !slices.ContainsFunc(broken, func(pod string) bool {
				return strings.Contains(f.Proxy+f.Stage+f.Reason, strings.SplitN(pod, ".", 2)[0])
			}) {
				fail(fmt.Sprintf("%+v is of nothing that happened", f))
			}
		}
	}
	if verbs := lab.Verbs(asked(t, spdy.name)); !slices.Contains(verbs, "create pods/portforward") {
		t.Errorf("no tunnel was by SPDY: %q", verbs)
	}
	t.Logf("seed %d; runs by exit status: %v", seed, statuses)
	if statuses[5] < tries/4 {
		t.Errorf("%d of %d runs lost something, want more for a test", statuses[5], tries)
	}
}

// One of the proxies is stopped where it is. The others answer within the time of the run, and the one that does not is named.
func TestOneProxyStopped(t *testing.T) {
	e := mesh.Envoy("details-v1")
	if err := e.Pause(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(e.Resume(), mesh.Healthy(context.Background())); err != nil {
			t.Error(err)
		}
	})
	const deadline = 4 * time.Second
	start := time.Now()
	answered, missing := partly[string](t, reader, `sorted({c.proxy.name: 1 for c in clusters()})`, "--timeout", deadline.String())
	if took := time.Since(start); took > deadline+5*time.Second {
		t.Errorf("it took %v, and had %v", took, deadline)
	}
	if len(answered) != 6 || slices.Contains(answered, e.ID()) {
		t.Errorf("answers of %q, want all but the one that is stopped", answered)
	}
	if len(missing) != 1 || missing[0].Proxy != e.ID() || !strings.Contains(missing[0].Reason, "time") {
		t.Errorf("left out are %+v, want %s, because it did not answer in time", missing, e.ID())
	}
}

// A pod that is deleted in the middle of its answer is said to be gone, and the others have answered.
func TestPodGoesAwayMidAnswer(t *testing.T) {
	var undo atomic.Pointer[lab.Undo]
	p, take, err := mesh.StandIn(t.Context(), "fleeting-v1", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, `{"configs":[{`+strings.Repeat(" ", 100_000))
		w.(http.Flusher).Flush()
		time.Sleep(100 * time.Millisecond)
		if take := undo.Swap(nil); take != nil {
			(*take)(context.Background())
		}
		<-r.Context().Done()
	}))
	if err != nil {
		t.Fatal(err)
	}
	undo.Store(&take)
	t.Cleanup(func() {
		if take := undo.Swap(nil); take != nil {
			(*take)(context.Background())
		}
	})
	answered, missing := partly[string](t, reader, `sorted({c.proxy.workload: 1 for c in clusters()})`)
	if len(answered) != 7 {
		t.Errorf("answers of %q, want all seven that run", answered)
	}
	if len(missing) != 1 || missing[0].Proxy != p.ID() || !strings.Contains(missing[0].Reason, "pod "+p.ID()+" is gone; refresh to see what took its place") {
		t.Errorf("left out are %+v, want that %s is gone", missing, p.ID())
	}
}

// The pod of a proxy that is still connected is deleted: what the proxy runs cannot be read any more, and what it should run is not told in its place.
func TestPodGoneWhileConnected(t *testing.T) {
	undo, err := mesh.PodGone(t.Context(), "details-v1")
	play(t, undo, err)
	gone := mesh.Envoy("details-v1").ID()
	got := runProgram(t, meshlark, append(cluster, "-e", `sorted({c.proxy.workload: 1 for c in clusters()})`)...)
	if got.status != 5 || strings.Contains(got.stdout, "details") || !strings.Contains(got.stdout, "ratings-v1") {
		t.Errorf("all clusters: exit status %d, want 5, and the others' clusters:\n%s", got.status, got.stdout)
	}
	if n := strings.Count(got.stderr, "left out:"); n != 1 || !strings.Contains(got.stderr, gone) || !strings.Contains(got.stderr, "there is no such pod") {
		t.Errorf("standard error:\n%s", got.stderr)
	}
	if got := runProgram(t, meshlark, append(cluster, "-e", `proxy("details-v1").clusters()`)...); got.status != 4 || got.stdout != "" {
		t.Errorf("its clusters: exit status %d, want 4:\n%s%s", got.status, got.stdout, got.stderr)
	}
	if got := items[int](t, cluster, `[len(proxy("details-v1").desired().clusters())]`); got[0] == 0 {
		t.Error("the control plane still tells what it would send, and no cluster is in it")
	}
}

// An istiod that goes away while it is asked through the cluster takes its own part of the answer with it: its proxies are there still, as their pods are,
// and so is what their Envoys run.
func TestIstiodKilledBehindTheCluster(t *testing.T) {
	canary := mesh.Istiod("canary")
	restart(t, canary)
	if err := canary.Pause(); err != nil {
		t.Fatal(err)
	}
	killer := time.AfterFunc(time.Second, func() { canary.Kill() })
	defer killer.Stop()
	answered, missing := partly[string](t, reader, `["%s: %s, %s, %d clusters" % (p.workload, p.cds, p.connected, len(p.clusters())) for p in proxies(workload="re*", type="sidecar")]`)
	want := []string{"reviews-v1: SYNCED, True, 27 clusters", "reviews-v2: SYNCED, True, 27 clusters", "reviews-v3: None, None, 27 clusters"}
	if !slices.Equal(answered, want) {
		t.Errorf("answers %q, want %q", answered, want)
	}
	if len(missing) != 1 || !strings.Contains(missing[0].Stage+missing[0].Reason, canary.Name) {
		t.Errorf("left out are %+v, want istiod %s", missing, canary.Name)
	}
}

// Where nothing at all can be had, one message says what was tried, where, why it failed and what to do, and the exit status is that of a source that cannot be
// read.
func TestNoAnswerAtAll(t *testing.T) {
	text, err := os.ReadFile(mesh.Kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	server := apiServer(t)
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed.Close()
	plain := &http.Server{Handler: http.NotFoundHandler()}
	web, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go plain.Serve(web)
	defer plain.Close()

	for _, test := range []struct {
		name     string
		old, new string // in the kubeconfig
		args     []string
		status   int
		says     []string
	}{
		{name: "expired credentials", old: `"lab-user-token"`, new: `"a-token-of-yesterday"`, status: 4, says: []string{"does not accept the credentials of user lab-user", "log in again"}},
		{name: "nothing listens", old: server, new: "https://" + closed.Addr().String(), status: 4, says: []string{"connection refused", closed.Addr().String(), "is the cluster up"}},
		{name: "it is silent", old: server, new: "https://" + silent.Addr().String(), args: []string{"--timeout", "3s"}, status: 4, says: []string{"time"}},
		{name: "no TLS", old: server, new: "https://" + web.Addr().String(), status: 4, says: []string{"speaks no TLS", "API server"}},
		{name: "no Kubernetes", old: server, new: "http://" + web.Addr().String(), status: 4, says: []string{"no proxy before it"}},
		{name: "another authority", old: `"certificate-authority-data": "`, new: `"tls-server-name": "other.example.com", "certificate-authority-data": "`, status: 4, says: []string{"tls-server-name"}},
		{name: "no such host", old: server, new: "https://api.no-such-host.invalid:6443", status: 4, says: []string{"api.no-such-host.invalid", "is the cluster up"}},
		{name: "no such context", args: []string{"--context", "production"}, status: 4, says: []string{`no context "production"`, "there are: lab, lab-reader"}},
		{name: "no kubeconfig", args: []string{"--kubeconfig", filepath.Join(t.TempDir(), "none")}, status: 4, says: []string{"none"}},
		{name: "a broken kubeconfig", old: `"clusters": [`, new: `"clusters": {`, status: 4, says: []string{"kubeconfig"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			kubeconfig := filepath.Join(t.TempDir(), "config")
			if test.old != "" && !strings.Contains(string(text), test.old) {
				t.Fatalf("the kubeconfig has no %s", test.old)
			}
			if err := os.WriteFile(kubeconfig, []byte(strings.Replace(string(text), test.old, test.new, 1)), 0o600); err != nil {
				t.Fatal(err)
			}
			got := runWith(t, kubeconfig, meshlark, append([]string{"-e", "proxies()"}, test.args...)...)
			endsBy(t, got, 3*time.Second)
			if got.status != test.status || got.stdout != "" {
				t.Errorf("exit status %d and standard output %q, want %d and nothing", got.status, got.stdout, test.status)
			}
			for _, what := range test.says {
				if !strings.Contains(got.stderr, what) {
					t.Errorf("it does not say %q:\n%s", what, got.stderr)
				}
			}
			if n := strings.Count(strings.TrimSpace(got.stderr), "\n"); n > 3 {
				t.Errorf("it says so on %d lines:\n%s", n, got.stderr)
			}
		})
	}
}

// An answer without end fails with its size, beside others that do not, and is not kept in memory for longer than it takes to see that.
func TestHugeAnswer(t *testing.T) {
	chunk := []byte(strings.Repeat(`{"cluster":{"name":"c"},"filler":"`+strings.Repeat("x", 4000)+`"},`, 256))
	var sent atomic.Int64
	p, undo, err := mesh.StandIn(t.Context(), "huge-v1", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		out := bufio.NewWriterSize(w, 1<<20)
		io.WriteString(out, `{"configs":[{"@type":"type.googleapis.com/envoy.admin.v3.ClustersConfigDump","dynamic_active_clusters":[`)
		for {
			n, err := out.Write(chunk)
			sent.Add(int64(n))
			if err != nil {
				return
			}
		}
	}))
	play(t, undo, err)
	answered, missing, got := left[string](t, reader, `sorted({c.proxy.workload: 1 for c in clusters()})`, "--timeout", "50s")
	if len(answered) != 7 {
		t.Errorf("answers of %q, want all seven that are no larger than they should be", answered)
	}
	if len(missing) != 1 || missing[0].Proxy != p.ID() || !strings.Contains(missing[0].Reason, "limit of") {
		t.Errorf("left out are %+v, want %s, because of its size", missing, p.ID())
	}
	t.Logf("%d MB were sent within %v, meshlark had %d MB", sent.Load()>>20, got.took, got.memory>>20)
	if most := int64(3 << 29); got.memory > most { // three times the 512 MiB that one answer may have
		t.Errorf("meshlark had %d bytes of memory, want at most %d", got.memory, most)
	}
}
