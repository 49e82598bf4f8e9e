package redact

import (
	"encoding/base64"
	"fmt"
	"strings"
	"testing"
)

func TestTokens(t *testing.T) {
	part := func(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }
	jwt := part(`{"alg":"RS256","kid":"x"}`) + "." + part(`{"sub":"system:serviceaccount:default:web"}`) + "." + part("a signature of some length")
	for _, test := range []struct{ in, want string }{
		{`{"key":"authorization","value":"Bearer ` + jwt + `"}`, `{"key":"authorization","value":"Bearer [redacted]"}`},
		{`{"value":"Bearer 0123456789abcdef0123456789abcdef"}`, `{"value":"Bearer [redacted]"}`},
		{`{"value":"Basic dXNlcjpwYXNz"}`, `{"value":"Basic [redacted]"}`},
		{`{"value":"Basic dXNlcm5hbWU6cGFzc3dvcmQ0cGFzc3dvcmQ="}`, `{"value":"Basic [redacted]"}`},
		{`{"args":"--token=` + jwt + ` --verbose"}`, `{"args":"--token=[redacted] --verbose"}`},
		{`{"env":"A=1\nTOKEN=` + jwt + `"}`, `{"env":"A=1\nTOKEN=[redacted]"}`},
		// What only looks alike stays.
		{`{"value":"Bearer tokens are checked by the provider"}`, `{"value":"Bearer tokens are checked by the provider"}`},
		{`{"name":"outbound|9080||reviews.eyJ.svc.cluster.local and a longer name"}`, `{"name":"outbound|9080||reviews.eyJ.svc.cluster.local and a longer name"}`},
	} {
		out, n, err := Compact(nil, []byte(test.in))
		if err != nil || string(out) != test.want {
			t.Errorf("%s\n gives %s, error %v\n want %s", test.in, out, err, test.want)
		}
		if changed := test.in != test.want; changed != (n > 0) {
			t.Errorf("%.60s: %d values counted as replaced", test.in, n)
		}
	}
	long, _, err := Compact(nil, fmt.Appendf(nil, `{"a":%q}`, strings.Repeat("eyJ.", 1<<16)))
	if err != nil || !strings.Contains(string(long), "eyJ.eyJ.") {
		t.Errorf("a long string without a token: error %v", err)
	}
}
