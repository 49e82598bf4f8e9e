package kubernetes_test

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/meshlark/meshlark/kube"
	"github.com/meshlark/meshlark/kube/kubetest"
	"github.com/meshlark/meshlark/mesh"
	"github.com/meshlark/meshlark/mesh/source/kubernetes"
	"github.com/meshlark/meshlark/xds/pattern"
)

// objects is an API server with kinds that two groups share, and some objects.
func objects(t *testing.T) *kubetest.Server {
	s := kubetest.New(t)
	kind := func(plural, name, scope, short string) string {
		return fmt.Sprintf(`{"resource":%q,"responseKind":{"kind":%q},"scope":%q,"singularResource":%q,"verbs":["get","list"],"shortNames":[%q]}`, plural, name, scope, strings.ToLower(name), short)
	}
	s.ServeJSON("/api", `{"kind":"APIGroupDiscoveryList","items":[{"metadata":{},"versions":[{"version":"v1","resources":[`+
		kind("secrets", "Secret", "Namespaced", "sec")+","+kind("nodes", "Node", "Cluster", "no")+`]}]}]}`)
	s.ServeJSON("/apis", `{"kind":"APIGroupDiscoveryList","items":[
		{"metadata":{"name":"networking.istio.io"},"versions":[{"version":"v1","resources":[`+kind("virtualservices", "VirtualService", "Namespaced", "vs")+","+kind("gateways", "Gateway", "Namespaced", "gw")+`]}]},
		{"metadata":{"name":"gateway.networking.k8s.io"},"versions":[{"version":"v1","resources":[`+kind("gateways", "Gateway", "Namespaced", "gtw")+`]}]}]}`)
	vs := func(namespace, name, labels string) string {
		return fmt.Sprintf(`{"apiVersion":"networking.istio.io/v1", "kind":"VirtualService", "metadata":{"name":%q,"namespace":%q,"labels":{%s}}, "spec":{"weight": 1.50}}`, name, namespace, labels)
	}
	reviews, ratings, other := vs("default", "reviews", `"app":"reviews"`), vs("default", "ratings", `"app":"ratings"`), vs("shop", "reviews", "")
	list := func(items ...string) string {
		return `{"kind":"List","metadata":{},"items":[` + strings.Join(items, ",") + `]}`
	}
	const root = "/apis/networking.istio.io/v1"
	s.Serve(root+"/virtualservices", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		q := r.URL.Query()
		switch {
		case q.Get("labelSelector") == "app=reviews":
			fmt.Fprint(w, list(reviews))
		case q.Get("fieldSelector") == "metadata.name=reviews":
			fmt.Fprint(w, list(reviews, other))
		default:
			fmt.Fprint(w, list(reviews, ratings, other))
		}
	}))
	s.ServeJSON(root+"/namespaces/default/virtualservices", list(reviews, ratings))
	s.ServeJSON(root+"/namespaces/default/virtualservices/reviews", reviews)
	s.ServeJSON("/api/v1/secrets", list(`{"metadata":{"name":"key","namespace":"default"},"data":{"tls.key":"c2VjcmV0"}}`))
	s.ServeJSON("/api/v1/nodes", list(`{"metadata":{"name":"n1"}}`))
	return s
}

func query(t *testing.T, kind, name, namespace, labels string) mesh.ObjectQuery {
	t.Helper()
	q := mesh.ObjectQuery{Kind: kind, Labels: labels}
	var err, err2 error
	q.Name, err = pattern.Parse(name)
	q.Namespace, err2 = pattern.Parse(namespace)
	if err := errors.Join(err, err2); err != nil {
		t.Fatal(err)
	}
	return q
}

func objectNames(res mesh.Result[mesh.Object]) string {
	var out []string
	for _, o := range res.Items {
		out = append(out, o.Kind+"/"+o.Name+"."+o.Namespace)
	}
	return strings.Join(out, " ")
}

// asked gives the paths of the API server that were asked for since, without discovery.
func asked(s *kubetest.Server, from int) string {
	var out []string
	for _, r := range s.Requests()[from:] {
		if !strings.HasSuffix(r, "/api") && !strings.HasSuffix(r, "/apis") {
			out = append(out, r)
		}
	}
	return strings.Join(out, "\n")
}

func TestObjects(t *testing.T) {
	const root = "GET /apis/networking.istio.io/v1"
	for _, test := range []struct {
		kind, name, namespace, labels string
		want, asked                   string
	}{
		{"vs", "", "", "", "VirtualService/ratings.default VirtualService/reviews.default VirtualService/reviews.shop", root + "/virtualservices?limit=500"},
		{"VIRTUALSERVICES", "", "default", "", "VirtualService/ratings.default VirtualService/reviews.default", root + "/namespaces/default/virtualservices?limit=500"},
		{"VirtualService", "reviews", "default", "", "VirtualService/reviews.default", root + "/namespaces/default/virtualservices/reviews"},
		{"virtualservice.networking.istio.io", "reviews", "", "", "VirtualService/reviews.default VirtualService/reviews.shop", root + "/virtualservices?fieldSelector=metadata.name%3Dreviews&limit=500"},
		{"vs", "re*", "sh*", "", "VirtualService/reviews.shop", root + "/virtualservices?limit=500"},
		{"vs", "", "", "app=reviews", "VirtualService/reviews.default", root + "/virtualservices?labelSelector=app%3Dreviews&limit=500"},
		{"vs", "nothing", "default", "", "", root + "/namespaces/default/virtualservices/nothing"},
		{"no", "", "default", "", "Node/n1.", "GET /api/v1/nodes?limit=500"},
	} {
		s := objects(t)
		res, err := open(s, t).Objects(t.Context(), query(t, test.kind, test.name, test.namespace, test.labels))
		if err != nil {
			t.Errorf("%+v: %v", test, err)
			continue
		}
		if got := objectNames(res); got != test.want {
			t.Errorf("%s %s %s %s gives %s, want %s", test.kind, test.name, test.namespace, test.labels, got, test.want)
		}
		if got := asked(s, 0); got != test.asked {
			t.Errorf("%s %s %s %s asks for %s, want %s", test.kind, test.name, test.namespace, test.labels, got, test.asked)
		}
	}
}

func TestObjectsAreLossless(t *testing.T) {
	s := objects(t)
	m := open(s, t)
	res, err := m.Objects(t.Context(), query(t, "vs", "reviews", "shop", ""))
	if err != nil || len(res.Items) != 0 {
		t.Fatalf("got %v, %v: no such path is served", res, err)
	}
	res, err = m.Objects(t.Context(), query(t, "vs", "reviews", "default", ""))
	if err != nil {
		t.Fatal(err)
	}
	want := mesh.Object{Kind: "VirtualService", APIVersion: "networking.istio.io/v1", Name: "reviews", Namespace: "default", Source: "kube:test",
		JSON: []byte(`{"apiVersion":"networking.istio.io/v1","kind":"VirtualService","metadata":{"name":"reviews","namespace":"default","labels":{"app":"reviews"}},"spec":{"weight":1.50}}`)}
	if d := cmp.Diff(want, res.Items[0], cmp.Transformer("text", func(b []byte) string { return string(b) })); d != "" {
		t.Error(d)
	}
	res, err = m.Objects(t.Context(), query(t, "secrets", "", "", ""))
	if err != nil || len(res.Items) != 1 || strings.Contains(string(res.Items[0].JSON), "c2VjcmV0") || !strings.Contains(string(res.Items[0].JSON), `"tls.key":"[redacted]"`) {
		t.Errorf("the secret is %s, %v", res.Items, err)
	}
}

// Within a generation the same list is fetched once, and what was fetched answers narrower questions.
func TestObjectsAreKept(t *testing.T) {
	s := objects(t)
	m := open(s, t)
	ask := func(kind, name, namespace, labels, want string) {
		t.Helper()
		res, err := m.Objects(t.Context(), query(t, kind, name, namespace, labels))
		if err != nil {
			t.Fatal(err)
		}
		if got := objectNames(res); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() { m.Objects(t.Context(), mesh.ObjectQuery{Kind: "vs"}) })
	}
	wg.Wait()
	ask("VirtualService", "", "", "", "VirtualService/ratings.default VirtualService/reviews.default VirtualService/reviews.shop")
	ask("vs", "reviews", "default", "", "VirtualService/reviews.default")
	ask("vs", "", "", "app in (ratings)", "VirtualService/ratings.default")
	ask("vs", "", "shop", "", "VirtualService/reviews.shop")
	if got := strings.Count(asked(s, 0), "\n") + 1; got != 1 {
		t.Errorf("asked for %s", asked(s, 0))
	}
	m.Refresh()
	before := len(s.Requests())
	ask("vs", "reviews", "default", "", "VirtualService/reviews.default")
	if got := asked(s, before); !strings.HasSuffix(got, "/reviews") {
		t.Errorf("after Refresh it asked for %q", got)
	}
}

func TestNoSuchKind(t *testing.T) {
	m := open(objects(t), t)
	_, err := m.Objects(t.Context(), mesh.ObjectQuery{Kind: "virtualservise"})
	var no *mesh.NoKindError
	if !errors.As(err, &no) || !strings.Contains(strings.Join(no.Known, " "), "VirtualService virtualservices vs") {
		t.Errorf("got %v", err)
	}
	_, err = m.Objects(t.Context(), mesh.ObjectQuery{Kind: "gateway"})
	var both *kube.AmbiguousError
	if !errors.As(err, &both) || !strings.Contains(err.Error(), "gateways.networking.istio.io, gateways.gateway.networking.k8s.io") {
		t.Errorf("got %v", err)
	}
	if _, err := m.Objects(t.Context(), mesh.ObjectQuery{Kind: "vs", Labels: "a=(b"}); err == nil || !strings.Contains(err.Error(), "labels") {
		t.Errorf("got %v", err)
	}
}

// One cluster that may not be read is a failure of the others' answer; if it is the only one it is the error.
func TestObjectsOfTwoClusters(t *testing.T) {
	good, bad := objects(t), objects(t)
	bad.Refuse(func(r *http.Request) *metav1.Status {
		if strings.HasSuffix(r.URL.Path, "/virtualservices") {
			return &metav1.Status{Status: metav1.StatusFailure, Reason: metav1.StatusReasonForbidden, Code: 403, Message: "virtualservices.networking.istio.io is forbidden"}
		}
		return nil
	})
	one := kubernetes.New("kube:test", kubernetes.Options{Kube: kube.Options{Kubeconfig: good.Kubeconfig()}})
	two := kubernetes.New("kube:", kubernetes.Options{Kube: kube.Options{Kubeconfig: bad.Kubeconfig()}})
	t.Cleanup(one.Close)
	t.Cleanup(two.Close)
	m := mesh.New([]mesh.Source{two, one}, mesh.Options{})
	res, err := m.Objects(t.Context(), mesh.ObjectQuery{Kind: "vs"})
	if err != nil || len(res.Items) != 3 || res.Items[0].Source != "kube:test" || len(res.Failures) != 1 || res.Failures[0].Source != "kube" {
		t.Errorf("got %+v, %v", res, err)
	}
	m = mesh.New([]mesh.Source{two}, mesh.Options{})
	_, err = m.Objects(t.Context(), mesh.ObjectQuery{Kind: "vs"})
	var down *mesh.UnreachableError // the source gives no answer, whatever is asked of it
	if !errors.Is(err, kube.Forbidden) || !errors.As(err, &down) || !strings.Contains(err.Error(), "list virtualservices.networking.istio.io") {
		t.Errorf("got %v", err)
	}
	bad.Close()
	down = nil
	if _, err := mesh.New([]mesh.Source{two}, mesh.Options{}).Objects(t.Context(), mesh.ObjectQuery{Kind: "nodes"}); !errors.As(err, &down) {
		t.Errorf("got %v", err)
	}
}

// Who may not list all namespaces gets what is in their own and in Istio's, and is told.
func TestObjectsOfOneNamespace(t *testing.T) {
	s := objects(t)
	s.ServeJSON("/apis/networking.istio.io/v1/namespaces/istio-system/virtualservices", `{"kind":"List","metadata":{},"items":[{"apiVersion":"networking.istio.io/v1","kind":"VirtualService","metadata":{"name":"edge","namespace":"istio-system"}}]}`)
	s.Refuse(func(r *http.Request) *metav1.Status {
		if strings.HasPrefix(r.URL.Path, "/apis/networking.istio.io/v1/virtualservices") || strings.Contains(r.URL.Path, "/nodes") {
			return &metav1.Status{Status: metav1.StatusFailure, Reason: metav1.StatusReasonForbidden, Code: 403, Message: "forbidden, it is"}
		}
		return nil
	})
	m := open(s, t)
	for range 2 { // the second time from what is kept
		res, err := m.Objects(t.Context(), mesh.ObjectQuery{Kind: "vs"})
		if err != nil {
			t.Fatal(err)
		}
		if got := objectNames(res); got != "VirtualService/ratings.default VirtualService/reviews.default VirtualService/edge.istio-system" {
			t.Errorf("got %s", got)
		}
		if len(res.Failures) != 1 || !strings.Contains(res.Failures[0].Error(), "virtualservices.networking.istio.io of other namespaces of kube:test: only those of default and istio-system are known") {
			t.Errorf("failures: %v", res.Failures)
		}
	}
	if res, err := m.Objects(t.Context(), query(t, "vs", "", "default", "")); err != nil || len(res.Items) != 2 || len(res.Failures) != 0 {
		t.Errorf("one namespace: %v, %v", res, err)
	}
	if _, err := m.Objects(t.Context(), mesh.ObjectQuery{Kind: "nodes"}); !errors.Is(err, kube.Forbidden) {
		t.Errorf("nodes: %v", err)
	}
}

func TestNoObjects(t *testing.T) {
	m := mesh.New(nil, mesh.Options{Name: "dump.json"})
	_, err := m.Objects(t.Context(), mesh.ObjectQuery{Kind: "vs"})
	if !errors.Is(err, mesh.ErrNotAvailable) || !strings.Contains(err.Error(), "kube:CONTEXT") {
		t.Errorf("got %v", err)
	}
}

func TestObjectKinds(t *testing.T) {
	res, err := open(objects(t), t).ObjectKinds(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, k := range res.Items {
		got = append(got, fmt.Sprintf("%s %s %s %v %t", k, k.Name, k.APIVersion(), k.ShortNames, k.Namespaced))
	}
	want := []string{
		"gateways.gateway.networking.k8s.io Gateway gateway.networking.k8s.io/v1 [gtw] true",
		"gateways.networking.istio.io Gateway networking.istio.io/v1 [gw] true",
		"nodes Node v1 [no] false", "secrets Secret v1 [sec] true",
		"virtualservices.networking.istio.io VirtualService networking.istio.io/v1 [vs] true",
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}
