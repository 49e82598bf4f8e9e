// Package ads asks a control plane what it would send to an Envoy: it connects as the Envoy's node over xDS' aggregated discovery service (ADS),
// asks for what an Envoy asks for, and gives the answers as a config dump.
//
// Clusters and listeners are asked for as a whole, everything else by the names that these refer to, as far as they say that it comes from ADS
// too: endpoints, route tables, scopes, secrets, extensions. Both forms of the protocol are spoken, the state of the world and the incremental one.
//
// A control plane takes the client for the Envoy itself. It lists the node as connected while the client is, which is why that is short; nothing is ever
// rejected, since a rejection would be put down to the Envoy; and what would make the control plane write something is left out of the node (see [Node]).
package ads

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
)

// A Mode is a form of the protocol.
type Mode string

// The forms: whole answers, or only what changed. The zero value is SotW.
const (
	SotW  Mode = "sotw"
	Delta Mode = "delta"
)

// An Endpoint is where and how a control plane is reached.
type Endpoint struct {
	Address   string      // host:port; it names the endpoint in errors
	TLS       *tls.Config // nil is plain text
	Authority string      // of the requests; "" is that of the address
	// Dial connects to Address; nil dials the network, without proxies of the environment.
	Dial func(ctx context.Context) (net.Conn, error)
	// Token gives a bearer token for each question; nil sends none. It needs TLS.
	Token func(ctx context.Context) (string, error)
}

// Options bound what a client does. The zero value speaks the state of the world.
type Options struct {
	Mode    Mode
	Timeout time.Duration // of one question, connecting included; 0 is 30 s
	// Quiet is how long the control plane may be silent before a name that it did not send counts as missing; 0 is 1 s. Clusters and listeners are
	// waited for several times as long.
	Quiet    time.Duration
	MaxBytes int64 // of all answers to one question, in protobuf's binary form; 0 is 1 GiB
}

// patience is for how many times Options.Quiet clusters and listeners are waited for once there was an answer.
const patience = 5

// A Client asks one control plane. It is safe for concurrent use; each question has a stream of its own.
type Client struct {
	endpoint Endpoint
	options  Options
	conn     *grpc.ClientConn
}

// New makes a client. Nothing is dialled yet.
func New(e Endpoint, o Options) (*Client, error) {
	if o.Timeout == 0 {
		o.Timeout = 30 * time.Second
	}
	if o.Quiet == 0 {
		o.Quiet = time.Second
	}
	if o.MaxBytes == 0 {
		o.MaxBytes = 1 << 30
	}
	dial := e.Dial
	if dial == nil {
		dial = func(ctx context.Context) (net.Conn, error) {
			return (&net.Dialer{Timeout: 5 * time.Second}).DialContext(ctx, "tcp", e.Address)
		}
	}
	if e.Token != nil && e.TLS == nil {
		return nil, &Error{Address: e.Address, Doing: "connect", Err: errors.New("a token is sent over TLS only")}
	}
	security := insecure.NewCredentials()
	if e.TLS != nil {
		security = credentials.NewTLS(e.TLS)
	}
	settings := []grpc.DialOption{
		grpc.WithTransportCredentials(security),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return dial(ctx) }),
		grpc.WithNoProxy(),
		grpc.WithDisableServiceConfig(),
		grpc.WithDisableRetry(),
		grpc.WithUserAgent("meshlark"),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(int(o.MaxBytes))),
	}
	if e.Authority != "" {
		settings = append(settings, grpc.WithAuthority(e.Authority))
	}
	conn, err := grpc.NewClient("passthrough:///"+e.Address, settings...)
	if err != nil {
		return nil, &Error{Address: e.Address, Doing: "connect", Err: err}
	}
	return &Client{endpoint: e, options: o, conn: conn}, nil
}

// Close ends the connection.
func (c *Client) Close() error { return c.conn.Close() }

// identified adds a token to what is sent under a context.
func (c *Client) identified(ctx context.Context) (context.Context, error) {
	if c.endpoint.Token == nil {
		return ctx, nil
	}
	token, err := c.endpoint.Token(ctx)
	if err != nil {
		return nil, &Error{Address: c.endpoint.Address, Doing: "get a token", Err: err}
	}
	return metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+token), nil
}
