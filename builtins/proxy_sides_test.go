package builtins

import (
	"testing"

	"go.starlark.net/starlark"

	"github.com/meshlark/meshlark/mesh"
)

// TestViaADS compares what a control plane sends to who connects as a proxy with what the Envoy has, also of a proxy of which no control plane says what
// it would send.
func TestViaADS(t *testing.T) {
	sent, old := side([]string{"10.0.0.1", "10.0.0.2"}, nil), side([]string{"10.0.0.1"}, nil)
	thread, host, env := newThread(t, t.Context(), nil)
	host.m = meshOf("there", mesh.Record{Name: "lost", Actual: old, ADS: sent}, mesh.Record{Name: "known", Actual: old, Desired: old, ADS: sent})
	for expr, want := range map[string]string{
		`proxy("lost").desired(via="ads").diff().empty`:              "False",
		`proxy("known").diff().empty`:                                "True",
		`proxy("known").desired().diff().empty`:                      "True",
		`proxy("known").desired(via="ads").diff().empty`:             "False",
		`len(proxy("known").desired(via="ads").endpoints())`:         "2",
		`len(proxy("known").desired().endpoints())`:                  "1",
		`proxy("known").desired(via="ads").actual().side`:            `"actual"`,
		`proxy("known").desired(via="ads").desired().diff().empty`:   "True",
		`proxy("known") - proxy("known").desired(via="ads") == None`: "False",
		`str(proxy("known").desired(via="ads"))`:                     `"<proxy known desired by ADS>"`,
	} {
		v, err := starlark.EvalOptions(dialect, thread, "sides.star", expr, env)
		if err != nil || v.String() != want {
			t.Errorf("%s = %v, error %v; want %s", expr, v, err, want)
		}
	}
}
