package diff_test

import (
	"strings"
	"testing"

	"github.com/meshlark/meshlark/xds/diff"
	"github.com/meshlark/meshlark/xds/dump"
	"github.com/meshlark/meshlark/xds/rawjson"
	"github.com/meshlark/meshlark/xds/resource"
)

// sectionOf writes a dump of one section.
func sectionOf(section, list string, elems ...string) string {
	return `{"configs":[{"@type":"type.googleapis.com/envoy.admin.v3.` + section + `","` + list + `":[` + strings.Join(elems, ",") + `]}]}`
}

// compare compares two dumps.
func compare(t *testing.T, left, right string, o diff.Options) *diff.Diff {
	t.Helper()
	store := resource.NewStore()
	l, r := config(t, store, "desired", []byte(left)), config(t, store, "actual", []byte(right))
	d, err := diff.Compare(l, r, o)
	if err != nil {
		t.Fatal(err)
	}
	li, _ := diff.Items(l)
	ri, _ := diff.Items(r)
	if !o.Desired {
		sameItems(t, d, li, ri, o)
	}
	return d
}

func paths(d *diff.Diff) (paths []string) {
	for _, c := range d.Changed {
		for _, e := range c.Edits {
			paths = append(paths, e.Path)
		}
	}
	return paths
}

// Every entry of the table of what is ignored makes no difference, and does with Exact.
func TestIgnored(t *testing.T) {
	cluster := func(member string) string {
		return sectionOf("ClustersConfigDump", "dynamic_active_clusters",
			`{`+member+`"cluster":{"@type":"type.googleapis.com/envoy.config.cluster.v3.Cluster","name":"c"}}`)
	}
	listener := func(member string) string {
		return sectionOf("ListenersConfigDump", "dynamic_listeners", `{"name":"l","error_state":{`+member+`"details":"no"}}`)
	}
	wasm := func(member string) string {
		return sectionOf("EcdsConfigDump", "ecds_filters", `{"ecds_filter":{"@type":"type.googleapis.com/envoy.config.core.v3.TypedExtensionConfig","name":"x","typed_config":{"@type":"type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm","config":{"vm_config":{"environment_variables":{"key_values":{`+member+`"A":"b"}}}}}}}`)
	}
	member := func(name, value string) string {
		if value == "" {
			return ""
		}
		return `"` + name + `":"` + value + `",`
	}
	for _, test := range []struct {
		path, name, a, b string // an empty value is none
		dump             func(string) string
	}{
		{"entry.version_info", "version_info", "1", "2", cluster},
		{"entry.last_updated", "last_updated", "2026-11-23T00:20:56Z", "2026-11-23T00:20:57Z", cluster},
		{"entry.client_status", "client_status", "ACKED", "NACKED", cluster},
		{"entry.error_state.last_update_attempt", "last_update_attempt", "2026-11-23T00:20:56Z", "2026-11-23T00:20:57Z", listener},
		{"entry.error_state.version_info", "version_info", "1", "2", listener},
		{"**.environment_variables.key_values.ISTIO_META_WASM_PLUGIN_RESOURCE_VERSION", "ISTIO_META_WASM_PLUGIN_RESOURCE_VERSION", "1", "2", wasm},
		{"**.environment_variables.key_values.ISTIO_META_WASM_IMAGE_PULL_SECRET", "ISTIO_META_WASM_IMAGE_PULL_SECRET", "<Redacted>", "", wasm},
		{"**.environment_variables.key_values.ISTIO_META_WASM_IMAGE_PULL_POLICY", "ISTIO_META_WASM_IMAGE_PULL_POLICY", "Always", "x", wasm},
	} {
		known := false
		for _, r := range diff.Ignored {
			known = known || r.What == test.path
		}
		if !known {
			t.Errorf("%s is not in the table", test.path)
		}
		left, right := test.dump(member(test.name, test.a)), test.dump(member(test.name, test.b))
		if d := compare(t, left, right, diff.Options{}); !d.Empty() {
			t.Errorf("%s is not ignored: %q", test.path, paths(d))
		}
		d := compare(t, left, right, diff.Options{Exact: true})
		if got := paths(d); len(got) == 0 || !strings.HasSuffix(got[len(got)-1], strings.TrimPrefix(test.path, "**")) {
			t.Errorf("%s: with Exact the differences are %q", test.path, got)
		}
	}
	if len(diff.Ignored) != 8 {
		t.Errorf("the table has %d entries, 8 are tested", len(diff.Ignored))
	}
	// The reason of a rejection is no noise.
	left, right := listener(`"version_info":"1",`), strings.Replace(listener(`"version_info":"1",`), `"no"`, `"because"`, 1)
	if got := paths(compare(t, left, right, diff.Options{})); len(got) != 1 || got[0] != "entry.error_state.details" {
		t.Errorf("another reason of a rejection is at %q", got)
	}
}

// Every entry of the table of values that say nothing says nothing.
func TestSameAsAbsent(t *testing.T) {
	const cla = "envoy.config.endpoint.v3.ClusterLoadAssignment"
	tests := map[string][3]string{ // with, without, with another value
		cla + ".Policy.overprovisioning_factor":                              {`{"policy":{"overprovisioning_factor":140,"weighted_priority_health":true}}`, `{"policy":{"weighted_priority_health":true}}`, `{"policy":{"overprovisioning_factor":150,"weighted_priority_health":true}}`},
		cla + ".policy":                                                      {`{"policy":{"overprovisioning_factor":140}}`, `{}`, `{"policy":{"weighted_priority_health":true}}`},
		"envoy.config.endpoint.v3.Endpoint.health_check_config":              {`{"endpoints":[{"lb_endpoints":[{"endpoint":{"health_check_config":{}}}]}]}`, `{"endpoints":[{"lb_endpoints":[{"endpoint":{}}]}]}`, `{"endpoints":[{"lb_endpoints":[{"endpoint":{"health_check_config":{"port_value":1}}}]}]}`},
		"envoy.config.endpoint.v3.LocalityLbEndpoints.locality":              {`{"endpoints":[{"locality":{},"priority":1}]}`, `{"endpoints":[{"priority":1}]}`, `{"endpoints":[{"locality":{"zone":"z"},"priority":1}]}`},
		"envoy.config.endpoint.v3.LocalityLbEndpoints.load_balancing_weight": {`{"endpoints":[{"load_balancing_weight":0}]}`, `{"endpoints":[{}]}`, `{"endpoints":[{"load_balancing_weight":1}]}`},
		"envoy.config.endpoint.v3.LbEndpoint.metadata":                       {`{"endpoints":[{"lb_endpoints":[{"metadata":{}}]}]}`, `{"endpoints":[{"lb_endpoints":[{}]}]}`, `{"endpoints":[{"lb_endpoints":[{"metadata":{"filter_metadata":{"a":{}}}}]}]}`},
		"envoy.config.endpoint.v3.LbEndpoint.load_balancing_weight":          {`{"endpoints":[{"lb_endpoints":[{"endpoint":{},"load_balancing_weight":1}]}]}`, `{"endpoints":[{"lb_endpoints":[{"endpoint":{}}]}]}`, `{"endpoints":[{"lb_endpoints":[{"endpoint":{},"load_balancing_weight":2}]}]}`},
		"envoy.config.endpoint.v3.LbEndpoint.health_status":                  {`{"endpoints":[{"lb_endpoints":[{"endpoint":{},"health_status":"HEALTHY"}]}]}`, `{"endpoints":[{"lb_endpoints":[{"endpoint":{}}]}]}`, `{"endpoints":[{"lb_endpoints":[{"endpoint":{},"health_status":"DRAINING"}]}]}`},
	}
	for _, e := range diff.SameAsAbsent {
		test, ok := tests[e.Field]
		if !ok {
			t.Errorf("%s has no test", e.Field)
			continue
		}
		if got := edits(t, test[0], test[1], cla, diff.Options{}); len(got) > 0 {
			t.Errorf("%s: %s differs from absent: %q", e.Field, e.Value, got)
		}
		if got := edits(t, test[0], test[1], cla, diff.Options{Exact: true}); len(got) != 1 {
			t.Errorf("%s: with Exact the differences are %q", e.Field, got)
		}
		if got := edits(t, test[2], test[1], cla, diff.Options{}); len(got) != 1 {
			t.Errorf("%s: another value gives %q", e.Field, got)
		}
	}
}

// What istiod and its agent rewrite is undone: one test for each entry of the table.
func TestRewrites(t *testing.T) {
	if len(diff.Rewrites) != 5 {
		t.Errorf("the table has %d entries, 5 are tested", len(diff.Rewrites))
	}
	t.Run("redacted", func(t *testing.T) {
		const tls = "envoy.extensions.transport_sockets.tls.v3.TlsCertificate"
		forms := []string{`{"inline_bytes":"W3JlZGFjdGVkXQ=="}`, `{"inlineBytes":"W3JlZGFjdGVkXQ"}`, `{"inline_string":"[redacted]"}`, `{"filename":"[redacted]"}`, `{"environment_variable":"[redacted]"}`}
		for _, a := range forms {
			for _, b := range forms {
				if got := edits(t, `{"private_key":`+a+`}`, `{"private_key":`+b+`}`, tls, diff.Options{}); len(got) > 0 {
					t.Errorf("%s and %s differ: %q", a, b, got)
				}
			}
			for _, other := range []string{`{"private_key":{"filename":"key.pem"}}`, `{}`} {
				if got := edits(t, `{"private_key":`+a+`}`, other, tls, diff.Options{}); len(got) == 0 {
					t.Errorf("%s and %s do not differ", a, other)
				}
			}
		}
	})
	const wasm = `{"@type":"type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm","config":{"name":"plugin","vm_config":{"code":{"CODE":1}}}}`
	remote := strings.Replace(wasm, `{"CODE":1}`, `{"remote":{"http_uri":{"uri":"oci://x"}}}`, 1)
	local := strings.Replace(wasm, `{"CODE":1}`, `{"local":{"filename":"/var/x.wasm"}}`, 1)
	entry := func(body string) string {
		return sectionOf("EcdsConfigDump", "ecds_filters", `{"ecds_filter":`+body+`}`)
	}
	wrapped := func(body string) string {
		return entry(`{"@type":"type.googleapis.com/envoy.config.core.v3.TypedExtensionConfig","name":"long/plugin","typed_config":` + body + `}`)
	}
	t.Run("bare", func(t *testing.T) {
		for _, o := range []diff.Options{{}, {Desired: true}} {
			if d := compare(t, entry(remote), wrapped(remote), o); !d.Empty() {
				t.Errorf("%+v: %s", o, d.Text())
			}
		}
		d := compare(t, entry(remote), wrapped(local), diff.Options{})
		if len(d.Changed) != 1 || d.Changed[0].Name != "long/plugin" {
			t.Errorf("a changed filter gives %s", d.Text())
		}
		if d := compare(t, entry(remote), entry(local), diff.Options{}); len(d.Changed) != 1 || d.Changed[0].Name != "plugin" {
			t.Errorf("two filters without names give %s", d.Text())
		}
		if d := compare(t, entry(remote), wrapped(remote), diff.Options{Exact: true}); d.Empty() {
			t.Error("with Exact there is no difference")
		}
	})
	t.Run("downloaded", func(t *testing.T) {
		if d := compare(t, entry(remote), wrapped(local), diff.Options{Desired: true}); !d.Empty() {
			t.Errorf("%s", d.Text())
		}
		if d := compare(t, entry(local), wrapped(remote), diff.Options{Desired: true}); d.Empty() {
			t.Error("a file on the left and an address on the right do not differ")
		}
	})
}

// Fractions of one value, and others.
func TestFractions(t *testing.T) {
	const m = "envoy.config.endpoint.v3.ClusterLoadAssignment.Policy.DropOverload"
	one := func(fraction string) string { return `{"drop_percentage":{` + fraction + `}}` }
	for _, test := range []struct {
		a, b    string
		differs bool
	}{
		{`"numerator":5`, `"numerator":50000,"denominator":"MILLION"`, false},
		{`"numerator":5,"denominator":"HUNDRED"`, `"numerator":500,"denominator":1`, false},
		{``, `"denominator":"MILLION"`, false},
		{`"numerator":5`, `"numerator":5,"denominator":"MILLION"`, true},
		{`"numerator":5`, `"numerator":50000,"denominator":9`, true},
	} {
		if got := edits(t, one(test.a), one(test.b), m, diff.Options{Desired: true}); (len(got) > 0) != test.differs {
			t.Errorf("%s and %s: %q", test.a, test.b, got)
		}
		if got := edits(t, one(test.a), one(test.b), m, diff.Options{}); len(got) == 0 {
			t.Errorf("%s and %s do not differ", test.a, test.b)
		}
	}
}

// What Envoy says of endpoints that it was sent.
func TestHealth(t *testing.T) {
	const cla = "envoy.config.endpoint.v3.ClusterLoadAssignment"
	one := func(health string) string {
		if health != "" {
			health = `,"health_status":"` + health + `"`
		}
		return `{"endpoints":[{"lb_endpoints":[{"endpoint":{"hostname":"x"}` + health + `}]}]}`
	}
	for _, test := range []struct {
		sent, found string
		differs     bool
	}{
		{"", "HEALTHY", false}, {"HEALTHY", "HEALTHY", false}, {"", "UNHEALTHY", false}, {"HEALTHY", "DEGRADED", false},
		{"DRAINING", "UNHEALTHY", false}, {"TIMEOUT", "UNHEALTHY", false}, {"DEGRADED", "UNHEALTHY", false},
		{"DRAINING", "HEALTHY", true}, {"UNHEALTHY", "HEALTHY", true}, {"UNHEALTHY", "", true},
	} {
		if got := edits(t, one(test.sent), one(test.found), cla, diff.Options{Desired: true}); (len(got) > 0) != test.differs {
			t.Errorf("sent %q, found %q: %q", test.sent, test.found, got)
		}
	}
}

func TestDesired(t *testing.T) {
	cluster := func(name, more string) string {
		return `{"@type":"type.googleapis.com/envoy.config.cluster.v3.Cluster","name":"` + name + `"` + more + `}`
	}
	wrap := func(c string) string { return `{"cluster":` + c + `}` }
	left := sectionOf("ClustersConfigDump", "dynamic_active_clusters", wrap(cluster("a", "")), wrap(cluster("b", "")))
	right := `{"configs":[{"@type":"type.googleapis.com/envoy.admin.v3.BootstrapConfigDump","bootstrap":{"node":{"id":"x"}}},{"@type":"type.googleapis.com/envoy.admin.v3.ClustersConfigDump",` +
		`"static_clusters":[` + wrap(cluster("agent", "")) + `],"dynamic_active_clusters":[` + wrap(cluster("a", "")) + `],"dynamic_warming_clusters":[` +
		wrap(cluster("a", `,"type":"EDS"`)) + `,` + wrap(cluster("b", "")) + `]}]}`
	if d := compare(t, left, right, diff.Options{Desired: true}); !d.Empty() || d.Summary() != "Clusters Match" {
		t.Errorf("%s\n%s", d.Summary(), d.Text())
	}
	if d := compare(t, left, right, diff.Options{}); d.Summary() != "Clusters Don't Match: 3 added, 1 removed; Bootstrap Not Compared" {
		t.Errorf("%s\n%s", d.Summary(), d.Text())
	}
}

// A secret that a proxy waits for is none that it has: what the control plane does not send is not "only in the proxy", and what it sends is missing there.
func TestAwaitedSecrets(t *testing.T) {
	secret := func(name, more string) string {
		return `{"name":"` + name + `","secret":{"@type":"type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret","name":"` + name + `"` + more + `}}`
	}
	const chain = `,"tls_certificate":{"certificate_chain":{"inline_bytes":"YQ=="}}`
	left := sectionOf("SecretsConfigDump", "dynamic_active_secrets", secret("kubernetes://sent", chain))
	right := sectionOf("SecretsConfigDump", "dynamic_warming_secrets", secret("kubernetes://no-such", ""), secret("kubernetes://sent", ""), secret("kubernetes://more", chain))
	d := compare(t, left, right, diff.Options{Desired: true})
	if d.Summary() != "Secrets Don't Match: 1 added, 1 removed" || d.Added[0].Name != "kubernetes://more" || d.Removed[0].Name != "kubernetes://sent" {
		t.Errorf("%s\n%s", d.Summary(), d.Text())
	}
}

// Route tables of one name are told apart by what they say, then by their order.
func TestRepeatedNames(t *testing.T) {
	table := func(vhost string) string {
		return `{"route_config":{"@type":"type.googleapis.com/envoy.config.route.v3.RouteConfiguration","name":"default","virtual_hosts":[{"name":"` + vhost + `","domains":["*"]}]}}`
	}
	dumpOf := func(vhosts ...string) string {
		var tables []string
		for _, v := range vhosts {
			tables = append(tables, table(v))
		}
		return sectionOf("RoutesConfigDump", "static_route_configs", tables...)
	}
	if d := compare(t, dumpOf("a", "b", "c"), dumpOf("c", "a", "b"), diff.Options{}); !d.Empty() {
		t.Error(d.Text())
	}
	d := compare(t, dumpOf("a", "b", "c"), dumpOf("c", "x", "b", "y"), diff.Options{})
	if len(d.Changed) != 1 || len(d.Added) != 1 || len(d.Removed) != 0 || paths(d)[0] != "virtual_hosts[x].name" {
		t.Error(d.Text())
	}
}

func TestMalformed(t *testing.T) {
	store := resource.NewStore()
	d, err := dump.Split(store, []byte(sectionOf("ClustersConfigDump", "dynamic_active_clusters", `{"cluster":{"name":"c","x":01}}`)), dump.Options{Source: "f.json"})
	if err != nil {
		t.Fatal(err)
	}
	c := diff.Config{Name: "p", Resources: d.Resources(resource.Cluster)}
	if _, err := diff.Compare(c, c, diff.Options{}); err == nil || !strings.Contains(err.Error(), "comparing cluster c of p: ") {
		t.Errorf("the error is %v", err)
	}
	if _, err := diff.Values(rawjson.Value(`{`), nil, "", diff.Options{}); err == nil || !strings.Contains(err.Error(), "left value") {
		t.Errorf("the error is %v", err)
	}
	for _, path := range []string{"", "a[", "a..b", "a.", `a["x]`} {
		for _, exact := range []bool{false, true} {
			if _, err := diff.Values(nil, nil, "", diff.Options{Ignore: []string{path}, Exact: exact}); err == nil || !strings.Contains(err.Error(), "ignore path") {
				t.Errorf("%q: the error is %v", path, err)
			}
		}
	}
}
