package lab

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	tlsv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	secretv3 "github.com/envoyproxy/go-control-plane/envoy/service/secret/v3"
	"github.com/envoyproxy/go-control-plane/pkg/cache/types"
	"github.com/envoyproxy/go-control-plane/pkg/cache/v3"
	"github.com/envoyproxy/go-control-plane/pkg/resource/v3"
	"github.com/envoyproxy/go-control-plane/pkg/server/v3"
	"google.golang.org/grpc"
)

// workloadSocket is where an Envoy of Istio finds its certificates, in its working folder.
const workloadSocket = "var/run/secrets/workload-spiffe-uds/socket"

// A secretServer gives one Envoy its certificate and the roots it trusts, as pilot-agent does beside it in Istio.
type secretServer struct {
	server *grpc.Server
	cancel context.CancelFunc
}

// serveSecrets serves for a pod in the working folder of its Envoy.
func serveSecrets(dir string, p *Pod, ca *authority) (*secretServer, error) {
	chain, key, err := ca.workload(p.Namespace, p.Account)
	if err != nil {
		return nil, err
	}
	inline := func(text []byte) *corev3.DataSource {
		return &corev3.DataSource{Specifier: &corev3.DataSource_InlineBytes{InlineBytes: text}}
	}
	secrets := cache.NewLinearCache(resource.SecretType, cache.WithInitialResources(map[string]types.Resource{
		"default": &tlsv3.Secret{Name: "default", Type: &tlsv3.Secret_TlsCertificate{TlsCertificate: &tlsv3.TlsCertificate{
			CertificateChain: inline(append(chain, ca.pem...)), PrivateKey: inline(key),
		}}},
		"ROOTCA": &tlsv3.Secret{Name: "ROOTCA", Type: &tlsv3.Secret_ValidationContext{ValidationContext: &tlsv3.CertificateValidationContext{
			TrustedCa: inline(ca.pem),
		}}},
	}))
	socket := filepath.Join(dir, workloadSocket)
	if err := os.MkdirAll(filepath.Dir(socket), 0o700); err != nil {
		return nil, fmt.Errorf("serve the certificates of %s: %w", p.ID(), err)
	}
	folder, err := os.Open(filepath.Dir(socket))
	if err != nil {
		return nil, fmt.Errorf("serve the certificates of %s: %w", p.ID(), err)
	}
	defer folder.Close()
	// The address of a socket has some 100 bytes, too few for its path; the folder's descriptor makes a short one.
	listener, err := net.ListenUnix("unix", &net.UnixAddr{Name: fmt.Sprintf("/proc/self/fd/%d/%s", folder.Fd(), filepath.Base(socket))})
	if err != nil {
		return nil, fmt.Errorf("serve the certificates of %s: %w", p.ID(), err)
	}
	listener.SetUnlinkOnClose(false) // the descriptor is another's by then; the folder goes with the lab
	ctx, cancel := context.WithCancel(context.Background())
	s := &secretServer{server: grpc.NewServer(), cancel: cancel}
	secretv3.RegisterSecretDiscoveryServiceServer(s.server, server.NewServer(ctx, secrets, nil))
	go s.server.Serve(listener)
	return s, nil
}

func (s *secretServer) close() {
	s.cancel()
	s.server.Stop()
}
