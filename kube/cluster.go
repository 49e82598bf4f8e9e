// Package kube reaches a Kubernetes cluster through client-go: the contexts of a kubeconfig, pods and the workloads that own them, any kind of
// object the API server serves, what the user may do, and the ports of pods. It knows nothing of Envoy.
//
// It only reads. [Needs] lists every verb that it uses and what for. Ports of pods are reached over tunnels inside the process: nothing listens
// on this machine (see [Cluster.Transport]).
package kube

import (
	"context"
	"net"
	"net/http"
	"net/url"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/client-go/rest"
	"k8s.io/klog/v2"
)

// A Cluster is one Kubernetes cluster as one user sees it. It is safe for concurrent use.
type Cluster struct {
	config  *Config
	timeout time.Duration

	docs *rest.RESTClient // JSON, any path
	core *rest.RESTClient // protobuf, core group

	tunnels   *tunnels
	transport *transport
	spdyFirst atomic.Bool // this API server refused a websocket and took SPDY

	mu    sync.Mutex
	kinds []Kind // what discovery gave; nil before it was asked
}

// quiet keeps client-go from writing to standard error: what goes wrong is in the errors, and a prompt is no place for a log.
var quiet = sync.OnceFunc(func() { klog.SetLogger(logr.Discard()) })

// New makes a cluster of a configuration. Nothing is asked yet.
func New(config *Config) (*Cluster, error) {
	quiet()
	// The generated clientset knows every type of Kubernetes and costs each start of the program for it; pods are all that is decoded here.
	scheme := runtime.NewScheme()
	corev1.AddToScheme(scheme) // cannot fail on a new scheme
	metav1.AddToGroupVersion(scheme, schema.GroupVersion{Version: "v1"})
	codecs := serializer.NewCodecFactory(scheme)

	base := rest.CopyConfig(config.rest)
	base.NegotiatedSerializer = codecs.WithoutConversion()
	base.Dial = (&net.Dialer{Timeout: dialTimeout, KeepAlive: 30 * time.Second}).DialContext
	client, err := rest.HTTPClientFor(base)
	if err != nil {
		return nil, config.explain("set up the connection", err)
	}
	if base.ExecProvider != nil {
		client.Transport = newLogin(client.Transport)
	}
	docs, err := rest.UnversionedRESTClientForConfigAndClient(base, client)
	if err != nil {
		return nil, config.explain("set up the connection", err)
	}
	pods := rest.CopyConfig(base)
	pods.APIPath = "/api"
	pods.GroupVersion = &schema.GroupVersion{Version: "v1"}
	pods.ContentType = runtime.ContentTypeProtobuf
	pods.AcceptContentTypes = runtime.ContentTypeProtobuf + "," + runtime.ContentTypeJSON
	core, err := rest.RESTClientForConfigAndClient(pods, client)
	if err != nil {
		return nil, config.explain("set up the connection", err)
	}
	c := &Cluster{config: config, timeout: config.timeout, docs: docs, core: core}
	c.tunnels = newTunnels(c.dialPod)
	c.transport = newTransport(c)
	return c, nil
}

// Config is what the cluster was made of.
func (c *Cluster) Config() *Config { return c.config }

// Forget drops what is kept of the API server's answers: which kinds it serves.
func (c *Cluster) Forget() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.kinds = nil
}

// Close ends every tunnel.
func (c *Cluster) Close() {
	c.transport.base.CloseIdleConnections()
	c.tunnels.close()
}

// dialTimeout bounds a TCP connection to the API server.
const dialTimeout = 5 * time.Second

// bound gives a request the time it has. Where all of the question has a time of its own, an API server that does not answer gets half of what is left
// of it, so that there is time to say so.
func (c *Cluster) bound(ctx context.Context) (context.Context, context.CancelFunc) {
	limit := c.timeout
	if at, ok := ctx.Deadline(); ok {
		limit = min(limit, time.Until(at)/2)
	}
	return context.WithTimeout(ctx, limit)
}

// get gets a document of the API server as it is.
func (c *Cluster) get(ctx context.Context, path string, query url.Values, accept string) ([]byte, error) {
	ctx, cancel := c.bound(ctx)
	defer cancel()
	r := c.docs.Get().AbsPath(path)
	for name, values := range query {
		for _, v := range values {
			r.Param(name, v)
		}
	}
	if accept != "" {
		r.SetHeader("Accept", accept)
	}
	return raw(r.Do(ctx))
}

// raw is an answer as it was sent. What a refusal says is only in the error that Error gives.
func raw(r rest.Result) ([]byte, error) {
	if err := r.Error(); err != nil {
		return nil, err
	}
	return r.Raw()
}

// post sends a JSON document that asks a question. Nothing is stored by the questions this package asks.
func (c *Cluster) post(ctx context.Context, path string, body []byte) ([]byte, error) {
	ctx, cancel := c.bound(ctx)
	defer cancel()
	return raw(c.docs.Post().AbsPath(path).SetHeader("Content-Type", "application/json").Body(body).Do(ctx))
}

// Transport gives a round tripper to the ports of pods, for URLs such as http://POD.NAMESPACE:15000/ready. All requests to a pod share one tunnel
// through the API server, which is opened when it is first needed and closed when it is not used any more. Errors are *[Error].
func (c *Cluster) Transport() http.RoundTripper { return c.transport }
