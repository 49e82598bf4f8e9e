package sidecar

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	adminv3 "github.com/envoyproxy/go-control-plane/envoy/admin/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	"google.golang.org/protobuf/types/known/durationpb"
)

// serverInfo answers /server_info.
func (s *Sidecar) serverInfo(w http.ResponseWriter, _ *http.Request) {
	uptime := durationpb.New(s.options.Now().Sub(s.started).Truncate(time.Second))
	show(w, &adminv3.ServerInfo{
		Version:            buildText(s.options.Bootstrap.GetNode()),
		State:              adminv3.ServerInfo_LIVE,
		UptimeCurrentEpoch: uptime,
		UptimeAllEpochs:    uptime,
		HotRestartVersion:  "disabled",
		CommandLineOptions: &adminv3.CommandLineOptions{
			Concurrency:              2,
			ConfigPath:               "etc/istio/proxy/envoy-rev.json",
			LocalAddressIpVersion:    adminv3.CommandLineOptions_v4,
			LogLevel:                 "warning",
			ComponentLogLevel:        "misc:error",
			LogFormat:                "%Y-%m-%dT%T.%fZ\t%l\tenvoy %n %g:%#\t%v\tthread=%t",
			FileFlushInterval:        durationpb.New(10 * time.Second),
			DrainTime:                durationpb.New(s.options.DrainTime),
			ParentShutdownTime:       durationpb.New(time.Minute),
			DisableHotRestart:        true,
			AllowUnknownStaticFields: true,
		},
		Node: s.options.Bootstrap.GetNode(),
	}, true)
}

// buildText is Envoy's version as it prints it.
func buildText(n *corev3.Node) string {
	b := n.GetUserAgentBuildVersion()
	about := b.GetMetadata().GetFields()
	return fmt.Sprintf("%s/%d.%d.%d/%s/%s/%s", about["revision.sha"].GetStringValue(),
		b.GetVersion().GetMajorNumber(), b.GetVersion().GetMinorNumber(), b.GetVersion().GetPatch(),
		about["revision.status"].GetStringValue(), about["build.type"].GetStringValue(), about["ssl.version"].GetStringValue())
}

// certs answers /certs: the leaf of each chain, and every root.
func (s *Sidecar) certs(w http.ResponseWriter, _ *http.Request) {
	c := &adminv3.Certificate{}
	for _, secret := range s.options.Secrets {
		for _, cert := range parse(secret.GetValidationContext().GetTrustedCa().GetInlineBytes()) {
			c.CaCert = append(c.CaCert, s.certDetails(cert))
		}
		if chain := parse(secret.GetTlsCertificate().GetCertificateChain().GetInlineBytes()); len(chain) > 0 {
			c.CertChain = append(c.CertChain, s.certDetails(chain[0]))
		}
	}
	answer := &adminv3.Certificates{}
	if len(s.options.Secrets) > 0 {
		answer.Certificates = append(answer.Certificates, c)
	}
	show(w, answer, true)
}

func parse(chain []byte) []*x509.Certificate {
	var out []*x509.Certificate
	for {
		var block *pem.Block
		if block, chain = pem.Decode(chain); block == nil {
			return out
		}
		if cert, err := x509.ParseCertificate(block.Bytes); err == nil {
			out = append(out, cert)
		}
	}
}

func (s *Sidecar) certDetails(cert *x509.Certificate) *adminv3.CertificateDetails {
	d := &adminv3.CertificateDetails{
		Path:                "<inline>",
		SerialNumber:        hex.EncodeToString(cert.SerialNumber.Bytes()),
		DaysUntilExpiration: s.daysLeft(cert),
		ValidFrom:           stamp(cert.NotBefore),
		ExpirationTime:      stamp(cert.NotAfter),
	}
	for _, u := range cert.URIs {
		d.SubjectAltNames = append(d.SubjectAltNames, &adminv3.SubjectAlternateName{Name: &adminv3.SubjectAlternateName_Uri{Uri: u.String()}})
	}
	for _, name := range cert.DNSNames {
		d.SubjectAltNames = append(d.SubjectAltNames, &adminv3.SubjectAlternateName{Name: &adminv3.SubjectAlternateName_Dns{Dns: name}})
	}
	return d
}

// daysLeft is 0 for an expired certificate too, as in Envoy.
func (s *Sidecar) daysLeft(cert *x509.Certificate) uint64 {
	if left := cert.NotAfter.Sub(s.options.Now()); left > 0 {
		return uint64(left / (24 * time.Hour))
	}
	return 0
}

// listeners answers /listeners. Those that the bootstrap does not name have names that Envoy makes up.
func (s *Sidecar) listeners(w http.ResponseWriter, req *http.Request) {
	answer := &adminv3.Listeners{}
	add := func(name string, l *listenerv3.Listener) {
		answer.ListenerStatuses = append(answer.ListenerStatuses, &adminv3.ListenerStatus{Name: name, LocalAddress: l.GetAddress()})
	}
	for _, l := range s.options.Bootstrap.GetStaticResources().GetListeners() {
		name := l.GetName()
		if name == "" {
			name = s.madeUpName(l.GetAddress().GetSocketAddress().GetPortValue())
		}
		add(name, l)
	}
	s.mu.Lock()
	for _, name := range sortedKeys(s.state.listeners) {
		if l := s.state.listeners[name].message; s.state.ready(l) {
			add(name, l)
		}
	}
	s.mu.Unlock()
	if req.URL.Query().Get("format") == "json" {
		show(w, answer, false)
		return
	}
	var b strings.Builder
	for _, l := range answer.GetListenerStatuses() {
		sock := l.GetLocalAddress().GetSocketAddress()
		fmt.Fprintf(&b, "%s::%s:%d\n", l.GetName(), sock.GetAddress(), sock.GetPortValue())
	}
	plain(w, http.StatusOK, b.String())
}

// madeUpName has the form of a UUID, and is the same in every run.
func (s *Sidecar) madeUpName(port uint32) string {
	sum := sha256.Sum256([]byte(s.options.Bootstrap.GetNode().GetId() + strconv.Itoa(int(port))))
	x := hex.EncodeToString(sum[:16])
	return x[:8] + "-" + x[8:12] + "-4" + x[13:16] + "-a" + x[17:20] + "-" + x[20:]
}
