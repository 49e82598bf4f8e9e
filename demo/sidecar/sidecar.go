// Package sidecar is a simulated Envoy: a client of a real ADS server that keeps the configuration it is given, acknowledges or refuses
// it, and shows it at an admin interface that answers as Envoy's does. It carries no traffic.
//
// An Envoy that refuses a resource keeps the one it had and takes the others; a cluster without endpoints and a listener without its routes
// stay warming; a removed listener drains. So does this.
package sidecar

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"

	bootstrapv3 "github.com/envoyproxy/go-control-plane/envoy/config/bootstrap/v3"
	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
)

// Options say who a sidecar is and what is wrong with it.
type Options struct {
	Bootstrap *bootstrapv3.Bootstrap
	Secrets   []*tlsv3.Secret  // what the agent beside it hands out, with their private keys removed
	Control   string           // address of the ADS server
	Now       func() time.Time // stamps what arrives
	DrainTime time.Duration    // how long a removed listener drains

	// Silent is the type URL of which it acknowledges only the first update.
	Silent string
	// Refuses maps names of clusters and listeners to the reason why Envoy does not take them when an update changes them.
	Refuses map[string]string
	// Ejected are IP addresses that outlier detection has ejected.
	Ejected []string
	// AsksRoutes says that it subscribes to route tables even without naming one, as an Envoy does that had some before it reconnected.
	AsksRoutes bool
}

// A Sidecar runs until Close.
type Sidecar struct {
	options Options
	started time.Time
	admin   net.Listener
	http    *http.Server
	conn    *grpc.ClientConn
	cancel  context.CancelFunc
	ended   sync.WaitGroup

	mu    sync.Mutex
	state state
}

// Start connects to the control plane, and serves the admin interface on a free loopback port.
func Start(o Options) (*Sidecar, error) {
	s := &Sidecar{options: o, started: o.Now(), state: newState()}
	id := o.Bootstrap.GetNode().GetId()
	var err error
	if s.admin, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		return nil, fmt.Errorf("listen for the admin interface of %s on a loopback port: %w", id, err)
	}
	s.conn, err = grpc.NewClient("passthrough:///"+o.Control, grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithNoProxy())
	if err != nil {
		s.admin.Close()
		return nil, fmt.Errorf("connect %s to the control plane at %s: %w", id, o.Control, err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	s.cancel = cancel
	s.http = &http.Server{Handler: s.handler(), ReadHeaderTimeout: 10 * time.Second}
	s.ended.Go(func() { _ = s.http.Serve(s.admin) })
	s.ended.Go(func() { s.follow(ctx) })
	return s, nil
}

// Admin is the address of the admin interface.
func (s *Sidecar) Admin() string { return s.admin.Addr().String() }

// Close disconnects and gives the port back.
func (s *Sidecar) Close() error {
	s.cancel()
	err := s.conn.Close()
	if e := s.http.Close(); err == nil {
		err = e
	}
	s.ended.Wait()
	return err
}
