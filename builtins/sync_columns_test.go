package builtins

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/meshlark/meshlark/mesh"
	"github.com/meshlark/meshlark/xds/syncz"
	"go.starlark.net/starlark"
)

// A column for secrets is there where it tells something: some proxy is not up to date, or it was asked about.
func TestSecretsColumn(t *testing.T) {
	status := func(types ...string) *syncz.Client {
		c := &syncz.Client{}
		for _, typ := range types {
			name, state, _ := strings.Cut(typ, " ")
			s := syncz.TypeStatus{Type: name, Status: syncz.Status(state)}
			if s.Status == syncz.Rejected {
				s.Error = "name: \"outbound|80||c\"\ntype: EDS\n: no such filter"
			}
			if s.Status != syncz.NotSent {
				s.SentAt = fixtureNow.Add(-time.Minute)
			}
			c.Types = append(c.Types, s)
		}
		return c
	}
	m := meshOf("there",
		mesh.Record{Name: "egress", Sync: status("CDS SYNCED", "SDS NOT_SENT")},
		mesh.Record{Name: "ingress", Sync: status("CDS SYNCED", "SDS SYNCED")},
		mesh.Record{Name: "sidecar", Sync: status("CDS ERROR")},
	)
	thread, host, env := newThread(t, t.Context(), nil)
	host.m = m
	for _, test := range []struct {
		src  string
		cell string // of SDS in the first row; "" for no such column
	}{
		{`proxies()`, "NOT SENT"},
		{`proxies("*gress")`, "NOT SENT"},
		{`proxies("ingress")`, ""},
		{`proxies(type=None, cds="ERROR")`, ""},
		{`proxies(sds="NOT_SENT")`, "NOT SENT"},
		{`proxies(sds="SYNCED")`, "SYNCED (1m)"},
		{`proxies(sds=None).where(name="sidecar")`, ""},
	} {
		v, err := starlark.EvalOptions(dialect, thread, "sync.star", test.src, env)
		if err != nil {
			t.Fatal(err)
		}
		table := v.(*Collection).Table(false)
		cell := ""
		if i := slices.IndexFunc(table.Columns, func(c Column) bool { return c.Name == "SDS" }); i >= 0 {
			cell = table.Rows[0][i]
		}
		if cell != test.cell {
			t.Errorf("%s: cell %q, want %q", test.src, cell, test.cell)
		}
	}
	v, err := starlark.EvalOptions(dialect, thread, "sync.star", `(proxy("sidecar").sync.cds.reason, "type: EDS" in proxy("sidecar").sync.cds.error, proxies(cds="ERROR"))`, env)
	if err != nil {
		t.Fatal(err)
	}
	got := v.(starlark.Tuple)
	if got[0] != starlark.String("outbound|80||c: no such filter") || got[1] != starlark.True {
		t.Errorf("why it was rejected: %v", got)
	}
	if rows := got[2].(*Collection).Table(false).Rows; !slices.Contains(rows[0], "CDS: outbound|80||c: no such filter") {
		t.Errorf("row %q, want the reason on one line", rows[0])
	}
}
