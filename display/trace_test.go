package display

import (
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const shopTable = `{"name": "80", "virtual_hosts": [{"name": "shop", "domains": ["shop", "10.96.0.2"], "routes": [
	{"name": "beta", "match": {"prefix": "/", "headers": [{"name": "x-beta", "present_match": True}]}, "route": {"cluster": "v2"}},
	{"name": "all\u202e", "match": {"prefix": "/"}, "route": {"weighted_clusters": {"clusters": [{"name": "v1", "weight": 90}, {"name": "v2", "weight": 10}]}}}]}]}`

const shopDump = `config_dump({"configs": [
	{"@type": "type.googleapis.com/envoy.admin.v3.BootstrapConfigDump", "bootstrap": {"node": {"id": "sidecar~10.0.0.1~web.shop~shop.svc.cluster.local"}}},
	{"@type": "type.googleapis.com/envoy.admin.v3.ListenersConfigDump", "static_listeners": [{"listener": {"name": "web", "address": {"socket_address": {"address": "0.0.0.0", "port_value": 80}},
		"filter_chains": [{"filters": [{"name": "http", "typed_config": {"@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
			"rds": {"route_config_name": "80"}, "http_filters": [{"name": "envoy.filters.http.router", "typed_config": {"@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"}}]}}]}]}}]},
	{"@type": "type.googleapis.com/envoy.admin.v3.RoutesConfigDump", "static_route_configs": [{"route_config": ` + shopTable + `}]},
	{"@type": "type.googleapis.com/envoy.admin.v3.ClustersConfigDump", "static_clusters": [{"cluster": {"name": "v1", "type": "STATIC",
		"load_assignment": {"endpoints": [{"lb_endpoints": [{"endpoint": {"address": {"socket_address": {"address": "10.1.0.1", "port_value": 80}}}}]}]}}}]}]})`

// What says how it came about shows it: in a pipe and on a terminal, with colours and without.
func TestWriteExplained(t *testing.T) {
	var out strings.Builder
	for _, test := range []struct {
		what, src string
		f         Format
		s         Style
	}{
		{"match", `route_config(` + shopTable + `).match(host="shop", path="/cart")`, Table, Style{}},
		{"match on a terminal", `route_config(` + shopTable + `).match(host="shop", path="/cart")`, Table, Style{Width: 50, Color: true}},
		{"chain", `listener({"name": "l", "filter_chains": [{"name": "c", "filter_chain_match": {"server_names": ["a"]}}]}).match(sni="b")`, Table, Style{}},
		{"trace", shopDump + `.trace("http://shop/cart", random=1)`, Table, Style{}},
		{"trace on a terminal", shopDump + `.trace("http://shop/cart", random=95)`, Table, Style{Width: 60, Color: true}},
		{"trace, wide", shopDump + `.trace("http://shop/cart")`, Wide, Style{}},
		{"why not", `why_not(` + shopDump + `.trace("http://shop/cart"), cluster="v2")`, Table, Style{}},
		{"why not on a terminal", `why_not(` + shopDump + `.trace("http://shop/cart"), cluster="v2")`, Table, Style{Width: 60}},
	} {
		var b strings.Builder
		if _, err := WriteValue(&b, Result{Value: eval(t, test.src)}, test.f, test.s); err != nil {
			t.Fatal(err)
		}
		if !test.s.Color && strings.Contains(b.String(), "\x1b") || strings.Contains(b.String(), "\u202e") {
			t.Errorf("%s: coloured, or with characters that no terminal should get", test.what)
		}
		out.WriteString("== " + test.what + "\n" + strings.ReplaceAll(b.String(), "\x1b", "ESC"))
	}
	const file = "testdata/explained.txt"
	if *update {
		if err := os.WriteFile(file, []byte(out.String()), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), out.String()); diff != "" {
		t.Errorf("%s (-want +got); bring it up to date with: go test ./display -update\n%s", file, diff)
	}
}
