package lab

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/meshlark/meshlark/internal/envoytest"
)

// Options say how a lab is made. The zero value is the whole mesh, without a word.
type Options struct {
	Log io.Writer // where Start tells what it does; nil for nowhere
	// Traffic gives each pod a network of its own and an application, so that requests go through the Envoys: see Request. It needs a system that lets users
	// make namespaces; CanCarry tells. Nothing else is different.
	Traffic bool
}

// A Lab is a running mesh. It may be asked from several goroutines; scenes and Apply change it for all of them.
type Lab struct {
	// Kubeconfig has two contexts: "lab", the current one, whose user may do everything, and "lab-reader", whose user may get, list
	// and watch everything and forward ports.
	Kubeconfig string
	// AuditLog is the file to which the API server writes an event, a line of JSON, for each request. The lab and the istiods have users of their own.
	AuditLog string
	// Istioctl is the program, of the same version as the istiods, and IstioVersion that version.
	Istioctl, IstioVersion string
	// Kubelet serves the port-forwards, and knows what went through them.
	Kubelet *Kubelet

	dir        string
	log        io.Writer
	http       *http.Client
	block      block
	authority  *authority
	programs   *Programs
	envoy      string
	meshConfig string
	mesh       []byte // what the operators configured, to undo what a scene changes
	spawner    *spawner
	cluster    *cluster
	network    *network // nil unless there is traffic
	istiods    []*Istiod

	closing sync.Once
	closed  error

	mu      sync.Mutex
	envoys  []*Envoy
	clients []*client
	// disturbed counts the scenes that a proxy is in, by "name.namespace".
	disturbed map[string]int
	calls     int // of Request
	number    int // of the last pod that was added while the lab runs
	keep      bool
}

// Start brings the mesh up and returns when every proxy has its configuration. What it needs it builds first: see BuildPrograms. If it fails, nothing is
// left running, and the error says where the logs are.
func Start(ctx context.Context, opts Options) (*Lab, error) {
	l := &Lab{log: opts.Log, http: &http.Client{Transport: &http.Transport{}}, number: 40, disturbed: map[string]int{}}
	if l.log == nil {
		l.log = io.Discard
	}
	if err := l.start(ctx, opts); err != nil {
		l.Keep()
		err = errors.Join(err, l.Close())
		if l.dir != "" {
			err = fmt.Errorf("start the lab: %w\n(its logs are in %s)", err, l.dir)
		}
		return nil, err
	}
	return l, nil
}

// StartTest starts a lab that ends with a test. The logs stay if the test fails, and the test says where.
func StartTest(t testing.TB, opts Options) *Lab {
	t.Helper()
	l, err := Start(t.Context(), opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			l.Keep()
			t.Logf("the logs of the lab are in %s", l.Dir())
		}
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	return l
}

func (l *Lab) start(ctx context.Context, opts Options) error {
	if runtime.GOOS != "linux" {
		return errors.New("start the lab: it needs Linux, where all of 127.0.0.0/8 is loopback")
	}
	var err error
	if l.envoy, err = envoytest.Find(); err != nil {
		return err
	}
	if l.programs, err = BuildPrograms(ctx, l.log); err != nil {
		return err
	}
	l.Istioctl, l.IstioVersion = l.programs.Istioctl, l.programs.IstioVersion
	if l.dir, err = os.MkdirTemp("", "meshlark-lab-"); err != nil {
		return err
	}
	l.spawner = newSpawner(l.dir)
	began := time.Now()
	step := func(what string) {
		fmt.Fprintf(l.log, "%5.1f s  %s\n", time.Since(began).Seconds(), what)
	}

	if l.authority, err = newAuthority(); err != nil {
		return err
	}
	block, listener, err := claimBlock()
	if err != nil {
		return err
	}
	l.block = block
	if l.Kubelet, err = startKubelet(listener, l.authority); err != nil {
		listener.Close()
		return err
	}
	l.meshConfig = filepath.Join(l.dir, "mesh.yaml")
	if err := os.WriteFile(l.meshConfig, []byte(meshConfig), 0o600); err != nil {
		return err
	}

	if opts.Traffic {
		if l.network, err = newNetwork(ctx, l.dir); err != nil {
			return err
		}
	}

	step("API server")
	l.cluster, err = startCluster(ctx, l.spawner, l.authority, l.programs.APIServer, filepath.Join(l.dir, "kubernetes"), block.address(2))
	if err != nil {
		return err
	}
	l.Kubeconfig, l.AuditLog = l.cluster.files[userAll], l.cluster.audit
	step("objects")
	pods, err := l.applyMesh(ctx)
	if err != nil {
		return err
	}
	step("istiods")
	if err := together(l.istiods, func(i *Istiod) error { return i.Start(ctx) }); err != nil {
		return err
	}
	step(fmt.Sprintf("%d Envoys", len(pods)))
	if err := l.startEnvoys(ctx, pods); err != nil {
		return err
	}
	if err := l.Healthy(ctx); err != nil {
		return err
	}
	step("ready")
	return nil
}

// startEnvoys starts an Envoy for each pod and waits until all are ready.
func (l *Lab) startEnvoys(ctx context.Context, pods []*Pod) error {
	var envoys []*Envoy
	for _, p := range pods {
		e := &Envoy{Pod: *p, Admin: fmt.Sprintf("http://%s:%d", p.Address, p.AdminPort), lab: l}
		envoys = append(envoys, e)
		l.mu.Lock()
		l.envoys = append(l.envoys, e)
		l.mu.Unlock()
		if err := e.start(ctx); err != nil {
			return err
		}
	}
	return together(envoys, func(e *Envoy) error { return e.ready(ctx) })
}

// together does something with each of a list at the same time, and gives all errors.
func together[T any](list []T, do func(T) error) error {
	errs := make([]error, len(list))
	var wait sync.WaitGroup
	for n, of := range list {
		wait.Go(func() { errs[n] = do(of) })
	}
	wait.Wait()
	return errors.Join(errs...)
}

// Close stops all that the lab started, and removes its folder unless Keep was called. Closing it again does nothing.
func (l *Lab) Close() error {
	l.closing.Do(func() { l.closed = l.close() })
	return l.closed
}

func (l *Lab) close() error {
	var errs []error
	l.mu.Lock()
	envoys, clients := l.envoys, l.clients
	l.mu.Unlock()
	for _, c := range clients {
		c.close()
	}
	errs = append(errs, together(envoys, (*Envoy).stop))
	for _, i := range l.istiods {
		if i.process != nil {
			errs = append(errs, i.process.stop(0))
		}
	}
	if l.Kubelet != nil {
		errs = append(errs, l.Kubelet.close())
	}
	if l.cluster != nil {
		errs = append(errs, l.cluster.process.stop(2*time.Second))
	}
	l.http.CloseIdleConnections()
	if l.network != nil {
		l.network.close()
	}
	if l.spawner != nil {
		l.spawner.close()
	}
	if l.dir != "" && !l.keep {
		errs = append(errs, os.RemoveAll(l.dir))
	}
	return errors.Join(errs...)
}

// Keep has Close leave the folder of the lab where it is.
func (l *Lab) Keep() { l.keep = true }

// Dir is the folder of the lab, in which the logs are.
func (l *Lab) Dir() string { return l.dir }

// Istiods are the control planes: revision "default", then "canary".
func (l *Lab) Istiods() []*Istiod { return l.istiods }

// Istiod is the control plane of a revision. It panics if there is none.
func (l *Lab) Istiod(revision string) *Istiod {
	for _, i := range l.istiods {
		if i.Revision == revision {
			return i
		}
	}
	panic("the lab has no istiod of revision " + revision)
}

// Envoys are the proxies that run, in the order in which they came to be.
func (l *Lab) Envoys() []*Envoy {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.envoys)
}

// Envoy is the proxy of a workload, such as "reviews-v1". It panics if there is none.
func (l *Lab) Envoy(workload string) *Envoy {
	for _, e := range l.Envoys() {
		if e.Workload == workload {
			return e
		}
	}
	panic("the lab has no Envoy of workload " + workload)
}

// Apply makes the objects of a manifest, YAML or JSON, what it says there.
func (l *Lab) Apply(ctx context.Context, manifest string) error {
	return l.cluster.applyAll(ctx, []byte(manifest))
}

// Delete deletes the objects of a manifest.
func (l *Lab) Delete(ctx context.Context, manifest string) error {
	return l.cluster.deleteAll(ctx, []byte(manifest))
}

// AddEnvoys adds pods with a sidecar to the mesh, each with an Envoy: for measures. They are of workloads "load-1" and so on, and stay.
func (l *Lab) AddEnvoys(ctx context.Context, n int) error {
	var pods []*Pod
	for range n {
		number, err := l.nextNumber()
		if err != nil {
			return err
		}
		p := l.extraPod(fmt.Sprintf("load-%d", number-40), number)
		if err := l.addPod(ctx, p); err != nil {
			return err
		}
		pods = append(pods, p)
	}
	return l.startEnvoys(ctx, pods)
}

// extraPod is a pod with a sidecar that no service leads to.
func (l *Lab) extraPod(workload string, number int) *Pod {
	app, version, found := strings.Cut(workload, "-")
	if !found {
		version = "v1"
	}
	p := sidecarPod(app, version, "5f6d7c8b9", fmt.Sprintf("w%04d", number), "default").place(l.block, number)
	p.Account = "default"
	return p
}

// nextNumber is the number of a pod that is added while the lab runs.
func (l *Lab) nextNumber() (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.number == 254 {
		return 0, errors.New("add a pod to the lab: its 254 addresses are in use")
	}
	l.number++
	return l.number, nil
}
