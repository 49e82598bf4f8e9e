package syncz

import (
	"strings"
	"testing"
)

func TestRejectionLine(t *testing.T) {
	for _, test := range []struct{ message, want string }{
		{"no such filter", "no such filter"},
		{"", ""},
		{"Error adding/updating cluster(s) a: no such\n  filter\n", "Error adding/updating cluster(s) a: no such filter"},
		// As Envoy 1.40 has it, where istiod cuts it.
		{"goo.gle/debugonly  \nname: \"outbound|9080||reviews\"\ntype: EDS\neds_cluster_config {\n  eds_config {\n    ads {\n    }\n    initial_fetch_timeout {\n    }\n  }\n" +
			"  service_name: \"outbound|9080||reviews\"\n}\nconnect_timeout {\n  seconds: 10\n}\ntyped_config {\n  [type.googleapis.com/a.b.C] {\n    x: -1.5e+3\n  }\n}\n" +
			": Proto constraint validation failed (ClusterValidationError.RingHashLbConfig: embedded message failed validation | caused by RingHa...(truncated)",
			"outbound|9080||reviews: Proto constraint validation failed (ClusterValidationError.RingHashLbConfig: embedded message failed validation | caused by RingHa...(truncated)"},
		// The reason before the resource.
		{"Proto constraint validation failed (ListenerValidationError.Address: value is required): name: \"0.0.0.0_80\"\nfilter_chains {\n}\n",
			"Proto constraint validation failed (ListenerValidationError.Address: value is required): name: \"0.0.0.0_80\""},
		{"name: \"a\"\n", "name: \"a\""}, // nothing else is told
	} {
		if got := RejectionLine(test.message); got != test.want {
			t.Errorf("RejectionLine(%q) = %q, want %q", test.message, got, test.want)
		}
	}
}

func FuzzRejectionLine(f *testing.F) {
	f.Add("name: \"a\"\n: b")
	f.Fuzz(func(t *testing.T, message string) {
		got := RejectionLine(message)
		if strings.ContainsAny(got, "\r\n\t") || got == "" && strings.TrimSpace(message) != "" {
			t.Errorf("RejectionLine(%q) = %q", message, got)
		}
	})
}
