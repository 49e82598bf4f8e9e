package kube_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/meshlark/meshlark/kube"
	"github.com/meshlark/meshlark/kube/kubetest"
)

const aggregatedCore = `{"kind":"APIGroupDiscoveryList","apiVersion":"apidiscovery.k8s.io/v2","items":[{"metadata":{},"versions":[{"version":"v1","resources":[
	{"resource":"pods","responseKind":{"kind":"Pod"},"scope":"Namespaced","singularResource":"pod","verbs":["get","list"],"shortNames":["po"]},
	{"resource":"nodes","responseKind":{"kind":"Node"},"scope":"Cluster","singularResource":"node","verbs":["get","list"],"shortNames":["no"]},
	{"resource":"secrets","responseKind":{"kind":"Secret"},"scope":"Namespaced","singularResource":"secret","verbs":["get","list"]},
	{"resource":"bindings","responseKind":{"kind":"Binding"},"scope":"Namespaced","singularResource":"binding","verbs":["create"]}]}]}]}`

const aggregatedGroups = `{"kind":"APIGroupDiscoveryList","apiVersion":"apidiscovery.k8s.io/v2","items":[
	{"metadata":{"name":"networking.istio.io"},"versions":[
		{"version":"v1","resources":[
			{"resource":"virtualservices","responseKind":{"kind":"VirtualService"},"scope":"Namespaced","singularResource":"virtualservice","verbs":["get","list"],"shortNames":["vs"]},
			{"resource":"gateways","responseKind":{"kind":"Gateway"},"scope":"Namespaced","singularResource":"gateway","verbs":["get","list"],"shortNames":["gw"]}]},
		{"version":"v1beta1","resources":[
			{"resource":"virtualservices","responseKind":{"kind":"VirtualService"},"scope":"Namespaced","singularResource":"virtualservice","verbs":["get","list"]},
			{"resource":"proxyconfigs","responseKind":{"kind":"ProxyConfig"},"scope":"Namespaced","singularResource":"proxyconfig","verbs":["get","list"]}]}]},
	{"metadata":{"name":"gateway.networking.k8s.io"},"versions":[{"version":"v1","resources":[
		{"resource":"gateways","responseKind":{"kind":"Gateway"},"scope":"Namespaced","singularResource":"gateway","verbs":["get","list"],"shortNames":["gtw"]}]}]},
	{"metadata":{"name":"metrics.k8s.io"},"versions":[{"version":"v1beta1","resources":[
		{"resource":"pods","responseKind":{"kind":"PodMetrics"},"scope":"Namespaced","singularResource":"pod","verbs":["get","list"]}]}]}]}`

func discovery(t *testing.T, legacy bool) *kubetest.Server {
	s := kubetest.New(t)
	if !legacy {
		s.ServeJSON("/api", aggregatedCore)
		s.ServeJSON("/apis", aggregatedGroups)
		return s
	}
	s.ServeJSON("/api", `{"kind":"APIVersions","versions":["v1"]}`)
	s.ServeJSON("/api/v1", `{"kind":"APIResourceList","resources":[
		{"name":"pods","kind":"Pod","singularName":"pod","namespaced":true,"verbs":["get","list"],"shortNames":["po"]},
		{"name":"pods/log","kind":"Pod","namespaced":true,"verbs":["get"]},
		{"name":"nodes","kind":"Node","singularName":"node","namespaced":false,"verbs":["get","list"],"shortNames":["no"]},
		{"name":"secrets","kind":"Secret","singularName":"secret","namespaced":true,"verbs":["get","list"]}]}`)
	group := func(name, version string) string {
		return fmt.Sprintf(`{"name":%q,"preferredVersion":{"groupVersion":"%s/%s","version":%q}}`, name, name, version, version)
	}
	s.ServeJSON("/apis", `{"kind":"APIGroupList","groups":[`+group("networking.istio.io", "v1")+","+group("gateway.networking.k8s.io", "v1")+","+group("down.example.com", "v1")+","+group("metrics.k8s.io", "v1beta1")+`]}`)
	s.ServeJSON("/apis/networking.istio.io/v1", `{"resources":[
		{"name":"virtualservices","kind":"VirtualService","singularName":"virtualservice","namespaced":true,"verbs":["get","list"],"shortNames":["vs"]},
		{"name":"gateways","kind":"Gateway","singularName":"gateway","namespaced":true,"verbs":["get","list"],"shortNames":["gw"]},
		{"name":"proxyconfigs","kind":"ProxyConfig","singularName":"proxyconfig","namespaced":true,"verbs":["get","list"]}]}`)
	s.ServeJSON("/apis/gateway.networking.k8s.io/v1", `{"resources":[{"name":"gateways","kind":"Gateway","singularName":"gateway","namespaced":true,"verbs":["get","list"],"shortNames":["gtw"]}]}`)
	s.ServeJSON("/apis/metrics.k8s.io/v1beta1", `{"resources":[{"name":"pods","kind":"PodMetrics","singularName":"","namespaced":true,"verbs":["get","list"]}]}`)
	return s
}

func TestKind(t *testing.T) {
	for _, legacy := range []bool{false, true} {
		t.Run(fmt.Sprintf("legacy=%v", legacy), func(t *testing.T) {
			s := discovery(t, legacy)
			c := open(t, s)
			for name, want := range map[string]string{
				"vs":                                 "virtualservices.networking.istio.io",
				"VirtualService":                     "virtualservices.networking.istio.io",
				"virtualservices":                    "virtualservices.networking.istio.io",
				"virtualservice.networking.istio.io": "virtualservices.networking.istio.io",
				"vs.v1.networking.istio.io":          "virtualservices.networking.istio.io",
				"ProxyConfig":                        "proxyconfigs.networking.istio.io",
				"po":                                 "pods",
				"Pods":                               "pods",
				"pods.metrics.k8s.io":                "pods.metrics.k8s.io",
				"no":                                 "nodes",
				"gw":                                 "gateways.networking.istio.io",
				"gateway.gateway.networking.k8s.io":  "gateways.gateway.networking.k8s.io",
			} {
				k, err := c.Kind(t.Context(), name)
				if err != nil || k.String() != want {
					t.Errorf("%s: %s, %v, want %s", name, k, err, want)
				}
				if want == "nodes" && k.Namespaced || want == "pods" && !k.Namespaced {
					t.Errorf("%s: namespaced %v", name, k.Namespaced)
				}
				if k.Plural == "virtualservices" && k.APIVersion() != "networking.istio.io/v1" {
					t.Errorf("%s: version %s, want the preferred one", name, k.APIVersion())
				}
			}
			asked := len(s.Requests())
			_, err := c.Kind(t.Context(), "gateway")
			var ambiguous *kube.AmbiguousError
			if !errors.As(err, &ambiguous) || !strings.Contains(err.Error(), "gateways.networking.istio.io, gateways.gateway.networking.k8s.io") {
				t.Errorf("gateway: %v, want that it is ambiguous", err)
			}
			if _, err := c.Kind(t.Context(), "virtualservicess"); !errors.Is(err, kube.NotFound) || !strings.Contains(err.Error(), "virtualservices.networking.istio.io") {
				t.Errorf("virtualservicess: %v, want a suggestion", err)
			}
			if _, err := c.Kind(t.Context(), "binding"); !errors.Is(err, kube.NotFound) {
				t.Errorf("binding, which cannot be listed: %v", err)
			}
			if got := len(s.Requests()); got != asked {
				t.Errorf("%d more requests, want what is known to be kept", got-asked)
			}
			c.Forget()
			if _, err := c.Kind(t.Context(), "po"); err != nil || len(s.Requests()) == asked {
				t.Errorf("after Forget: %v, %d requests", err, len(s.Requests())-asked)
			}
		})
	}
}

func TestObjects(t *testing.T) {
	s := discovery(t, false)
	const first, second = `{"z":1.50,"metadata":{"name":"a","namespace":"x"},"kind":"VirtualService"}`, `{"metadata":{"name":"b","namespace":"y"},"kind":"VirtualService","n":12345678901234567890}`
	s.Serve("/apis/networking.istio.io/v1/virtualservices", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		if r.URL.Query().Get("continue") == "" {
			io.WriteString(w, `{"metadata":{"continue":"next"},"items":[`+first+`]}`)
		} else {
			io.WriteString(w, `{"metadata":{},"items":[`+second+`]}`)
		}
	}))
	s.ServeJSON("/apis/networking.istio.io/v1/namespaces/x/virtualservices/a", first)
	s.ServeJSON("/api/v1/nodes", `{"items":[{"metadata":{"name":"n1"},"spec":{}}]}`)
	s.ServeJSON("/api/v1/namespaces/x/secrets", `{"items":[{"metadata":{"name":"tls","namespace":"x","annotations":{"kubectl.kubernetes.io/last-applied-configuration":"{\"data\":{\"k\":\"c2VjcmV0\"}}","other":"1"}},"data":{"tls.key":"c2VjcmV0"},"stringData":{"p":"secret"},"type":"Opaque"}]}`)
	s.ServeJSON("/api/v1/namespaces/x/secrets/odd", `{"kind":"Secret","metadata":{"name":"odd"}}`)
	c := open(t, s)
	list := func(name string, q kube.ObjectQuery) []string {
		t.Helper()
		k, err := c.Kind(t.Context(), name)
		if err != nil {
			t.Fatal(err)
		}
		objects, err := c.Objects(t.Context(), k, q)
		if err != nil {
			t.Fatal(err)
		}
		var texts []string
		for _, o := range objects {
			texts = append(texts, o.Namespace+"/"+o.Name+" "+string(o.JSON))
		}
		return texts
	}
	check := func(what string, got []string, want ...string) {
		t.Helper()
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", what, diff)
		}
	}
	check("all pages, as they were sent", list("vs", kube.ObjectQuery{}), "x/a "+first, "y/b "+second)
	check("by name", list("vs", kube.ObjectQuery{Namespace: "x", Name: "a"}), "x/a "+first)
	check("with the kind that the list says", list("no", kube.ObjectQuery{Namespace: "ignored"}), `/n1 {"apiVersion":"v1","kind":"Node","metadata":{"name":"n1"},"spec":{}}`)
	secret := list("secret", kube.ObjectQuery{Namespace: "x"})
	if len(secret) != 1 || strings.Contains(secret[0], "ecret\"}") || strings.Contains(secret[0], "c2Vj") || strings.Count(secret[0], "[redacted]") != 3 || !strings.Contains(secret[0], "tls.key") || !strings.Contains(secret[0], `"other":"1"`) {
		t.Errorf("secret: %s", secret)
	}
	check("a secret without values", list("secret", kube.ObjectQuery{Namespace: "x", Name: "odd"}), `/odd {"kind":"Secret","metadata":{"name":"odd"}}`)

	list("vs", kube.ObjectQuery{Name: "a", Labels: "l=1"})
	if last := slices.Clone(s.Requests()); !slices.ContainsFunc(last, func(r string) bool {
		return strings.Contains(r, "fieldSelector=metadata.name%3Da") && strings.Contains(r, "labelSelector=l%3D1")
	}) {
		t.Errorf("by name in all namespaces: %q, want a field selector", last)
	}
	k, _ := c.Kind(t.Context(), "vs")
	if _, err := c.Objects(t.Context(), k, kube.ObjectQuery{Namespace: "x", Name: "none"}); !errors.Is(err, kube.NotFound) {
		t.Errorf("one that is not there: %v", err)
	}
}

func TestAccess(t *testing.T) {
	s := kubetest.New(t)
	answer := func(path, status string) *string {
		body := new(string)
		s.Serve(path, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			b, _ := io.ReadAll(r.Body)
			*body = r.Method + " " + string(b)
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(http.StatusCreated)
			io.WriteString(w, `{"status":`+status+`}`)
		}))
		return body
	}
	review := answer("/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", `{"allowed":false,"reason":"no rule"}`)
	rules := answer("/apis/authorization.k8s.io/v1/selfsubjectrulesreviews", `{"resourceRules":[{"verbs":["get"],"resources":["pods"]}],"incomplete":true,"evaluationError":"webhook"}`)
	token := answer("/api/v1/namespaces/istio-system/serviceaccounts/default/token", `{"token":"abc","expirationTimestamp":"2026-01-02T03:04:05Z"}`)
	c := open(t, s)

	v, err := c.May(t.Context(), kube.Access{Verb: "create", Resource: "pods", Subresource: "portforward", Namespace: "x"})
	if err != nil || v != (kube.Verdict{Allowed: false, Reason: "no rule"}) {
		t.Errorf("May: %+v, %v", v, err)
	}
	if !strings.Contains(*review, `"resourceAttributes":{"namespace":"x","verb":"create","resource":"pods","subresource":"portforward"}`) {
		t.Errorf("May asked %s", *review)
	}
	r, err := c.Rules(t.Context(), "x")
	if err != nil || len(r.Rules) != 1 || !r.Incomplete || r.Reason != "webhook" || !strings.Contains(*rules, `"namespace":"x"`) {
		t.Errorf("Rules: %+v, %v; asked %s", r, err, *rules)
	}
	text, expires, err := c.Token(t.Context(), "istio-system", "default", "istio-ca", time.Hour)
	if err != nil || text != "abc" || expires.Year() != 2026 || !strings.Contains(*token, `"audiences":["istio-ca"]`) || !strings.Contains(*token, `"expirationSeconds":3600`) {
		t.Errorf("Token: %q %v %v; asked %s", text, expires, err, *token)
	}
	s.Refuse(func(*http.Request) *metav1.Status { return kubetest.Forbidden("tester may not review") })
	if _, err := c.May(t.Context(), kube.Access{Verb: "get", Resource: "pods"}); !errors.Is(err, kube.Forbidden) || !strings.Contains(err.Error(), "tester may not review") {
		t.Errorf("May, refused: %v, want what the API server says", err)
	}
	if got := (kube.Access{Verb: "list", Group: "apps", Resource: "replicasets", Namespace: "x"}).String(); got != "list replicasets.apps in namespace x" {
		t.Errorf("String: %q", got)
	}
}

// The package reads: what it creates stores nothing but the token, and that only when asked.
func TestNeeds(t *testing.T) {
	for _, n := range kube.Needs() {
		creates := n.Resource + "/" + n.Subresource
		switch {
		case n.For == "":
			t.Errorf("%s: not said what for", n.Access)
		case n.Verb == "get" || n.Verb == "list":
		case n.Verb == "create" && slices.Contains([]string{"pods/portforward", "selfsubjectaccessreviews/", "selfsubjectrulesreviews/", "serviceaccounts/token"}, creates):
		default:
			t.Errorf("%s: not an access that only reads", n.Access)
		}
	}
}
