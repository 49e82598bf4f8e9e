package envoytest

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	bootstrapv3 "github.com/envoyproxy/go-control-plane/envoy/config/bootstrap/v3"
	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	endpointv3 "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	httpv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/upstreams/http/v3"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/durationpb"
)

// startLimit is how long an Envoy may take until it is ready, and a condition
// of WaitFor until it holds. An idle machine needs less than a second.
const startLimit = 60 * time.Second

// Options say how StartEnvoy starts an Envoy. The zero value is an Envoy with an
// empty configuration.
type Options struct {
	// Node is what the Envoy calls itself; nil is a node with id "envoytest".
	Node *corev3.Node
	// Bootstrap is merged over the bootstrap of the harness, which holds the
	// node, an admin address, the ADS cluster "xds" and CDS and LDS through it.
	Bootstrap *bootstrapv3.Bootstrap
	// Resources are what the control plane gives from the start, at version "1"
	// unless Version says otherwise.
	Resources []proto.Message
	Version   string
	// Args are further arguments of the command line.
	Args []string
}

// Envoy is a running Envoy process.
type Envoy struct {
	// ControlPlane is the ADS server that this Envoy, and no other, talks to.
	ControlPlane *ControlPlane

	admin  string
	client *http.Client
	exited chan struct{}
	log    *logBuffer
}

// StartEnvoy starts an Envoy and its control plane, and returns when Envoy says
// that it is live. Both end with the test; Envoy's log joins the test's log when
// the test fails. Without an Envoy binary the test is skipped, or fails in CI:
// see Need.
func StartEnvoy(t testing.TB, opts Options) *Envoy {
	t.Helper()
	binary := Need(t)
	cp := StartControlPlane(t)
	version := opts.Version
	if version == "" {
		version = "1"
	}
	if err := cp.Set(version, opts.Resources...); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	bootstrap, err := bootstrapFor(cp, opts)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "bootstrap.json"), bootstrap, 0o600); err != nil {
		t.Fatalf("write the bootstrap: %v", err)
	}

	e := &Envoy{
		ControlPlane: cp,
		client:       &http.Client{Timeout: 30 * time.Second, Transport: &http.Transport{}},
		exited:       make(chan struct{}),
		log:          &logBuffer{},
	}
	args := append([]string{
		"--config-path", "bootstrap.json",
		"--admin-address-path", "admin-address",
		// Several Envoys on one machine would otherwise share memory by base id.
		"--disable-hot-restart",
		"--concurrency", "1",
		"--log-level", "warning",
	}, opts.Args...)
	cmd := exec.CommandContext(processContext(t), binary, args...)
	cmd.Dir = dir // relative paths above, so that what /server_info shows is the same everywhere
	e.start(t, cmd)

	deadline := time.Now().Add(startLimit)
	for {
		address, err := os.ReadFile(filepath.Join(dir, "admin-address"))
		if err == nil && len(address) > 0 {
			e.admin = "http://" + strings.TrimSpace(string(address))
			break
		}
		e.pause(t, deadline, "write its admin address")
	}
	for {
		if status, body, err := e.get("/ready"); err == nil && status == http.StatusOK && strings.HasPrefix(string(body), "LIVE") {
			return e
		}
		e.pause(t, deadline, "become live (its /init_dump says what it waits for)")
	}
}

// processContext ends a little before the test binary would panic for having run
// too long, so that no Envoy outlives it.
func processContext(t testing.TB) context.Context {
	ctx := context.Background()
	if d, ok := t.(interface{ Deadline() (time.Time, bool) }); ok {
		if at, ok := d.Deadline(); ok {
			var cancel context.CancelFunc
			ctx, cancel = context.WithDeadline(ctx, at.Add(-time.Second))
			t.Cleanup(cancel)
		}
	}
	return ctx
}

// start runs cmd and has the test's end stop it.
func (e *Envoy) start(t testing.TB, cmd *exec.Cmd) {
	t.Helper()
	cmd.Stdout = e.log
	cmd.Stderr = e.log
	if err := cmd.Start(); err != nil {
		t.Fatalf("start Envoy: %v", err)
	}
	go func() {
		_ = cmd.Wait() // it ends by a signal, which Wait calls an error
		close(e.exited)
	}()
	t.Cleanup(func() {
		e.client.CloseIdleConnections()
		_ = cmd.Process.Signal(syscall.SIGTERM)
		select {
		case <-e.exited:
		case <-time.After(5 * time.Second):
			_ = cmd.Process.Kill()
			<-e.exited
		}
		if t.Failed() {
			t.Logf("Envoy's log:\n%s", e.log)
		}
	})
}

// pause waits a moment before the next look at something Envoy has yet to do,
// or fails the test if that is hopeless.
func (e *Envoy) pause(t testing.TB, deadline time.Time, what string) {
	t.Helper()
	select {
	case <-e.exited:
		t.Fatalf("Envoy ended before it could %s", what)
	case <-time.After(10 * time.Millisecond):
	}
	if time.Now().After(deadline) {
		t.Fatalf("Envoy did not %s within %v", what, startLimit)
	}
}

// WaitFor looks at Envoy until done says yes, and fails the test if it never
// does. What is the rest of the sentence "Envoy did not ...".
func (e *Envoy) WaitFor(t testing.TB, what string, done func() bool) {
	t.Helper()
	deadline := time.Now().Add(startLimit)
	for !done() {
		e.pause(t, deadline, what)
	}
}

// AdminURL is the address of the admin API, without a slash at its end.
func (e *Envoy) AdminURL() string { return e.admin }

// Get fetches a path of the admin API, query included, and fails the test
// unless the answer is 200.
func (e *Envoy) Get(t testing.TB, path string) []byte {
	t.Helper()
	status, body := e.Fetch(t, path)
	if status != http.StatusOK {
		t.Fatalf("get %s%s: status %d: %s", e.admin, path, status, body)
	}
	return body
}

// Fetch fetches a path of the admin API and gives the answer whatever its
// status.
func (e *Envoy) Fetch(t testing.TB, path string) (status int, body []byte) {
	t.Helper()
	status, body, err := e.get(path)
	if err != nil {
		t.Fatalf("get %s%s: %v", e.admin, path, err)
	}
	return status, body
}

func (e *Envoy) get(path string) (int, []byte, error) {
	resp, err := e.client.Get(e.admin + path)
	if err != nil {
		return 0, nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return resp.StatusCode, body, err
}

// bootstrapFor writes the bootstrap of an Envoy that talks to cp.
func bootstrapFor(cp *ControlPlane, opts Options) ([]byte, error) {
	loopback := func(port int) *corev3.Address {
		return &corev3.Address{Address: &corev3.Address_SocketAddress{SocketAddress: &corev3.SocketAddress{
			Address:       "127.0.0.1",
			PortSpecifier: &corev3.SocketAddress_PortValue{PortValue: uint32(port)},
		}}}
	}
	http2, err := anypb.New(&httpv3.HttpProtocolOptions{
		UpstreamProtocolOptions: &httpv3.HttpProtocolOptions_ExplicitHttpConfig_{
			ExplicitHttpConfig: &httpv3.HttpProtocolOptions_ExplicitHttpConfig{
				ProtocolConfig: &httpv3.HttpProtocolOptions_ExplicitHttpConfig_Http2ProtocolOptions{
					Http2ProtocolOptions: &corev3.Http2ProtocolOptions{},
				},
			},
		},
	})
	if err != nil {
		return nil, fmt.Errorf("write the bootstrap: %w", err)
	}
	ads := &corev3.ConfigSource{
		ResourceApiVersion:    corev3.ApiVersion_V3,
		ConfigSourceSpecifier: &corev3.ConfigSource_Ads{Ads: &corev3.AggregatedConfigSource{}},
	}
	b := &bootstrapv3.Bootstrap{
		Node:  &corev3.Node{Id: "envoytest", Cluster: "envoytest"},
		Admin: &bootstrapv3.Admin{Address: loopback(0)},
		DynamicResources: &bootstrapv3.Bootstrap_DynamicResources{
			AdsConfig: &corev3.ApiConfigSource{
				ApiType:             corev3.ApiConfigSource_GRPC,
				TransportApiVersion: corev3.ApiVersion_V3,
				GrpcServices: []*corev3.GrpcService{{
					TargetSpecifier: &corev3.GrpcService_EnvoyGrpc_{EnvoyGrpc: &corev3.GrpcService_EnvoyGrpc{ClusterName: "xds"}},
				}},
			},
			CdsConfig: ads,
			LdsConfig: ads,
		},
		StaticResources: &bootstrapv3.Bootstrap_StaticResources{
			Clusters: []*clusterv3.Cluster{{
				Name:                 "xds",
				ClusterDiscoveryType: &clusterv3.Cluster_Type{Type: clusterv3.Cluster_STATIC},
				ConnectTimeout:       durationpb.New(5 * time.Second),
				LoadAssignment: &endpointv3.ClusterLoadAssignment{
					ClusterName: "xds",
					Endpoints: []*endpointv3.LocalityLbEndpoints{{
						LbEndpoints: []*endpointv3.LbEndpoint{{
							HostIdentifier: &endpointv3.LbEndpoint_Endpoint{
								Endpoint: &endpointv3.Endpoint{Address: loopback(cp.Addr().Port)},
							},
						}},
					}},
				},
				TypedExtensionProtocolOptions: map[string]*anypb.Any{
					"envoy.extensions.upstreams.http.v3.HttpProtocolOptions": http2,
				},
			}},
		},
	}
	if opts.Node != nil {
		b.Node = opts.Node
	}
	if opts.Bootstrap != nil {
		proto.Merge(b, opts.Bootstrap)
	}
	out, err := protojson.MarshalOptions{UseProtoNames: true, Indent: "  "}.Marshal(b)
	if err != nil {
		return nil, fmt.Errorf("write the bootstrap: %w", err)
	}
	return out, nil
}

// logBuffer keeps what Envoy prints; it is read while Envoy may still write.
type logBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}
