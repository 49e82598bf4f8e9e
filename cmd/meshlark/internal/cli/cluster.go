package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/meshlark/meshlark/kube"
	"github.com/meshlark/meshlark/mesh"
	"github.com/meshlark/meshlark/mesh/source/kubernetes"
)

// clusterFlags choose a cluster as kubectl's flags of the same names do.
type clusterFlags struct {
	kubeconfig, context, cluster, user string
	as                                 string
	asGroups                           []string
	namespace, istioNamespace          string
	adminPort                          uint16
}

func (c *clusterFlags) bind(f *pflag.FlagSet) {
	f.StringVar(&c.kubeconfig, "kubeconfig", "", "find clusters in `FILE` instead of $KUBECONFIG or ~/.kube/config")
	f.StringVar(&c.context, "context", "", "the context `NAME` for kube: and of no --source, instead of the kubeconfig's current one")
	f.StringVar(&c.cluster, "cluster", "", "the kubeconfig's cluster `NAME`, instead of that of the context")
	f.StringVar(&c.user, "user", "", "the kubeconfig's user `NAME`, instead of that of the context")
	f.StringVar(&c.as, "as", "", "ask the API server as the user `NAME`")
	f.StringArrayVar(&c.asGroups, "as-group", nil, "ask the API server as a member of the group `NAME`, with --as; may be repeated")
	f.StringVarP(&c.namespace, "namespace", "n", "", "the namespace `NAME` whose proxies names mean first, and which is read where the user may not list all, instead of that of the context")
	f.StringVarP(&c.istioNamespace, "istio-namespace", "i", "", "the namespace `NAME` of the istiods, instead of istio-system or where they are found")
	f.Uint16Var(&c.adminPort, "proxy-admin-port", 0, "the `PORT` of the admin interface of Envoys whose pods do not tell another, instead of 15000")
}

// kubeOptions choose the context of a spec.
func (a *app) kubeOptions(spec string) kube.Options {
	c := a.options.cluster
	o := kube.Options{
		Kubeconfig: c.kubeconfig,
		Context:    strings.TrimPrefix(spec, kubernetes.Prefix),
		Cluster:    c.cluster,
		User:       c.user,
		Namespace:  c.namespace,
		As:         c.as,
		AsGroups:   c.asGroups,
		Timeout:    a.options.patience,
		Env:        func(name string) string { return a.env[name] },
	}
	if o.Context == "" {
		o.Context = c.context
	}
	return o
}

// named gives the specs of the mesh: those of --source, else the cluster of the
// kubeconfig. Where there is no kubeconfig there is no mesh.
func (a *app) named() ([]string, error) {
	if len(a.options.sources) > 0 {
		return a.options.sources, nil
	}
	_, err := kube.Load(a.kubeOptions(kubernetes.Prefix))
	var none *kube.NoConfigError
	if errors.As(err, &none) {
		return nil, a.noSource(none)
	}
	return []string{kubernetes.Prefix}, nil // what else is wrong is told when the mesh is asked
}

// noSource is why there is no mesh when the command line names none.
func (a *app) noSource(why *kube.NoConfigError) error {
	if a.prompts {
		return fmt.Errorf("no source: name one with :source, or try :source demo (%w)", why)
	}
	return &usageError{err: fmt.Errorf("no source: name one with -s, or try meshlark demo (%w)", why), hint: sourceForms("-s")}
}

// A cluster is a Kubernetes cluster as a source of this run.
type cluster struct {
	*kubernetes.Source
	transport *transport
	namespace string // "" where the kubeconfig could not be read
	fault     error  // why it could not; questions say so too
}

var (
	_ mesh.Source        = (*cluster)(nil)
	_ mesh.Refresher     = (*cluster)(nil)
	_ mesh.Namespacer    = (*cluster)(nil)
	_ mesh.ServiceFinder = (*cluster)(nil)
)

// newCluster makes the source of a spec. No server is asked. Which context is
// the current one is found out now: a shell stays in its cluster when somebody
// changes that elsewhere.
func (a *app) newCluster(spec string) *cluster {
	o := kubernetes.Options{Kube: a.kubeOptions(spec), IstioNamespace: a.options.cluster.istioNamespace, AdminPort: int(a.options.cluster.adminPort), Fetch: a.fetchOptions(), Around: a.transport.around, ADS: a.adsOptions(), XDS: a.externalPlane()}
	c := &cluster{transport: a.transport}
	if o.Kube.Context != "" {
		spec = kubernetes.Prefix + o.Kube.Context
	}
	if config, err := kube.Load(o.Kube); err != nil {
		c.fault = err
	} else {
		o.Kube.Context = config.Context
		spec = kubernetes.Prefix + config.Context
		c.namespace = config.Namespace
	}
	c.Source = kubernetes.New(spec, o)
	return c
}

// Survey implements [mesh.Source].
func (c *cluster) Survey(ctx context.Context) (*mesh.Survey, error) {
	defer c.transport.begin(ctx, "pods of "+c.Spec())()
	sv, err := c.Source.Survey(ctx)
	var none *kube.NoConfigError
	if errors.As(err, &none) {
		err = &mesh.UnreachableError{Source: c.Spec(), Err: fmt.Errorf("%w; name a file with --kubeconfig", none)}
	}
	return sv, err
}

// clusters are those that were named in one run of the program.
type clusters struct {
	mu    sync.Mutex
	named []*cluster
}

func (l *clusters) add(c *cluster) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.named = append(l.named, c)
}

func (l *clusters) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, c := range l.named {
		c.Source.Close()
	}
}

// fault is why a cluster of a mesh cannot be asked, as far as the kubeconfig tells; nil where nothing is wrong with it.
func (l *clusters) fault(m *mesh.Mesh) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, c := range l.named {
		if c.fault != nil && slices.Contains(m.Sources(), c.Spec()) {
			return c.fault
		}
	}
	return nil
}

// describe names the sources of a mesh, those that are clusters with the
// namespace that the context or --namespace chose.
func (l *clusters) describe(m *mesh.Mesh) string {
	l.mu.Lock()
	defer l.mu.Unlock()
	namespaces := map[string]string{}
	for _, c := range l.named {
		namespaces[c.Spec()] = c.namespace
	}
	specs := m.Sources()
	for i, spec := range specs {
		if n := namespaces[spec]; n != "" {
			specs[i] += " (namespace " + n + ")"
		}
	}
	return strings.Join(specs, ", ")
}

// contexts gives the contexts of the kubeconfig, for completion.
func (a *app) contexts() []string {
	names, _, err := kube.Contexts(a.kubeOptions(kubernetes.Prefix))
	if err != nil {
		return nil // nothing to offer
	}
	return names
}

func (a *app) completeContext(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	return a.contexts(), cobra.ShellCompDirectiveNoFileComp
}
