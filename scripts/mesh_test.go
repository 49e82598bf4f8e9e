package scripts_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/txtar"

	"github.com/meshlark/meshlark/mesh"
	"github.com/meshlark/meshlark/xds/dump"
	"github.com/meshlark/meshlark/xds/resource"
	"github.com/meshlark/meshlark/xds/syncz"
)

// now is the time of the meshes in testdata.
var now = time.Date(2026, 11, 24, 10, 0, 0, 0, time.UTC)

// written is a mesh that an archive describes: a file NAME/config_dump.json for each
// proxy, with the answers of its Envoy beside it (NAME/clusters.json), and
// mesh.json with what control planes know. In the files AGO(1h) is a time, and
// CERT(identity, from, to) a certificate in base64 whose life is given in days
// from now; CA for the identity makes a root.
type written struct {
	t       testing.TB
	files   map[string]string
	overlay overlay
	store   *resource.Store
}

// overlay is mesh.json.
type overlay struct {
	Istiods []struct{ Name, Version string }
	Proxies map[string]struct {
		Version     string
		Node        string
		Envoy       string
		Istiod      string
		Connected   *bool
		Unreachable bool
		Sync        []struct {
			Type, State, Error, Acked string
			Sent                      string
		}
	}
}

func newWritten(t testing.TB, a *txtar.Archive) *written {
	t.Helper()
	w := &written{t: t, files: map[string]string{}}
	for _, f := range a.Files {
		if strings.HasSuffix(f.Name, ".json") {
			w.files[f.Name] = expand(t, string(f.Data))
		}
	}
	if text, ok := w.files["mesh.json"]; ok {
		if err := json.Unmarshal([]byte(text), &w.overlay); err != nil {
			t.Fatal("mesh.json:", err)
		}
	}
	return w
}

func (w *written) Spec() string                   { return "written" }
func (w *written) Live() bool                     { return false }
func (w *written) UseStore(store *resource.Store) { w.store = store }

func (w *written) Survey(context.Context) (*mesh.Survey, error) {
	sv := &mesh.Survey{Captured: now}
	records := map[string]*mesh.Record{}
	var order []string
	record := func(name string) *mesh.Record {
		if records[name] == nil {
			records[name] = &mesh.Record{Name: name}
			order = append(order, name)
		}
		return records[name]
	}
	for file := range w.files {
		if name, ok := strings.CutSuffix(file, "/config_dump.json"); ok {
			record(name).Actual = answers{w, name, false}
		}
	}
	for name, p := range w.overlay.Proxies {
		r := record(name)
		r.NodeID, r.Connected, r.Istiod, r.BuildInfo = p.Node, p.Connected, p.Istiod, p.Envoy
		if p.Unreachable {
			r.Actual = answers{w, name, true}
		}
		if p.Version != "" {
			r.Metadata = []byte(`{"ISTIO_VERSION":"` + p.Version + `"}`)
		}
		if len(p.Sync) > 0 {
			r.Sync = &syncz.Client{ProxyID: name, Istiod: p.Istiod, IstioVersion: p.Version}
		}
		for _, s := range p.Sync {
			ts := syncz.TypeStatus{Type: s.Type, TypeURL: "type.googleapis.com/" + s.Type, Status: syncz.Status(s.State), SentNonce: "n2", AckedNonce: s.Acked, Error: s.Error}
			if s.Sent != "" {
				at, err := time.Parse(time.RFC3339, s.Sent)
				if err != nil {
					return nil, err
				}
				ts.SentAt = at
			}
			r.Sync.Types = append(r.Sync.Types, ts)
		}
	}
	for _, name := range order {
		sv.Proxies = append(sv.Proxies, *records[name])
	}
	for _, i := range w.overlay.Istiods {
		sv.Istiods = append(sv.Istiods, mesh.IstiodRecord{Name: i.Name, Version: i.Version})
	}
	return sv, nil
}

// answers reads one proxy of an archive.
type answers struct {
	w       *written
	name    string
	refuses bool
}

func (a answers) Read(context.Context, mesh.Request) (mesh.Answer, error) {
	if a.refuses {
		return mesh.Answer{}, &mesh.UnreachableError{Source: a.name, Err: fmt.Errorf("connection refused")}
	}
	d, err := dump.Split(a.w.store, []byte(a.w.files[a.name+"/config_dump.json"]), dump.Options{Source: a.name})
	return mesh.Answer{Dump: d, Covers: mesh.CoversAll}, err
}

func (a answers) Admin(_ context.Context, path string, read func(io.Reader) error) (int64, error) {
	if a.refuses {
		return 0, &mesh.UnreachableError{Source: a.name, Err: fmt.Errorf("connection refused")}
	}
	path, _, _ = strings.Cut(path, "?")
	text, ok := a.w.files[a.name+"/"+path+".json"]
	if !ok {
		return 0, fmt.Errorf("%s: %w", path, mesh.ErrNotAvailable)
	}
	return int64(len(text)), read(strings.NewReader(text))
}

var (
	agoForm  = regexp.MustCompile(`AGO\(([^)]*)\)`)
	certForm = regexp.MustCompile(`CERT\(([^,)]*), *([^,)]*), *([^,)]*)\)`)
)

func expand(t testing.TB, text string) string {
	text = agoForm.ReplaceAllStringFunc(text, func(s string) string {
		d, err := time.ParseDuration(agoForm.FindStringSubmatch(s)[1])
		if err != nil {
			t.Fatalf("%s: %v", s, err)
		}
		return now.Add(-d).Format(time.RFC3339)
	})
	serial := int64(0x1000)
	return certForm.ReplaceAllStringFunc(text, func(s string) string {
		m := certForm.FindStringSubmatch(s)
		serial++
		return base64.StdEncoding.EncodeToString(certificate(t, m[1], days(t, m[2]), days(t, m[3]), serial))
	})
}

func days(t testing.TB, text string) time.Time {
	var n float64
	if _, err := fmt.Sscanf(text, "%g", &n); err != nil {
		t.Fatalf("days %q: %v", text, err)
	}
	return now.Add(time.Duration(n * 24 * float64(time.Hour)))
}

// certificate makes one in PEM, signed by itself. Several identities are joined
// by +, and give a chain or bundle.
func certificate(t testing.TB, identities string, from, to time.Time, serial int64) []byte {
	var out []byte
	for i, identity := range strings.Split(identities, "+") {
		tmpl := &x509.Certificate{SerialNumber: big.NewInt(serial*16 + int64(i)), NotBefore: from, NotAfter: to}
		switch {
		case identity == "BROKEN":
			out = append(out, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: []byte("no certificate")})...)
			continue
		case identity == "VALIDCA" || identity == "CA":
			tmpl.Subject = pkix.Name{Organization: []string{"cluster.local"}}
			tmpl.IsCA, tmpl.BasicConstraintsValid = true, true
			if identity == "VALIDCA" {
				tmpl.NotBefore, tmpl.NotAfter = now.AddDate(-1, 0, 0), now.AddDate(9, 0, 0)
			}
		case strings.HasPrefix(identity, "spiffe://"):
			id, err := url.Parse(identity)
			if err != nil {
				t.Fatal(err)
			}
			tmpl.URIs = []*url.URL{id}
		default:
			tmpl.DNSNames = []string{identity}
		}
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, &key.PublicKey, key)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})...)
	}
	return out
}
