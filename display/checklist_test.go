package display

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/meshlark/meshlark/builtins"
)

// On a terminal that the table does not fit, every message is there to its last word and no line is too long.
func TestChecklist(t *testing.T) {
	const message = "has not acknowledged the push of istio-pilot-75bdf98789-n2kqh for 7m; is the Envoy stuck, or short of CPU?"
	report := Report{Runs: []Run{
		{Runbook: "stale", Checks: []builtins.Check{
			{ID: "stale", Subject: "productpage-v1-6c886ff494-hm7zk.default RDS", Message: message, Severity: "error", Runbook: "stale"},
			{ID: "disconnected", OK: true, Message: "17 proxies", Runbook: "stale"},
		}},
		{Runbook: "certs", Checks: []builtins.Check{{ID: "cert-expires-soon", Subject: "default", Message: "in 4d", Severity: "warning", Runbook: "certs"}, {Skipped: true, Message: "no gateway", Runbook: "certs"}}},
	}}
	var b strings.Builder
	if _, err := report.Write(&b, Table, Style{Width: 60}); err != nil {
		t.Fatal(err)
	}
	want := `stale
failed   stale productpage-v1-6c886ff494-hm7zk.default RDS
         has not acknowledged the push of
         istio-pilot-75bdf98789-n2kqh for 7m; is the Envoy
         stuck, or short of CPU?
ok       disconnected  17 proxies

certs
warning  cert-expires-soon default
         in 4d
skipped  no gateway
`
	if diff := cmp.Diff(want, b.String()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	b.Reset()
	if _, err := WriteValue(&b, Result{Value: builtins.NewChecks(report.Checks())}, Table, Style{Width: 60}); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, b.String()); diff != "" {
		t.Errorf("as the value of run(...) (-want +got):\n%s", diff)
	}
}
