package istiod

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/meshlark/meshlark/internal/replay"
	"github.com/meshlark/meshlark/mesh"
	"github.com/meshlark/meshlark/mesh/source/fetch"
	"github.com/meshlark/meshlark/xds/pattern"
)

func configz(t *testing.T, body string) (*mesh.Mesh, *atomic.Int32) {
	var asked atomic.Int32
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.RequestURI() != "/debug/configz" {
			http.NotFound(w, r)
			return
		}
		asked.Add(1)
		io.WriteString(w, body)
	}))
	t.Cleanup(s.Close)
	return mesh.New([]mesh.Source{New("istiod", s.URL, fetch.Options{})}, mesh.Options{}), &asked
}

func TestObjects(t *testing.T) {
	object := func(group, kind, namespace, name string) string {
		return fmt.Sprintf(`{"kind": %q, "apiVersion": "%s.istio.io/v1", "metadata": {"name": %q, "namespace": %q, "labels": {"n": %[3]q}, "creationTimestamp": null}, "spec": {"x": 1.0}}`, kind, group, name, namespace)
	}
	m, asked := configz(t, "["+strings.Join([]string{
		object("networking", "VirtualService", "shop", "cart"), object("networking", "VirtualService", "default", "reviews"),
		object("security", "AuthorizationPolicy", "default", "reviews"), `{"unknown": true}`,
	}, ",")+"]")
	for _, test := range []struct{ kind, name, labels, want string }{
		{"vs", "", "", "reviews.default cart.shop"},
		{"VirtualService.networking.istio.io", "car*", "", "cart.shop"},
		{"virtualservices.v1.networking.istio.io", "", "n=reviews", "reviews.default"},
		{"ap", "reviews", "", "reviews.default"},
		{"dr", "", "", ""},
	} {
		p, err := pattern.Parse(test.name)
		if err != nil {
			t.Fatal(err)
		}
		res, err := m.Objects(t.Context(), mesh.ObjectQuery{Kind: test.kind, Name: p, Labels: test.labels})
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, o := range res.Items {
			got = append(got, o.Name+"."+o.Namespace)
			if !strings.HasSuffix(string(o.JSON), `"spec":{"x":1.0}}`) || o.Source != "istiod" {
				t.Errorf("got %s of %s", o.JSON, o.Source)
			}
		}
		if strings.Join(got, " ") != test.want {
			t.Errorf("%s %s: got %s, want %s", test.kind, test.name, got, test.want)
		}
	}
	if n := asked.Load(); n != 1 {
		t.Errorf("asked %d times for what one answer has all of", n)
	}
	var no *mesh.NoKindError
	if _, err := m.Objects(t.Context(), mesh.ObjectQuery{Kind: "Service"}); !errors.As(err, &no) {
		t.Errorf("got %v", err)
	}
}

func TestObjectsOfNoIstiod(t *testing.T) {
	m, _ := configz(t, `[{"kind": "VirtualService"`)
	var bad *mesh.UnreachableError
	if _, err := m.Objects(t.Context(), mesh.ObjectQuery{Kind: "vs"}); !errors.As(err, &bad) {
		t.Errorf("got %v", err)
	}
}

// A real istiod's answer.
func TestObjectsRecorded(t *testing.T) {
	server := httptest.NewServer(replay.NewIstiod("testdata/recorded"))
	t.Cleanup(server.Close)
	m := mesh.New([]mesh.Source{New("istiod", server.URL, fetch.Options{})}, mesh.Options{})
	kinds, err := m.ObjectKinds(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, k := range kinds.Items {
		res, err := m.Objects(t.Context(), mesh.ObjectQuery{Kind: k.String()})
		if err != nil {
			t.Fatal(err)
		}
		for _, o := range res.Items {
			got = append(got, fmt.Sprintf("%s %s %s.%s", o.APIVersion, o.Kind, o.Name, o.Namespace))
		}
	}
	want := []string{
		"security.istio.io/v1 AuthorizationPolicy details-readers.default",
		"networking.istio.io/v1 DestinationRule reviews.default",
		"networking.istio.io/v1alpha3 EnvoyFilter request-tag.default",
		"networking.istio.io/v1 Gateway bookinfo.default",
		"networking.istio.io/v1 VirtualService bookinfo.default",
		"networking.istio.io/v1 VirtualService ratings.default",
		"networking.istio.io/v1 VirtualService reviews.default",
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	if asked := len(server.Config.Handler.(*replay.Istiod).Asked()); asked != 1 {
		t.Errorf("asked %d times for what one answer has all of", asked)
	}
}
