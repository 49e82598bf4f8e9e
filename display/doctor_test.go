package display

import (
	"fmt"
	"strings"
	"testing"

	"github.com/meshlark/meshlark/builtins"
	"github.com/meshlark/meshlark/mesh"
)

func findings() []mesh.Finding {
	return []mesh.Finding{
		{Source: "kube:prod", Area: "API server", Subject: "https://10.0.0.1", Outcome: mesh.OutcomeOK, Detail: "Kubernetes v1.34.1"},
		{Source: "kube:prod", Area: "permissions", Subject: "list pods", Outcome: mesh.OutcomeLimited, Detail: "find control planes and proxies; in namespace shop only",
			Questions: []string{"proxies()", "istiods()"}, Next: "docs/access.md has the roles to ask an administrator for"},
		{Source: "kube:prod", Area: "permissions", Subject: "create serviceaccounts/token", Outcome: mesh.OutcomeDenied, Detail: "a token", Questions: []string{"p.desired()"}, Asked: true},
		{Source: "http://10.0.0.2:15000", Area: "Envoy", Subject: "/certs\x1b[31m", Outcome: mesh.OutcomeUnreachable, Detail: "GET http://10.0.0.2:15000/certs: no answer within 10s; it hangs, or is slow",
			Questions: []string{"p.certs()", "proxies()"}},
		{Area: "proxies", Subject: "list", Outcome: mesh.OutcomeAbsent, Detail: "no source knows a proxy"},
	}
}

// A terminal shows all words, however narrow it is; a pipe has a finding a line.
func TestFindings(t *testing.T) {
	var out strings.Builder
	for _, style := range []Style{{}, {Width: 60, Color: true}} {
		fmt.Fprintf(&out, "# width %d\n", style.Width)
		if err := WriteFindings(&out, findings(), style); err != nil {
			t.Fatal(err)
		}
	}
	for name, found := range map[string][]mesh.Finding{
		"Nothing is left open.\n": findings()[:1],
		"Of what most people ask nothing is left open.\nAnd for who asks for it: p.desired().\n": findings()[2:3],
	} {
		var b strings.Builder
		if err := WriteFindings(&b, found, Style{}); err != nil {
			t.Fatal(err)
		}
		if !strings.HasSuffix(b.String(), "\n\n"+name) {
			t.Errorf("%q does not end with %q", b.String(), name)
		}
	}
	golden(t, "findings.txt", out.String())
}

// At a prompt the call shows sentences; a pipe gets the table of any collection.
func TestFindingsValue(t *testing.T) {
	show := func(s Style) string {
		var b strings.Builder
		if _, err := WriteValue(&b, Result{Value: builtins.NewFindings(findings())}, Table, s); err != nil {
			t.Fatal(err)
		}
		return b.String()
	}
	if got := show(Style{Width: 200}); !strings.Contains(got, "leaves open: proxies(), istiods()") {
		t.Errorf("on a terminal:\n%s", got)
	}
	if got := show(Style{}); !strings.HasPrefix(got, "AREA         SUBJECT") || strings.Count(got, "\n") != len(findings())+1 {
		t.Errorf("to a pipe:\n%s", got)
	}
}
