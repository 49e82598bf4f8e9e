package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/meshlark/meshlark/demo"
	"github.com/meshlark/meshlark/display"
	"github.com/meshlark/meshlark/mesh"
	"github.com/meshlark/meshlark/mesh/source"
	"github.com/meshlark/meshlark/xds/resource"
)

// demoSpec is how the embedded mesh is named as a source.
const demoSpec = "demo"

const demoDoc = `Open the shell on an embedded mesh, to try things without a cluster. The mesh is
a simulation inside this process: the control plane is go-control-plane's, the
sidecars only pretend to be Envoys, and no traffic flows. They speak ADS with
each other, istiod's debug API and Envoy's admin interface with meshlark, on
free ports of this machine.

The nine proxies of Istio's page "Debugging Envoy and Pilot" are in the states
that it shows. The proxies of the namespace faults have a fault each, which the
shipped runbooks find.

With --serve it prints how to reach all of them, and waits for Ctrl-C: other
programs can look at the same mesh. To other commands the mesh is -s demo.`

const demoExamples = `  meshlark demo
  meshlark demo -e 'proxies(rds="STALE")'
  meshlark check -s demo
  meshlark demo --serve`

// demoTry is what the shell suggests on the demo.
const demoTry = `
Try
  proxies()                     one of them is STALE, two are in ERROR
  p = proxy("productpage-v1")
  p.diff()                      what it runs, against what it should
  p.listeners(port=9080)
  p.routes("9080").jq(".[].virtual_hosts[].name")
  p.clusters(fqdn="reviews", subset="v1")[0].endpoints()
  p.bootstrap().node.id
  p.trace("http://ratings:9080/")   why a request does not arrive
  run("certs")                  a runbook; each finds its own fault

`

// demoBanner begins the shell on the demo.
func demoBanner() string {
	what, how, _ := strings.Cut(demo.Banner, ": ")
	return what + ":\n" + how + "\n" + demoTry + greeting
}

func (a *app) demoCommand() *cobra.Command {
	var exprs []string
	var serve bool
	cmd := &cobra.Command{
		Use:     "demo",
		Short:   "Try the shell on an embedded, simulated mesh",
		Long:    demoDoc,
		Example: demoExamples,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 0 {
				return fmt.Errorf("demo takes no %q; the other commands read the same mesh with -s demo", args[0])
			}
			return nil
		},
	}
	format := a.bindQuestion(cmd, &exprs)
	cmd.Flags().BoolVar(&serve, "serve", false, "print the URLs of the mesh and wait for Ctrl-C")
	cmd.MarkFlagsMutuallyExclusive("serve", "expr")
	cmd.RunE = a.conversation(func(ctx context.Context, _ []string) error {
		if serve {
			return a.interruptible(ctx, a.serveDemo)
		}
		a.options.sources = append([]string{demoSpec}, a.options.sources...)
		return a.answer(ctx, exprs, *format, demoBanner())
	})
	return cmd
}

// serveDemo prints the sources of the embedded mesh, and waits. Its end is no
// interruption of something else.
func (a *app) serveDemo(ctx context.Context) error {
	m, err := a.demo.start(ctx)
	if err != nil {
		return err
	}
	names := m.Names()
	for i, spec := range m.Sources() {
		if _, err := fmt.Fprintf(a.stdout, "-s %s  # %s\n", spec, names[i]); err != nil {
			return err
		}
	}
	a.note("%s", a.errStyle.Paint(display.Faint, demo.Banner+"\nCtrl-C ends it."))
	<-ctx.Done()
	return nil
}

// An embedded is the demo mesh of one run of the program. It is started when it
// is first needed.
type embedded struct {
	now func() time.Time

	mu      sync.Mutex
	running *demo.Mesh
}

func (e *embedded) start(ctx context.Context) (*demo.Mesh, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.running == nil {
		m, err := demo.Start(ctx, demo.Options{Now: e.now})
		if err != nil {
			return nil, err
		}
		e.running = m
	}
	return e.running, nil
}

func (e *embedded) close() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.running == nil {
		return nil
	}
	err := e.running.Close()
	e.running = nil
	return err
}

// demoSource is the embedded mesh as one source: what the URLs of the mesh give
// together.
type demoSource struct {
	demo   *embedded
	opener source.Opener
	store  *resource.Store

	mu    sync.Mutex
	parts []mesh.Source
}

var (
	_ mesh.Source       = (*demoSource)(nil)
	_ mesh.Refresher    = (*demoSource)(nil)
	_ mesh.ObjectSource = (*demoSource)(nil)
)

// Spec implements [mesh.Source].
func (s *demoSource) Spec() string { return demoSpec }

// Live implements [mesh.Source].
func (s *demoSource) Live() bool { return true }

// UseStore makes the parts share the mesh's store.
func (s *demoSource) UseStore(store *resource.Store) { s.store = store }

// Refresh implements [mesh.Refresher].
func (s *demoSource) Refresh() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, part := range s.parts {
		if r, ok := part.(mesh.Refresher); ok {
			r.Refresh()
		}
	}
}

// open gives the sources that the mesh consists of.
func (s *demoSource) open(ctx context.Context) ([]mesh.Source, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.parts != nil {
		return s.parts, nil
	}
	m, err := s.demo.start(ctx)
	if err != nil {
		return nil, err
	}
	var parts []mesh.Source
	for _, spec := range m.Sources() {
		opener := s.opener
		if address := m.ADS(spec); address != "" {
			opener.Way = plainWay(address)
		}
		part, err := opener.Open(spec)
		if err != nil {
			return nil, err
		}
		if u, ok := part.(interface{ UseStore(*resource.Store) }); ok {
			u.UseStore(s.store)
		}
		parts = append(parts, part)
	}
	s.parts = parts
	return parts, nil
}

// Survey implements [mesh.Source].
func (s *demoSource) Survey(ctx context.Context) (*mesh.Survey, error) {
	parts, err := s.open(ctx)
	if err != nil {
		return nil, &mesh.UnreachableError{Source: demoSpec, Err: err}
	}
	surveys := make([]*mesh.Survey, len(parts))
	errs := make([]error, len(parts))
	var asked sync.WaitGroup
	for i, part := range parts {
		asked.Go(func() { surveys[i], errs[i] = part.Survey(ctx) })
	}
	asked.Wait()
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	all := new(mesh.Survey)
	for _, sv := range surveys {
		all.Proxies = append(all.Proxies, sv.Proxies...) // the mesh joins what is about one proxy
		all.Istiods = append(all.Istiods, sv.Istiods...)
		all.Failures = append(all.Failures, sv.Failures...)
	}
	return all, nil
}

// objects gives the part that has objects: the first control plane, as all have
// the same.
func (s *demoSource) objects(ctx context.Context) (mesh.ObjectSource, error) {
	parts, err := s.open(ctx)
	if err != nil {
		return nil, &mesh.UnreachableError{Source: demoSpec, Err: err}
	}
	for _, part := range parts {
		if o, ok := part.(mesh.ObjectSource); ok {
			return o, nil
		}
	}
	return nil, fmt.Errorf("objects of %s: %w", demoSpec, mesh.ErrNotAvailable)
}

// ObjectKind implements [mesh.ObjectSource].
func (s *demoSource) ObjectKind(ctx context.Context, name string) (mesh.ObjectKind, error) {
	o, err := s.objects(ctx)
	if err != nil {
		return mesh.ObjectKind{}, err
	}
	return o.ObjectKind(ctx, name)
}

// ObjectKinds implements [mesh.ObjectSource].
func (s *demoSource) ObjectKinds(ctx context.Context) ([]mesh.ObjectKind, error) {
	o, err := s.objects(ctx)
	if err != nil {
		return nil, err
	}
	return o.ObjectKinds(ctx)
}

// Objects implements [mesh.ObjectSource].
func (s *demoSource) Objects(ctx context.Context, r mesh.ObjectRequest) (mesh.ObjectAnswer, error) {
	o, err := s.objects(ctx)
	if err != nil {
		return mesh.ObjectAnswer{}, err
	}
	return o.Objects(ctx, r)
}
