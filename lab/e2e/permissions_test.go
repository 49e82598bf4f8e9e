package e2e

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/meshlark/meshlark/kube"
)

var update = flag.Bool("update", false, "write the golden files of what meshlark says without some permission")

// A rule is what a user may do, in all namespaces or in one.
type rule struct {
	kube.Access
	namespace string
}

// Without a permission meshlark says what it is for and how to get it, and gives what it can without it.
func TestPermissionsTakenAway(t *testing.T) {
	var all []kube.Access
	for _, n := range kube.Needs() {
		if !n.Asked {
			all = append(all, n.Access)
		}
	}
	is := func(verb, resource string) func(kube.Access) bool {
		return func(a kube.Access) bool { return (verb == "*" || a.Verb == verb) && path(a) == resource }
	}
	lists := is("list", "pods")
	var users []user
	add := func(name string, without func(kube.Access) bool, more ...rule) {
		u := user{name: name}
		for _, a := range all {
			if !without(a) {
				u.rules = append(u.rules, rule{a, ""})
			}
		}
		u.rules = append(u.rules, more...)
		users = append(users, u)
	}
	add("all", func(kube.Access) bool { return false })
	for _, a := range all {
		add("without-"+a.Verb+"-"+strings.NewReplacer("/", "-").Replace(path(a)), is(a.Verb, path(a)))
	}
	add("without-portforward", is("*", "pods/portforward"))
	podsOf := func(namespace string) rule { return rule{kube.Access{Verb: "list", Resource: "pods"}, namespace} }
	add("pods-of-istio-system-only", lists, podsOf("istio-system"))
	add("pods-of-default-only", lists, podsOf("default"))
	add("portforward-in-default-only", is("*", "pods/portforward"), rule{kube.Access{Verb: "get", Resource: "pods", Subresource: "portforward"}, "default"}, rule{kube.Access{Verb: "create", Resource: "pods", Subresource: "portforward"}, "default"})
	add("nothing", func(kube.Access) bool { return true })
	add("objects", func(kube.Access) bool { return false }, rule{kube.Access{Verb: "list", Group: "networking.istio.io", Resource: "virtualservices"}, ""})
	grant(t, users)

	server := apiServer(t)
	for _, u := range users {
		t.Run(u.name, func(t *testing.T) {
			var said strings.Builder
			for _, expr := range []string{
				`[p.workload + ": cds " + str(p.cds) + ", connected " + str(p.connected) for p in proxies()]`,
				`sorted([c.proxy.workload for c in clusters("xds-grpc")])`,
				`[o.name for o in objects("VirtualService")]`,
			} {
				got := runProgram(t, meshlark, append(cluster, "--as", u.name, "--debug", "-e", expr)...)
				fmt.Fprintf(&said, "-- meshlark -e '%s': exit status %d\n%s-- standard error\n%s\n", expr, got.status, got.stdout, withoutFigures(got.stderr))
			}
			text := strings.ReplaceAll(said.String(), server, "https://API-SERVER")
			golden := filepath.Join("testdata", "permissions", u.name+".golden")
			if *update {
				if err := os.WriteFile(golden, []byte(text), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if diff := gocmp.Diff(string(want), text); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// withoutFigures drops the line in which --debug counts what was read.
func withoutFigures(stderr string) string {
	var out strings.Builder
	for line := range strings.Lines(stderr) {
		if !strings.HasPrefix(line, "read ") {
			out.WriteString(line)
		}
	}
	return out.String()
}

func path(a kube.Access) string {
	if a.Subresource == "" {
		return a.Resource
	}
	return a.Resource + "/" + a.Subresource
}

// A user is one that nobody knows but by what he may do.
type user struct {
	name  string
	rules []rule
}

// grant gives users their permissions until the end of the test, and returns when they have them.
func grant(t *testing.T, users []user) {
	t.Helper()
	type object = map[string]any
	var manifest strings.Builder
	for _, u := range users {
		for n, r := range u.rules {
			name := fmt.Sprintf("%s-%d", u.name, n)
			scope, meta := "Cluster", object{"name": name}
			if r.namespace != "" {
				scope = ""
				meta["namespace"] = r.namespace
			}
			for _, o := range []object{
				{
					"apiVersion": "rbac.authorization.k8s.io/v1", "kind": scope + "Role", "metadata": meta,
					"rules": []object{{"apiGroups": []string{r.Group}, "resources": []string{path(r.Access)}, "verbs": []string{r.Verb}}},
				},
				{
					"apiVersion": "rbac.authorization.k8s.io/v1", "kind": scope + "RoleBinding", "metadata": meta,
					"roleRef":  object{"apiGroup": "rbac.authorization.k8s.io", "kind": scope + "Role", "name": name},
					"subjects": []object{{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": u.name}},
				},
			} {
				text, err := json.Marshal(o)
				if err != nil {
					t.Fatal(err)
				}
				fmt.Fprintf(&manifest, "%s\n---\n", text)
			}
		}
	}
	if err := mesh.Apply(t.Context(), manifest.String()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := mesh.Delete(context.Background(), manifest.String()); err != nil {
			t.Error(err)
		}
	})
	deadline := time.Now().Add(20 * time.Second)
	for _, u := range users {
		config, err := kube.Load(kube.Options{Kubeconfig: mesh.Kubeconfig, As: u.name})
		if err != nil {
			t.Fatal(err)
		}
		c, err := kube.New(config)
		if err != nil {
			t.Fatal(err)
		}
		for {
			missing := slices.IndexFunc(u.rules, func(r rule) bool {
				a := r.Access
				a.Namespace = r.namespace
				v, err := c.May(t.Context(), a)
				if err != nil {
					t.Fatal(err)
				}
				return !v.Allowed
			})
			if missing < 0 {
				break
			}
			if time.Now().After(deadline) {
				t.Fatalf("user %s may still not %v", u.name, u.rules[missing])
			}
			time.Sleep(20 * time.Millisecond)
		}
		c.Close()
	}
}

// apiServer is the URL of the API server.
func apiServer(t *testing.T) string {
	t.Helper()
	config, err := clientcmd.LoadFromFile(mesh.Kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	u, err := url.Parse(config.Clusters["lab"].Server)
	if err != nil {
		t.Fatal(err)
	}
	return u.String()
}
