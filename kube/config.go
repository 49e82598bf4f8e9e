package kube

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/net/http/httpproxy"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

// Options choose a cluster and a user, as kubectl's flags of the same names do. The zero value is the current context of the kubeconfig that the
// environment names.
type Options struct {
	Kubeconfig string // the only file to read; "" reads those of $KUBECONFIG, else ~/.kube/config
	Context    string
	Cluster    string
	User       string
	Namespace  string
	As         string // impersonated user
	AsUID      string
	AsGroups   []string

	// Env gives the variables of the environment: KUBECONFIG, HOME, HTTPS_PROXY, NO_PROXY, KUBERNETES_SERVICE_HOST, POD_NAMESPACE. nil has none.
	Env func(string) string
	// Pod is the folder that Kubernetes mounts the service account of a pod in; "" is the usual one.
	Pod string

	UserAgent string        // "" is meshlark
	Timeout   time.Duration // of one request to the API server itself; 0 is 30 s
}

// Requests a second that a client sends to the API server, and how many at once. client-go's defaults, 5 and 10, are for controllers.
const (
	queriesPerSecond = 50
	queriesAtOnce    = 100
)

// Config is a cluster and a user out of a kubeconfig.
type Config struct {
	Context   string // "" inside a pod, and where the options name a cluster without a context
	Cluster   string
	User      string
	Namespace string // of the context or the options, "default" when neither has one
	Server    string // the API server's URL

	rest    *rest.Config
	timeout time.Duration
}

// A NoConfigError says that nothing tells where a cluster is.
type NoConfigError struct{ Looked []string }

func (e *NoConfigError) Error() string {
	return fmt.Sprintf("no kubeconfig: nothing in %s, and this is no pod of a cluster", strings.Join(e.Looked, ", "))
}

// A ConfigError says what is wrong with a kubeconfig.
type ConfigError struct{ Err error }

func (e *ConfigError) Error() string { return "kubeconfig: " + e.Err.Error() }
func (e *ConfigError) Unwrap() error { return e.Err }

// Load reads the kubeconfig and chooses. With no kubeconfig at all it takes the service account of the pod it runs in, else the error is a
// *[NoConfigError]. Other faults are a *[ConfigError]. No server is asked.
func Load(o Options) (*Config, error) {
	quiet()
	raw, looked, err := o.load()
	if err != nil {
		return nil, err
	}
	if len(raw.Clusters) == 0 && len(raw.Contexts) == 0 {
		c, err := o.inCluster(looked)
		if err == nil && (o.Context != "" || o.Cluster != "" || o.User != "") {
			// The cluster around the pod is not the one that was asked for.
			return nil, &ConfigError{fmt.Errorf("there is none that has %s: nothing in %s", o.asked(), strings.Join(looked, ", "))}
		}
		return c, err
	}
	name := o.Context
	if name == "" {
		name = raw.CurrentContext
	}
	if _, ok := raw.Contexts[name]; !ok && (name != "" || o.Cluster == "") {
		return nil, &ConfigError{noContext(name, raw)}
	}
	if err := o.named(name, raw); err != nil {
		return nil, &ConfigError{err}
	}
	overrides := &clientcmd.ConfigOverrides{
		CurrentContext: name,
		Context:        clientcmdapi.Context{Cluster: o.Cluster, AuthInfo: o.User, Namespace: o.Namespace},
		AuthInfo:       clientcmdapi.AuthInfo{Impersonate: o.As, ImpersonateUID: o.AsUID, ImpersonateGroups: o.AsGroups},
	}
	chosen := clientcmd.NewNonInteractiveClientConfig(*raw, name, overrides, nil)
	client, err := chosen.ClientConfig()
	if err != nil {
		return nil, &ConfigError{err}
	}
	namespace, _, err := chosen.Namespace()
	if err != nil {
		return nil, &ConfigError{err}
	}
	c := o.finish(client)
	c.Context, c.Namespace = name, namespace
	if context := raw.Contexts[name]; context != nil {
		c.Cluster, c.User = context.Cluster, context.AuthInfo
	}
	if o.Cluster != "" {
		c.Cluster = o.Cluster
	}
	if o.User != "" {
		c.User = o.User
	}
	return c, nil
}

// Contexts gives the names of the contexts there are, sorted, and the current one.
func Contexts(o Options) (names []string, current string, err error) {
	quiet()
	raw, _, err := o.load()
	if err != nil {
		return nil, "", err
	}
	return slices.Sorted(maps.Keys(raw.Contexts)), raw.CurrentContext, nil
}

func (o Options) env(name string) string {
	if o.Env == nil {
		return ""
	}
	return o.Env(name)
}

// load reads and joins the files, and tells where it looked.
func (o Options) load() (*clientcmdapi.Config, []string, error) {
	var rules clientcmd.ClientConfigLoadingRules
	var looked []string
	switch list := o.env("KUBECONFIG"); {
	case o.Kubeconfig != "":
		rules.ExplicitPath = o.Kubeconfig
		looked = []string{o.Kubeconfig}
	case list != "":
		rules.Precedence = slices.DeleteFunc(filepath.SplitList(list), func(f string) bool { return f == "" })
		looked = append(looked, "$KUBECONFIG ("+list+")")
	default:
		home := o.env("HOME")
		if home == "" {
			home = o.env("USERPROFILE")
		}
		if home != "" {
			rules.Precedence = []string{filepath.Join(home, ".kube", "config")}
		}
		looked = append(looked, "$KUBECONFIG", "~/.kube/config")
	}
	raw, err := rules.Load()
	if err != nil {
		return nil, nil, &ConfigError{err}
	}
	return raw, looked, nil
}

func noContext(name string, raw *clientcmdapi.Config) error {
	names := slices.Sorted(maps.Keys(raw.Contexts))
	if len(names) == 0 {
		return errors.New("it has no contexts")
	}
	list := "there are: " + strings.Join(names, ", ")
	if name == "" {
		return fmt.Errorf("it has no current context; name one with --context; %s", list)
	}
	return fmt.Errorf("there is no context %q; %s", name, list)
}

// named tells whether the cluster and the user that the context or the options name are there. client-go says of a missing one that nothing is configured
// at all.
func (o Options) named(context string, raw *clientcmdapi.Config) error {
	cluster, user := o.Cluster, o.User
	where := ""
	if c := raw.Contexts[context]; c != nil {
		where = fmt.Sprintf("context %q names ", context)
		cluster, user = cmp.Or(cluster, c.Cluster), cmp.Or(user, c.AuthInfo)
	}
	missing := func(kind, name, chosen string, names []string) error {
		if chosen != "" {
			where = ""
		}
		return fmt.Errorf("%sthe %s %q, which is not there; there are: %s", where, kind, name, strings.Join(names, ", "))
	}
	if raw.Clusters[cluster] == nil {
		return missing("cluster", cluster, o.Cluster, slices.Sorted(maps.Keys(raw.Clusters)))
	}
	if user != "" && raw.AuthInfos[user] == nil {
		return missing("user", user, o.User, slices.Sorted(maps.Keys(raw.AuthInfos)))
	}
	return nil
}

// asked names what the options choose out of a kubeconfig.
func (o Options) asked() string {
	switch {
	case o.Context != "":
		return fmt.Sprintf("the context %q", o.Context)
	case o.Cluster != "":
		return fmt.Sprintf("the cluster %q", o.Cluster)
	}
	return fmt.Sprintf("the user %q", o.User)
}

// inCluster is the configuration that Kubernetes gives the pods it runs.
func (o Options) inCluster(looked []string) (*Config, error) {
	const usual = "/var/run/secrets/kubernetes.io/serviceaccount"
	dir := o.Pod
	if dir == "" {
		dir = usual
	}
	host, port := o.env("KUBERNETES_SERVICE_HOST"), o.env("KUBERNETES_SERVICE_PORT")
	token := filepath.Join(dir, "token")
	if _, err := os.Stat(token); host == "" || port == "" || errors.Is(err, fs.ErrNotExist) {
		return nil, &NoConfigError{looked}
	}
	client := &rest.Config{
		Host:            "https://" + net.JoinHostPort(host, port),
		BearerTokenFile: token,
		TLSClientConfig: rest.TLSClientConfig{CAFile: filepath.Join(dir, "ca.crt")},
		Impersonate:     rest.ImpersonationConfig{UserName: o.As, UID: o.AsUID, Groups: o.AsGroups},
	}
	c := o.finish(client)
	c.User = "the pod's service account"
	c.Namespace = cmp.Or(o.Namespace, o.env("POD_NAMESPACE"))
	if c.Namespace == "" {
		b, _ := os.ReadFile(filepath.Join(dir, "namespace"))
		c.Namespace = strings.TrimSpace(string(b))
	}
	if c.Namespace == "" {
		c.Namespace = "default"
	}
	return c, nil
}

// finish sets what does not come from a kubeconfig.
func (o Options) finish(client *rest.Config) *Config {
	client.QPS, client.Burst = queriesPerSecond, queriesAtOnce
	client.UserAgent = o.UserAgent
	if client.UserAgent == "" {
		client.UserAgent = "meshlark"
	}
	client.WarningHandler = rest.NoWarnings{}
	if client.Proxy == nil {
		client.Proxy = o.proxy()
	}
	c := &Config{Server: client.Host, rest: client, timeout: o.Timeout}
	if c.timeout == 0 {
		c.timeout = 30 * time.Second
	}
	return c
}

// proxy follows the variables that curl and kubectl follow.
func (o Options) proxy() func(*http.Request) (*url.URL, error) {
	either := func(name string) string {
		if v := o.env(name); v != "" {
			return v
		}
		return o.env(strings.ToLower(name))
	}
	choose := (&httpproxy.Config{HTTPProxy: either("HTTP_PROXY"), HTTPSProxy: either("HTTPS_PROXY"), NoProxy: either("NO_PROXY")}).ProxyFunc()
	return func(r *http.Request) (*url.URL, error) { return choose(r.URL) }
}

// where names the cluster in messages.
func (c *Config) where() string {
	if c.Context == "" {
		return c.Server
	}
	return fmt.Sprintf("context %s (%s)", c.Context, c.Server)
}
