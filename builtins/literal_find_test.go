package builtins

import (
	"strings"
	"testing"

	"github.com/meshlark/meshlark/xds/rawjson"
	"github.com/meshlark/meshlark/xds/schema"
	"go.starlark.net/starlark"
)

// A resource is found in what tools print around it.
func TestWanted(t *testing.T) {
	const table = `{"name":"web","virtual_hosts":[]}`
	const typed = `{"@type":"type.googleapis.com/envoy.config.route.v3.RouteConfiguration","name":"web"}`
	m, ok := schema.LookupMessage("envoy.config.route.v3.RouteConfiguration")
	if !ok {
		t.Fatal("the definitions have no RouteConfiguration")
	}
	for _, tc := range []struct{ what, in, want, err string }{
		{"by itself", table, table, ""},
		{"nothing but its type and name", typed, typed, ""},
		{"nothing at all", `{}`, `{}`, ""},
		{"a list of one", `[` + table + `]`, table, ""},
		{"documents of which one is empty", `[null,` + table + `]`, table, ""},
		{"an element of a dump", `{"version_info":"1","route_config":` + typed + `,"last_updated":"x"}`, typed, ""},
		{"in lower camel case", `{"versionInfo":"1","routeConfig":` + table + `}`, table, ""},
		{"a section of a dump", `{"@type":"t/envoy.admin.v3.RoutesConfigDump","dynamic_route_configs":[{"route_config":` + table + `}]}`, table, ""},
		{"a dump", `{"configs":[{"@type":"t/envoy.admin.v3.ListenersConfigDump","static_listeners":[{"listener":{"name":"l","address":{}}}]},{"@type":"t/envoy.admin.v3.RoutesConfigDump","static_route_configs":[{"route_config":` + typed + `}]}]}`, typed, ""},
		{"a discovery response", `{"version_info":"1","resources":[` + typed + `],"type_url":"x"}`, typed, ""},
		{"with the name and version of incremental discovery", `{"resources":[{"name":"web","version":"1","resource":` + typed + `}]}`, typed, ""},
		{"of version 2", `{"@type":"t/envoy.api.v2.RouteConfiguration","name":"web"}`, `{"@type":"t/envoy.api.v2.RouteConfiguration","name":"web"}`, ""},
		{"two", `[` + table + `,` + table + `]`, "", "there are 2"},
		{"none", `[]`, "", "there is none"},
		{"a virtual host", `{"name":"a","domains":["*"],"routes":[]}`, "", "none of the members domains, routes"},
		{"another resource", `{"@type":"t/envoy.config.listener.v3.Listener","name":"web"}`, "", "got envoy's envoy.config.listener.v3.Listener"},
		{"a manifest", `{"apiVersion":"v1","kind":"Service","metadata":{"name":"web"},"spec":{}}`, "", "none of the members apiVersion, kind, spec"},
		{"a text in a list", `["web"]`, "", "got \"web\""},
	} {
		got, err := wanted(rawjson.Value(tc.in), m)
		switch {
		case tc.err != "" && (err == nil || !strings.Contains(err.Error(), tc.err)):
			t.Errorf("%s: got %s and the error %v, want the error to say %q", tc.what, got, err, tc.err)
		case tc.err == "" && (err != nil || string(got) != tc.want):
			t.Errorf("%s: got %s, %v, want %s", tc.what, got, err, tc.want)
		}
	}
}

// JSON with white space before it is JSON as well, and empty documents of YAML do not count.
func TestLiteralText(t *testing.T) {
	m, _ := schema.LookupMessage("envoy.config.route.v3.RouteConfiguration")
	for _, src := range []string{"\n\t{\n\t\"name\": \"web\"}", "\ufeff{\"name\":\"web\"}", "---\nname: web\n---\n", "name: web\r\n"} {
		text, err := literalText(starlark.String(src))
		if err != nil {
			t.Errorf("%q: %v", src, err)
			continue
		}
		text, err = rawjson.Compact(nil, text)
		if err != nil {
			t.Errorf("%q: %v", src, err)
			continue
		}
		if got, err := wanted(text, m); err != nil || got.Str("name") != "web" {
			t.Errorf("%q: got %s, %v", src, got, err)
		}
	}
}
