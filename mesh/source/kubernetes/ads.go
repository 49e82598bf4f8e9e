package kubernetes

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/meshlark/meshlark/kube"
	"github.com/meshlark/meshlark/mesh"
	"github.com/meshlark/meshlark/mesh/source/ads"
	"github.com/meshlark/meshlark/mesh/source/fetch"
	protocol "github.com/meshlark/meshlark/xds/ads"
	"github.com/meshlark/meshlark/xds/rawjson"
	"github.com/meshlark/meshlark/xds/resource"
)

const (
	plainPort  = 15010 // where istiod serves ADS in plain text, unless --grpcAddr says otherwise
	securePort = 15012 // and over TLS, unless --secureGRPCAddr does
	// tokenAudience and tokenLife are of the tokens that istiod knows a client by.
	tokenAudience = "istio-ca"
	tokenLife     = time.Hour
)

// byADS is how to ask the istiod that a proxy is connected to, or should be, for what it sends to the proxy, as the proxy; nil when that istiod is none of
// the pods.
func (s *Source) byADS(cluster *kube.Cluster, r *mesh.Record, planes *controlPlanes, found *population) mesh.Reader {
	ways := s.ways(cluster, r, planes, found)
	if len(ways) == 0 {
		return nil
	}
	record := *r
	made := ads.NewReader(ways, r.Name, func(ctx context.Context) (rawjson.Value, error) { return nodeOf(ctx, &record) }, protocol.SotW, s.options.ADS)
	made.UseStore(s.store)
	return made
}

// ways leads to the istiod of a proxy: in plain text, else over TLS with a token of the proxy's own service account, which only then is made.
func (s *Source) ways(cluster *kube.Cluster, r *mesh.Record, planes *controlPlanes, found *population) []ads.Way {
	if strings.HasPrefix(r.NodeID, "ztunnel~") || r.Sync != nil && r.Sync.Type == "ztunnel" {
		return nil // it is sent no such configuration
	}
	istiod := planes.of(r)
	switch {
	case istiod == nil && s.options.XDS != nil:
		return []ads.Way{s.outside(cluster, accountOf(r, found))}
	case istiod == nil:
		return nil
	}
	return s.inside(cluster, istiod, s.token(cluster, accountOf(r, found)))
}

// of finds the pod of the istiod that a proxy is connected to; for one that is connected to none, of an istiod of the revision that its pod was made for.
// It is nil when there is no such pod.
func (c *controlPlanes) of(r *mesh.Record) *kube.Pod {
	for i := range c.pods {
		p := &c.pods[i]
		same := cmp.Or(p.Labels[revisionLabel], defaultRevision) == cmp.Or(r.Revision, defaultRevision)
		if p.Name == r.Istiod || r.Istiod == "" && same && p.Phase == "Running" {
			return p
		}
	}
	return nil
}

// inside leads to an istiod of the cluster, through the tunnel to its pod.
func (s *Source) inside(cluster *kube.Cluster, istiod *kube.Pod, token func(context.Context) (string, error)) []ads.Way {
	to := func(port int) func(context.Context) (net.Conn, error) {
		return func(ctx context.Context) (net.Conn, error) {
			return cluster.DialPod(ctx, istiod.Namespace, istiod.Name, port)
		}
	}
	address := func(port int) string { return fmt.Sprintf("%s.%s:%d", istiod.Name, istiod.Namespace, port) }
	plain, secure := argumentPort(istiod, "--grpcAddr", plainPort), argumentPort(istiod, "--secureGRPCAddr", securePort)
	return []ads.Way{
		{Name: ads.Scheme + "://" + address(plain), Endpoint: func() (protocol.Endpoint, error) {
			return protocol.Endpoint{Address: address(plain), Dial: to(plain)}, nil
		}},
		{Name: ads.SchemeTLS + "://" + address(secure), Endpoint: func() (protocol.Endpoint, error) {
			return protocol.Endpoint{
				Address: address(secure), Dial: to(secure),
				// The tunnel leads into this pod and nowhere else, so that its certificate need not tell whose it is.
				TLS:   &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS12},
				Token: token,
			}, nil
		}},
	}
}

// An account is a service account.
type account struct{ namespace, name string }

// accountOf is the service account of the proxy's pod.
func accountOf(r *mesh.Record, found *population) account {
	_, namespace, _ := cutLast(r.Name)
	name := r.Metadata.Str("SERVICE_ACCOUNT")
	if p := found.pods[r.Name]; p != nil {
		name = cmp.Or(name, p.ServiceAccount)
	}
	return account{namespace, cmp.Or(name, "default")}
}

func (s *Source) token(cluster *kube.Cluster, a account) func(context.Context) (string, error) {
	return func(ctx context.Context) (string, error) {
		token, _, err := cluster.Token(ctx, a.namespace, a.name, tokenAudience, tokenLife)
		return token, err
	}
}

// An XDS is a control plane outside of the cluster.
type XDS struct {
	Address string // host:port
	Plain   bool   // without TLS
}

// outside leads to the control plane that the options name. Without a client certificate a token of the account says who asks.
func (s *Source) outside(cluster *kube.Cluster, a account) ads.Way {
	x := s.options.XDS
	scheme := ads.SchemeTLS
	if x.Plain {
		scheme = ads.Scheme
	}
	return ads.Way{Name: scheme + "://" + x.Address, Endpoint: func() (protocol.Endpoint, error) {
		e := protocol.Endpoint{Address: x.Address}
		if x.Plain {
			return e, nil
		}
		config, err := s.options.ADS.TLS()
		if err != nil {
			return e, err
		}
		e.TLS, e.Authority = config, s.options.ADS.Security.Authority
		if len(config.Certificates) == 0 {
			e.Token = s.token(cluster, a)
		}
		return e, nil
	}}
}

// outsideStatus asks the control plane that the options name who is connected to it.
func (s *Source) outsideStatus(ctx context.Context, cluster *kube.Cluster) (*mesh.Survey, error) {
	o := s.options.ADS
	o.Namespace = cmp.Or(s.options.IstioNamespace, usualNamespace)
	return ads.Status(ctx, s.outside(cluster, account{o.Namespace, "default"}), s.store, o)
}

// overXDS asks an istiod that serves no debug API over HTTP, or not to this client, for the same over xDS in plain text. Few istiods answer that to
// somebody whom they do not know; the first error stands then.
func (s *Source) overXDS(ctx context.Context, cluster *kube.Cluster, p *kube.Pod, overHTTP func(context.Context) (*mesh.Survey, error)) (*mesh.Survey, error) {
	sv, err := overHTTP(ctx)
	var refused *fetch.StatusError
	if err == nil || !errors.As(err, &refused) && !errors.Is(err, kube.NotListening) {
		return sv, err
	}
	o := s.options.ADS
	o.Namespace = p.Namespace
	other, otherErr := ads.Status(ctx, s.inside(cluster, p, nil)[0], s.store, o)
	if otherErr != nil {
		return nil, err
	}
	for i := range other.Proxies {
		other.Proxies[i].Istiod = p.Name
	}
	for i := range other.Istiods {
		other.Istiods[i].Name = p.Name
	}
	return other, nil
}

// nodeOf is whom a proxy says that it is: its own bootstrap tells it best, else what istiod knows of it, else what its pod tells.
func nodeOf(ctx context.Context, r *mesh.Record) (rawjson.Value, error) {
	if r.Actual != nil {
		// Where an istiod knows the proxy nearly as well, an Envoy that hangs is not waited for.
		asking, cancel := ctx, context.CancelFunc(func() {})
		if r.Sync != nil && len(r.Metadata) > 0 {
			const longest = 3 * time.Second
			asking, cancel = context.WithTimeout(ctx, longest)
		}
		a, err := r.Actual.Read(asking, mesh.Request{Kind: resource.Bootstrap})
		cancel()
		if err == nil {
			if b := a.Dump.Bootstrap(); b != nil {
				if raw, err := b.Raw(); err == nil && raw.Str("node", "id") != "" {
					return raw.Get("node"), nil
				}
			}
		}
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
	}
	if r.NodeID != "" {
		return protocol.NodeJSON(r.NodeID, "", r.Metadata, nil), nil
	}
	if len(r.Metadata) == 0 {
		return nil, fmt.Errorf("configuration that %s is sent: neither its Envoy nor its istiod tells its node", r.Name)
	}
	kind, namespace := "", ""
	if r.Sync != nil {
		kind, namespace = r.Sync.Type, r.Sync.Namespace
	}
	return ads.ConnectedNode(kind, r.IP, r.Name, namespace, r.Metadata, ""), nil
}

// argumentPort reads a port out of an argument of istiod's container: --grpcAddr=:15010, in one word or two.
func argumentPort(p *kube.Pod, name string, usual int) int {
	c, _ := p.Container(discovery)
	for i, arg := range c.Args {
		value, ok := strings.CutPrefix(arg, name)
		if !ok {
			continue
		}
		if value == "" && i+1 < len(c.Args) {
			value = c.Args[i+1]
		}
		if colon := strings.LastIndexByte(value, ':'); colon >= 0 {
			if port, err := strconv.Atoi(value[colon+1:]); err == nil && port > 0 {
				return port
			}
		}
	}
	return usual
}
