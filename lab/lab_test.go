package lab_test

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/meshlark/meshlark/lab"
)

// istioctl runs the lab's istioctl as the user of a context and gives its standard output.
func istioctl(ctx context.Context, l *lab.Lab, kubecontext string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, l.Istioctl, append([]string{"--kubeconfig", l.Kubeconfig, "--context", kubecontext}, args...)...)
	cmd.Env = []string{"HOME=" + l.Dir()} // no configuration of somebody's
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return stdout.String(), fmt.Errorf("istioctl %v: %w: %s", args, err, stderr.Bytes())
	}
	return stdout.String(), nil
}

// One mesh, through all that it can do.
func TestLab(t *testing.T) {
	l := lab.StartTest(t, lab.Options{Log: t.Output()})
	ctx := t.Context()

	t.Run("revisions", func(t *testing.T) {
		want := map[string][]string{
			"default": {
				"details-v1-79dfbd6fff-t7c5k.default", "istio-ingressgateway-6bd9cf7b6d-2nq8z.istio-system", "productpage-v1-54bb874995-h4wzq.default",
				"reviews-v1-598b896c9d-9bxvm.default", "reviews-v2-556d6457d-kz8tq.default",
			},
			"canary": {"ratings-v1-75b9c6c6d8-vj6pl.default", "reviews-v3-564544b4d6-m5r9d.default"},
		}
		got := map[string][]string{}
		for _, i := range l.Istiods() {
			got[i.Revision] = proxies(t, i)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("connected proxies by revision (-want +got):\n%s", diff)
		}
	})

	t.Run("port-forward", func(t *testing.T) {
		l.Kubelet.Forget()
		out, err := istioctl(ctx, l, "lab-reader", "proxy-config", "cluster", l.Envoy("reviews-v1").ID())
		if err != nil {
			t.Fatal(err)
		}
		if n := strings.Count(out, "\n"); n < 20 {
			t.Errorf("%d rows, want 20 or more:\n%s", n, out)
		}
		tunnels := l.Kubelet.Tunnels()
		if len(tunnels) != 1 {
			t.Fatalf("%d tunnels, want 1: %+v", len(tunnels), tunnels)
		}
		got := tunnels[0]
		if got.Pod != l.Envoy("reviews-v1").ID() || got.Port != 15000 || got.Received < 10_000 || len(got.Exchanges) != 1 {
			t.Fatalf("the tunnel was %+v", got)
		}
		if x := got.Exchanges[0]; x.Method != "GET" || !strings.HasPrefix(x.URI, "/config_dump?") || x.Status != 200 || x.Bytes < 10_000 || !x.Whole || !x.Ended.After(x.Began) {
			t.Errorf("the request was %+v", x)
		}
	})

	t.Run("audit", func(t *testing.T) {
		requests, err := l.Requests("lab-reader")
		if err != nil {
			t.Fatal(err)
		}
		// A port-forward over a websocket begins as a GET, one over SPDY as a POST.
		if diff := cmp.Diff([]string{"get pods", "get pods/portforward"}, lab.Verbs(requests)); diff != "" {
			t.Errorf("what the reader did (-want +got):\n%s", diff)
		}
	})

	t.Run("faults", func(t *testing.T) {
		e := l.Envoy("reviews-v1")
		l.Kubelet.SetFault(e.ID(), &lab.Fault{After: 1000})
		if out, err := istioctl(ctx, l, "lab-reader", "proxy-config", "cluster", e.ID()); err == nil {
			t.Errorf("through a tunnel that breaks after 1000 bytes came an answer:\n%s", out)
		}
		l.Kubelet.SetFault(e.ID(), &lab.Fault{After: 1000, Hang: true})
		short, cancel := context.WithTimeout(ctx, 3*time.Second)
		defer cancel()
		if out, err := istioctl(short, l, "lab-reader", "proxy-config", "cluster", e.ID()); err == nil {
			t.Errorf("through a tunnel that hangs after 1000 bytes came an answer:\n%s", out)
		}
		l.Kubelet.Cut(e.ID())
		l.Kubelet.SetFault(e.ID(), nil)
		if _, err := istioctl(ctx, l, "lab-reader", "proxy-config", "cluster", e.ID()); err != nil {
			t.Error(err)
		}
	})

	for _, scene := range []struct {
		name string
		play func() (lab.Undo, error)
		// shows says what the mesh is not like when it is healthy.
		shows func() error
	}{
		{"stale", func() (lab.Undo, error) { return l.Stale(ctx, "reviews-v1") }, func() error {
			return l.Istiod("default").WaitSync(ctx, l.Envoy("reviews-v1").ID(), "RDS", "STALE")
		}},
		{"nack", func() (lab.Undo, error) { return l.Nack(ctx, "reviews-v3") }, func() error {
			syncs, err := l.Istiod("canary").Syncs(ctx)
			if got := syncs[l.Envoy("reviews-v3").ID()]["CDS"].LastError; err == nil && !strings.Contains(got, "RingHashLbConfig") {
				return fmt.Errorf("istiod has the error %q", got)
			}
			return err
		}},
		{"not sent", func() (lab.Undo, error) { return l.NotSent(ctx) }, func() error {
			return has(ctx, l.Envoy("istio-egressgateway"), "/config_dump?mask=dynamic_warming_secrets", "kubernetes://bookinfo-cert")
		}},
		{"warming secret", func() (lab.Undo, error) { return l.WarmingSecret(ctx) }, func() error {
			return has(ctx, l.Envoy("istio-ingressgateway"), "/config_dump?mask=dynamic_listeners", `"warming_state"`)
		}},
		{"ejected", func() (lab.Undo, error) { return l.Ejected(ctx) }, func() error {
			return has(ctx, l.Envoy("istio-ingressgateway"), "/clusters", "/failed_outlier_check")
		}},
		{"never connected", func() (lab.Undo, error) { return l.NeverConnected(ctx) }, func() error {
			// A refusal may end the connection before istioctl has made it.
			out, err := istioctl(ctx, l, "lab", "proxy-config", "cluster", "deploy/sleep-v1")
			if err == nil || !strings.Contains(out, "connection refused") && !strings.Contains(out, "Stream reset") {
				return fmt.Errorf("a port-forward to it gave %q and error %v", out, err)
			}
			return nil
		}},
	} {
		t.Run(scene.name, func(t *testing.T) {
			undo, err := scene.play()
			if err != nil {
				t.Fatal(err)
			}
			if err := scene.shows(); err != nil {
				t.Error(err)
			}
			if err := undo(ctx); err != nil {
				t.Fatal(err)
			}
			if n := len(l.Envoys()); n != 7 {
				t.Errorf("there are %d Envoys afterwards, want 7", n)
			}
		})
	}

	t.Run("istiod killed", func(t *testing.T) {
		i := l.Istiod("canary")
		if err := i.Kill(); err != nil {
			t.Fatal(err)
		}
		if syncs, err := i.Syncs(ctx); err == nil {
			t.Errorf("it answers still: %v", syncs)
		}
		if err := i.Start(ctx); err != nil {
			t.Fatal(err)
		}
		if err := l.Healthy(ctx); err != nil {
			t.Error(err)
		}
	})

	t.Run("numbers", func(t *testing.T) {
		if err := l.AddClients(ctx, 40); err != nil {
			t.Fatal(err)
		}
		if err := l.AddEnvoys(ctx, 3); err != nil {
			t.Fatal(err)
		}
		if n := len(proxies(t, l.Istiod("default"))); n != 5+40+3 {
			t.Errorf("%d proxies are connected, want 48", n)
		}
	})

	t.Run("close", func(t *testing.T) {
		var addresses []string
		for _, e := range l.Envoys() {
			addresses = append(addresses, strings.TrimPrefix(e.Admin, "http://"))
		}
		for _, i := range l.Istiods() {
			addresses = append(addresses, i.GRPC)
		}
		if t.Failed() {
			l.Keep()
		}
		if err := l.Close(); err != nil {
			t.Error(err)
		}
		for _, address := range addresses {
			if conn, err := net.Dial("tcp", address); err == nil {
				conn.Close()
				t.Errorf("something listens on %s still", address)
			}
		}
		if _, err := os.Stat(l.Dir()); !os.IsNotExist(err) {
			t.Errorf("its folder is there still: %v", err)
		}
	})
}

// proxies are those connected with an istiod, sorted.
func proxies(t *testing.T, i *lab.Istiod) []string {
	t.Helper()
	syncs, err := i.Syncs(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for proxy := range syncs {
		out = append(out, proxy)
	}
	slices.Sort(out)
	return out
}

// has looks for a text in what an Envoy answers.
func has(ctx context.Context, e *lab.Envoy, path, text string) error {
	answer, err := e.Get(ctx, path)
	if err == nil && !bytes.Contains(answer, []byte(text)) {
		err = fmt.Errorf("%s of %s has no %q", path, e.ID(), text)
	}
	return err
}

// What the lab started ends with it even when it has no chance to see to it.
func TestKilledLabLeavesNothing(t *testing.T) {
	program := filepath.Join(t.TempDir(), "lab")
	if out, err := exec.Command("go", "build", "-o", program, "./cmd/lab").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	tmp := t.TempDir()
	cmd := exec.Command(program)
	cmd.Env = append(os.Environ(), "TMPDIR="+tmp)
	cmd.Stderr = t.Output()
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	timer := time.AfterFunc(10*time.Minute, func() { cmd.Process.Kill() })
	defer timer.Stop()
	var said bytes.Buffer
	for buf := make([]byte, 4096); !strings.Contains(said.String(), "Ctrl-C"); {
		n, err := stdout.Read(buf)
		said.Write(buf[:n])
		if err != nil {
			t.Fatalf("the lab ended: %v after:\n%s", err, said.String())
		}
	}
	children := childrenOf(t, cmd.Process.Pid)
	if len(children) != 10 { // the API server, two istiods, seven Envoys
		t.Errorf("the lab has %d processes, want 10", len(children))
	}
	if err := cmd.Process.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	cmd.Wait()
	deadline := time.Now().Add(10 * time.Second)
	for _, pid := range children {
		for alive(pid) {
			if time.Now().After(deadline) {
				t.Fatalf("process %s outlives the lab", pid)
			}
			time.Sleep(20 * time.Millisecond)
		}
	}
}

// childrenOf are the processes that a process has started, all threads of it.
func childrenOf(t *testing.T, pid int) []string {
	t.Helper()
	files, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, strings.Fields(string(text))...)
	}
	return out
}

// alive says whether a process runs; one that has ended and waits for its parent does not.
func alive(pid string) bool {
	stat, err := os.ReadFile("/proc/" + pid + "/stat")
	if err != nil {
		return false
	}
	_, rest, _ := bytes.Cut(stat, []byte(") "))
	return !bytes.HasPrefix(rest, []byte("Z"))
}
