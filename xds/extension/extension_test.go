package extension_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/meshlark/meshlark/xds/extension"
	"github.com/meshlark/meshlark/xds/rawjson"
)

func TestNew(t *testing.T) {
	const router = `{"@type":"type.googleapis.com/envoy.extensions.filters.http.router.v3.Router","x":1}`
	for _, tc := range []struct {
		body  string
		want  extension.Config
		short string
	}{
		{
			`{"name":"r","typed_config":` + router + `}`,
			extension.Config{Name: "r", Type: "envoy.extensions.filters.http.router.v3.Router", Value: rawjson.Value(router)},
			"Router",
		},
		{
			`{"name":"l","typedConfig":{"@type":"type.googleapis.com/xds.type.v3.TypedStruct","typeUrl":"type.googleapis.com/a.Lua","value":{"y":2}}}`,
			extension.Config{Name: "l", Type: "a.Lua", Value: rawjson.Value(`{"y":2}`)},
			"Lua",
		},
		{
			`{"name":"e","config_discovery":{"config_source":{"ads":{}},"type_urls":["type.googleapis.com/a.Fault","type.googleapis.com/a.Other"]}}`,
			extension.Config{Name: "e", Type: "a.Fault", Discovered: true},
			"Fault",
		},
		{
			`{"name":"e","config_discovery":{"default_config":{"@type":"type.googleapis.com/a.B"}}}`,
			extension.Config{Name: "e", Type: "a.B", Discovered: true, Value: rawjson.Value(`{"@type":"type.googleapis.com/a.B"}`)},
			"B",
		},
		{`{"name":"n"}`, extension.Config{Name: "n"}, ""},
		{`[1]`, extension.Config{}, ""},
	} {
		got := extension.New(rawjson.Value(tc.body))
		if diff := cmp.Diff(tc.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tc.body, diff)
		}
		if got.ShortType() != tc.short || !got.Is(tc.short) {
			t.Errorf("short type of %s: %q, want %q", tc.body, got.ShortType(), tc.short)
		}
	}
}
