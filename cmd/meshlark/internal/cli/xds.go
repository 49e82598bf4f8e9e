package cli

import (
	"fmt"
	"net"
	"strings"

	"github.com/spf13/pflag"

	"github.com/meshlark/meshlark/display"
	"github.com/meshlark/meshlark/mesh/source/ads"
	"github.com/meshlark/meshlark/mesh/source/kubernetes"
	protocol "github.com/meshlark/meshlark/xds/ads"
)

// xdsFlags say how control planes are reached over xDS, as istioctl's flags of
// the same names do.
type xdsFlags struct {
	address, certDir, authority string
	insecure, plaintext         bool
}

func (x *xdsFlags) bind(f *pflag.FlagSet) {
	f.StringVar(&x.address, "xds-address", "", "the `HOST:PORT` at which the control plane of kube: and istiod+http: sources serves xDS, instead of the istiods' pods and ports")
	f.StringVar(&x.certDir, "cert-dir", "", "the folder `DIR` with root-cert.pem of control planes, and cert-chain.pem and key.pem to be known by, for xDS over TLS")
	f.StringVar(&x.authority, "authority", "", "the `NAME` that a control plane's certificate must be of, such as istiod.istio-system.svc, for xDS over TLS")
	f.BoolVar(&x.insecure, "insecure", false, "trust any certificate of a control plane, for xDS over TLS")
	f.BoolVar(&x.plaintext, "plaintext", false, "ask --xds-address in plain text")
}

// check tells flags that go together from those that do not.
func (x *xdsFlags) check() error {
	if x.plaintext && x.address == "" {
		return &usageError{err: fmt.Errorf("--plaintext is for --xds-address; a source in plain text is named xds://HOST:PORT")}
	}
	if x.address == "" {
		return nil
	}
	if _, port, err := net.SplitHostPort(x.address); err != nil || port == "" {
		return &usageError{err: fmt.Errorf("--xds-address %q: want HOST:PORT, such as istiod.example.com:15012", x.address)}
	}
	return nil
}

// adsOptions say how control planes are asked over xDS.
func (a *app) adsOptions() ads.Options {
	x, f := a.options.xds, a.fetchOptions()
	return ads.Options{
		Security: ads.Security{CertDir: x.certDir, Authority: x.authority, Insecure: x.insecure},
		Timeout:  a.options.patience,
		MaxBytes: min(f.MaxBytes, 1<<31-1),
		Fetch:    f,
		Begin:    a.transport.begin,
		Connecting: func(way, node string) {
			// Of a fleet, one line says it for all.
			a.connecting.Do(func() {
				a.note("%s", a.errStyle.Paint(display.Faint, fmt.Sprintf("asking %s as the node %s, which appears connected for that moment", way, node)))
			})
		},
		Note: func(text string) { a.note("%s", text) },
	}
}

// xdsWay is how --xds-address leads to a control plane that is no pod of a
// known cluster; nil without the flag.
func (a *app) xdsWay() *ads.Way {
	x := a.options.xds
	if x.address == "" {
		return nil
	}
	if x.plaintext {
		return plainWay(x.address)
	}
	return &ads.Way{Name: ads.SchemeTLS + "://" + x.address, Endpoint: func() (protocol.Endpoint, error) {
		config, err := a.adsOptions().TLS()
		return protocol.Endpoint{Address: x.address, TLS: config, Authority: x.authority}, err
	}}
}

// plainWay leads to an address in plain text.
func plainWay(address string) *ads.Way {
	return &ads.Way{Name: ads.Scheme + "://" + address, Endpoint: func() (protocol.Endpoint, error) {
		return protocol.Endpoint{Address: address}, nil
	}}
}

// externalPlane is the control plane of --xds-address for a cluster; nil
// without the flag.
func (a *app) externalPlane() *kubernetes.XDS {
	x := a.options.xds
	if x.address == "" {
		return nil
	}
	return &kubernetes.XDS{Address: strings.TrimSpace(x.address), Plain: x.plaintext}
}
