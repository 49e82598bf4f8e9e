package builtins

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.starlark.net/starlark"

	"github.com/meshlark/meshlark/mesh"
	"github.com/meshlark/meshlark/xds/dump"
	"github.com/meshlark/meshlark/xds/origin"
	"github.com/meshlark/meshlark/xds/rawjson"
	"github.com/meshlark/meshlark/xds/resource"
)

// The fixture has some of the objects that its configuration names. One of them, the Gateway bookinfo, it may not read.
var fixtureKinds = []mesh.ObjectKind{
	{Name: "VirtualService", Group: "networking.istio.io", Version: "v1", Plural: "virtualservices", ShortNames: []string{"vs"}, Namespaced: true},
	{Name: "DestinationRule", Group: "networking.istio.io", Version: "v1", Plural: "destinationrules", ShortNames: []string{"dr"}, Namespaced: true},
	{Name: "Gateway", Group: "networking.istio.io", Version: "v1", Plural: "gateways", ShortNames: []string{"gw"}, Namespaced: true},
	{Name: "EnvoyFilter", Group: "networking.istio.io", Version: "v1alpha3", Plural: "envoyfilters", Namespaced: true},
	{Name: "Service", Version: "v1", Plural: "services", ShortNames: []string{"svc"}, Namespaced: true},
	{Name: "Secret", Version: "v1", Plural: "secrets", Namespaced: true},
	{Name: "Pod", Version: "v1", Plural: "pods", ShortNames: []string{"po"}, Namespaced: true},
	{Name: "Namespace", Version: "v1", Plural: "namespaces", ShortNames: []string{"ns"}},
}

const fixtureObjects = `[
{"apiVersion": "networking.istio.io/v1", "kind": "VirtualService",
 "metadata": {"name": "reviews", "namespace": "default", "creationTimestamp": "2026-11-20T22:00:00Z", "labels": {"team": "books"}, "managedFields": [{"manager": "kubectl"}], "generation": 1},
 "spec": {"hosts": ["reviews"], "http": [{"timeout": 1.50, "route": [{"destination": {"host": "reviews", "subset": "v1"}}]}]}},
{"apiVersion": "networking.istio.io/v1", "kind": "VirtualService",
 "metadata": {"name": "bookinfo", "namespace": "default", "creationTimestamp": "2026-11-24T09:58:30Z", "annotations": {"note": "front door"}},
 "spec": {"hosts": ["bookinfo.example.com"], "gateways": ["bookinfo", "mesh"]}},
{"apiVersion": "networking.istio.io/v1", "kind": "VirtualService", "metadata": {"name": "reviews", "namespace": "test"}, "spec": {"hosts": ["reviews"]}},
{"apiVersion": "networking.istio.io/v1", "kind": "DestinationRule", "metadata": {"name": "reviews", "namespace": "default"},
 "spec": {"host": "reviews", "subsets": [{"name": "v1"}, {"name": "v2"}]}},
{"apiVersion": "networking.istio.io/v1alpha3", "kind": "EnvoyFilter", "metadata": {"name": "tag", "namespace": "default"}, "spec": {"workloadSelector": {"labels": {"app": "productpage"}}}},
{"apiVersion": "v1", "kind": "Service", "metadata": {"name": "reviews", "namespace": "default"},
 "spec": {"type": "ClusterIP", "clusterIP": "10.0.0.7", "ports": [{"port": 9080}, {"port": 53, "protocol": "UDP"}]}},
{"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "gateway-credential", "namespace": "default"}, "type": "kubernetes.io/tls", "data": {"tls.crt": "[redacted]", "tls.key": "[redacted]"}},
{"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "productpage-v1-abc", "namespace": "default", "labels": {"app": "productpage"}},
 "spec": {"nodeName": "node-1", "initContainers": [{"name": "init"}, {"name": "proxy", "restartPolicy": "Always"}], "containers": [{}, {}]},
 "status": {"phase": "Running", "podIP": "10.0.0.5", "initContainerStatuses": [{"name": "init", "ready": true}, {"name": "proxy", "ready": true, "restartCount": 1}], "containerStatuses": [{"ready": true, "restartCount": 2}, {"ready": false, "state": {"waiting": {"reason": "CrashLoopBackOff"}}}]}},
{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "default"}, "status": {"phase": "Active"}}]`

func (f *fixture) ObjectKinds(context.Context) ([]mesh.ObjectKind, error) { return fixtureKinds, nil }

func (f *fixture) ObjectKind(_ context.Context, name string) (mesh.ObjectKind, error) {
	no := &mesh.NoKindError{Kind: name}
	name, _, _ = strings.Cut(strings.ToLower(name), ".")
	for _, k := range fixtureKinds {
		if name == strings.ToLower(k.Name) || name == k.Plural || len(k.ShortNames) > 0 && name == k.ShortNames[0] {
			return k, nil
		}
		no.Known = append(no.Known, k.Name, k.Plural)
	}
	return mesh.ObjectKind{}, no
}

func (f *fixture) Objects(_ context.Context, r mesh.ObjectRequest) (mesh.ObjectAnswer, error) {
	f.mu.Lock()
	f.asked = append(f.asked, strings.Join([]string{r.Kind.Plural, r.Name, r.Namespace, r.Labels}, " "))
	f.mu.Unlock()
	if r.Kind.Name == "Gateway" {
		return mesh.ObjectAnswer{}, fmt.Errorf("list %s: forbidden", r.Kind)
	}
	var a mesh.ObjectAnswer
	for o := range rawjson.Value(compactJSON(fixtureObjects)).Elems() {
		x := mesh.Object{Kind: o.Str("kind"), APIVersion: o.Str("apiVersion"), Name: o.Str("metadata", "name"), Namespace: o.Str("metadata", "namespace"), JSON: o}
		if x.Kind == r.Kind.Name && (r.Name == "" || r.Name == x.Name) && (r.Namespace == "" || r.Namespace == x.Namespace) {
			a.Objects = append(a.Objects, x)
		}
	}
	return a, nil
}

func compactJSON(text string) []byte {
	b, err := rawjson.Compact(nil, []byte(text))
	if err != nil {
		panic(err)
	}
	return b
}

// Objects are asked for by name, each once in a generation; attributes ask for nothing.
func TestOriginsAskLittle(t *testing.T) {
	thread, _, env := newThread(t, context.Background(), io.Discard)
	m, f := newFixture()
	env["m"] = NewMesh(m)
	for _, test := range []struct {
		src  string
		want []string
	}{
		{`[c.origin_refs for c in m.clusters(proxy="productpage-v1")]`, nil},
		{`[c.origins() for c in m.clusters(fqdn="reviews", proxy="productpage-v1")]`, []string{"destinationrules reviews default ", "services reviews default "}},
		{`m.objects("DestinationRule", "reviews", namespace="default")`, nil},
		{`m.objects("svc", labels={"app": "x", "version": "v*"})`, []string{"services   app=x,version"}},
		{`m.objects("vs", "re*")`, []string{"virtualservices   "}},
		{`m.proxy("productpage-v1").routes("9080").routes[0].origins()`, nil},
	} {
		if _, err := starlark.EvalOptions(dialect, thread, "asked.star", test.src, env); err != nil {
			t.Fatalf("%s: %v", test.src, err)
		}
		slices.Sort(f.asked)
		if d := cmp.Diff(test.want, f.asked); d != "" {
			t.Errorf("%s asks for other objects:\n%s", test.src, d)
		}
		f.asked = nil
	}
}

// What is asked of API servers stays bounded, whatever configuration names.
func TestOriginQueries(t *testing.T) {
	service := func(name, namespace string) origin.Ref {
		return origin.Ref{Kind: "Service", Name: name, Namespace: namespace}
	}
	var spread []origin.Ref
	for i := range mostNamespaces + 1 {
		spread = append(spread, service("a", fmt.Sprintf("n%d", i)))
	}
	for _, test := range []struct {
		name string
		refs []origin.Ref
		want []string
	}{
		{"by name", []origin.Ref{service("a", "x"), service("b", "x"), service("a", "y")}, []string{"Service a x", "Service b x", "Service a y"}},
		{"many of a namespace", []origin.Ref{service("a", "x"), service("b", "x"), service("c", "x"), service("d", "x")}, []string{"Service  x"}},
		{"many namespaces", spread, []string{"Service  "}},
		{"by host", []origin.Ref{{Kind: "ServiceEntry", Group: origin.Networking, Host: "h", Namespace: "x"}}, []string{"ServiceEntry.networking.istio.io  x"}},
		{"one of two kinds", []origin.Ref{{Kind: "HTTPRoute", Group: origin.GatewayAPI, Name: "r", Namespace: "x"}}, []string{"HTTPRoute.gateway.networking.k8s.io r x", "GRPCRoute.gateway.networking.k8s.io r x"}},
	} {
		var got []string
		for _, q := range originQueries(test.refs) {
			name, _ := q.Name.Literal()
			namespace, _ := q.Namespace.Literal()
			got = append(got, q.Kind+" "+name+" "+namespace)
		}
		if d := cmp.Diff(test.want, got); d != "" {
			t.Errorf("%s: %s", test.name, d)
		}
	}
}

// gatewayMesh is a gateway proxy, whose port 8080 is port 80 of its Service, and objects beside it.
type gatewayMesh struct{ dumpSource }

const gatewayDump = `{"configs": [
	{"@type": "type.googleapis.com/envoy.admin.v3.BootstrapConfigDump", "bootstrap": {"node": {"id": "router~10.0.0.9~gw-1.istio-system~istio-system.svc.cluster.local",
		"metadata": {"NAMESPACE": "istio-system", "LABELS": {"istio": "ingressgateway", "app": "gw", "gateway.networking.k8s.io/gateway-name": "edge"}}}}},
	{"@type": "type.googleapis.com/envoy.admin.v3.ListenersConfigDump", "dynamic_listeners": [
		{"name": "0.0.0.0_8080", "active_state": {"listener": {"@type": "type.googleapis.com/envoy.config.listener.v3.Listener", "name": "0.0.0.0_8080", "address": {"socket_address": {"address": "0.0.0.0", "port_value": 8080}}}}},
		{"name": "0.0.0.0_15021", "active_state": {"listener": {"@type": "type.googleapis.com/envoy.config.listener.v3.Listener", "name": "0.0.0.0_15021", "address": {"socket_address": {"address": "0.0.0.0", "port_value": 15021}}}}}]},
	{"@type": "type.googleapis.com/envoy.admin.v3.RoutesConfigDump", "dynamic_route_configs": [
		{"route_config": {"@type": "type.googleapis.com/envoy.config.route.v3.RouteConfiguration", "name": "http.8080.10.0.0.9"}},
		{"route_config": {"@type": "type.googleapis.com/envoy.config.route.v3.RouteConfiguration", "name": "http.9999"}},
		{"route_config": {"@type": "type.googleapis.com/envoy.config.route.v3.RouteConfiguration", "name": "https.443.https.web.default", "virtual_hosts": [
			{"routes": [{"metadata": {"filter_metadata": {"istio": {"config": "/apis/networking.istio.io/v1/namespaces/default/virtual-service/front~0~istio-autogenerated-k8s-gateway"}}}}]}]}}]}]}`

const gatewayObjects = `[
	{"apiVersion": "networking.istio.io/v1", "kind": "Gateway", "metadata": {"name": "web", "namespace": "default"},
	 "spec": {"selector": {"istio": "ingressgateway"}, "servers": [{"port": {"number": 80, "protocol": "HTTP"}}, {"port": {"number": 443, "protocol": "HTTPS"}}]}},
	{"apiVersion": "networking.istio.io/v1", "kind": "Gateway", "metadata": {"name": "elsewhere", "namespace": "default"},
	 "spec": {"selector": {"istio": "egressgateway"}, "servers": [{"port": {"number": 80, "protocol": "HTTP"}}]}},
	{"apiVersion": "gateway.networking.k8s.io/v1", "kind": "Gateway", "metadata": {"name": "edge", "namespace": "istio-system"}, "spec": {"listeners": [{"name": "http", "port": 9999, "protocol": "HTTP"}]}},
	{"apiVersion": "gateway.networking.k8s.io/v1", "kind": "Gateway", "metadata": {"name": "edge", "namespace": "default"}, "spec": {"listeners": [{"name": "http", "port": 8080, "protocol": "HTTP"}]}},
	{"apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute", "metadata": {"name": "front", "namespace": "default"}},
	{"apiVersion": "v1", "kind": "Service", "metadata": {"name": "other", "namespace": "istio-system"}, "spec": {"selector": {"app": "x"}, "ports": [{"port": 80, "targetPort": 9999}]}},
	{"apiVersion": "v1", "kind": "Service", "metadata": {"name": "gw", "namespace": "istio-system"}, "spec": {"selector": {"app": "gw"}, "ports": [{"port": 80, "targetPort": 8080}, {"port": 443, "targetPort": "https"}]}}]`

func (gatewayMesh) ObjectKinds(context.Context) ([]mesh.ObjectKind, error) { return nil, nil }

func (gatewayMesh) ObjectKind(_ context.Context, name string) (mesh.ObjectKind, error) {
	kind, group, _ := strings.Cut(name, ".")
	for o := range rawjson.Value(compactJSON(gatewayObjects)).Elems() {
		if have, version, ok := strings.Cut(o.Str("apiVersion"), "/"); o.Str("kind") == kind && (group == "" || ok && have == group) {
			if !ok {
				have, version = "", have
			}
			return mesh.ObjectKind{Name: kind, Group: have, Version: version, Plural: kind, Namespaced: true}, nil
		}
	}
	return mesh.ObjectKind{}, &mesh.NoKindError{Kind: name}
}

func (gatewayMesh) Objects(context.Context, mesh.ObjectRequest) (mesh.ObjectAnswer, error) {
	a := mesh.ObjectAnswer{Whole: true}
	for o := range rawjson.Value(compactJSON(gatewayObjects)).Elems() {
		a.Objects = append(a.Objects, mesh.Object{Kind: o.Str("kind"), APIVersion: o.Str("apiVersion"), Name: o.Str("metadata", "name"), Namespace: o.Str("metadata", "namespace"), JSON: o})
	}
	return a, nil
}

func TestGateway(t *testing.T) {
	store := resource.NewStore()
	d, err := dump.Split(store, []byte(gatewayDump), dump.Options{})
	if err != nil {
		t.Fatal(err)
	}
	thread, _, env := newThread(t, context.Background(), io.Discard)
	env["m"] = NewMesh(mesh.New([]mesh.Source{gatewayMesh{dumpSource{d}}}, mesh.Options{Store: store}))
	for _, test := range []struct{ src, want string }{
		{`m.objects("Gateway", "web")[0].touches().names`, `["http.8080.10.0.0.9", "https.443.https.web.default", "0.0.0.0_8080"]`},
		{`m.objects("Gateway", "elsewhere")[0].touches().names`, `[]`},
		{`m.objects("Gateway.gateway.networking.k8s.io", "edge", "istio-system")[0].touches().names`, `["http.9999"]`},
		{`m.objects("Gateway.gateway.networking.k8s.io", "edge", "default")[0].touches().names`, `[]`},
		{`m.routes("http.9999").origins().names`, `["edge"]`},
		{`m.objects("HTTPRoute")[0].touches().names`, `["https.443.https.web.default"]`},
		{`m.listeners("0.0.0.0_8080").origins().names`, `["web"]`},
		{`m.listeners("0.0.0.0_15021").origins().names`, `[]`},
		{`[(o.kind, o.name) for o in m.routes("https*").origins()]`, `[("Gateway", "web"), ("HTTPRoute", "front")]`},
		{`m.routes("http.8080*")[0].origin_refs`, `[]`},
		{`[(o.kind, o.name) for o in m.routes().origins()]`, `[("Gateway", "web"), ("Gateway", "edge"), ("HTTPRoute", "front")]`},
	} {
		v, err := starlark.EvalOptions(dialect, thread, "gateway.star", test.src, env)
		if err != nil {
			t.Errorf("%s: %v", test.src, err)
		} else if v.String() != test.want {
			t.Errorf("%s is %s, want %s", test.src, v, test.want)
		}
	}
}

// clusterMesh is a cluster with one proxy and a DestinationRule that another cluster has too.
type clusterMesh struct {
	fixture
	spec string
	dump *dump.Dump
}

func (c *clusterMesh) Spec() string { return c.spec }

func (c *clusterMesh) Survey(context.Context) (*mesh.Survey, error) {
	return &mesh.Survey{Proxies: []mesh.Record{{Name: "p-" + c.spec + ".default", Actual: dumpSource{c.dump}}}}, nil
}

func TestTwoClusters(t *testing.T) {
	store := resource.NewStore()
	var sources []mesh.Source
	for _, spec := range []string{"east", "west"} {
		d, err := dump.Split(store, []byte(`{"configs": [{"@type": "type.googleapis.com/envoy.admin.v3.ClustersConfigDump", "dynamic_active_clusters": [{"cluster": {
			"@type": "type.googleapis.com/envoy.config.cluster.v3.Cluster", "name": "reviews",
			"metadata": {"filter_metadata": {"istio": {"config": "/apis/networking.istio.io/v1/namespaces/default/destination-rule/reviews"}}}}}]}]}`), dump.Options{})
		if err != nil {
			t.Fatal(err)
		}
		sources = append(sources, &clusterMesh{spec: spec, dump: d})
	}
	remote := &clusterMesh{spec: "remote", dump: sources[0].(*clusterMesh).dump}
	sources = append(sources, struct{ mesh.Source }{remote}) // whose objects are in another cluster
	thread, _, env := newThread(t, context.Background(), io.Discard)
	env["m"] = NewMesh(mesh.New(sources, mesh.Options{Store: store}))
	for _, test := range []struct{ src, want string }{
		{`[o.source for o in m.objects("dr")]`, `["east", "west"]`},
		{`[o.source for o in m.clusters(proxy="p-west.default").origins()]`, `["west"]`},
		{`[o.source for o in m.clusters(proxy="p-remote.default").origins()]`, `["east", "west"]`},
		{`m.objects("dr")[1].touches().proxies.names`, `["p-remote.default", "p-west.default"]`},
		{`m.objects("dr")[1].touches("p-east.default").names`, `[]`},
	} {
		v, err := starlark.EvalOptions(dialect, thread, "clusters.star", test.src, env)
		if err != nil {
			t.Errorf("%s: %v", test.src, err)
		} else if v.String() != test.want {
			t.Errorf("%s is %s, want %s", test.src, v, test.want)
		}
	}
	v, err := starlark.EvalOptions(dialect, thread, "clusters.star", `m.objects("dr")`, env)
	if err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(v.(Tabular).Table(false).Rows); got != "[[reviews default east reviews v1,v2 ] [reviews default west reviews v1,v2 ]]" {
		t.Errorf("the table is %s", got)
	}
}
