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

// Credentials are known by the names they are given to: fields of extensions and of Envoy's that lack the mark, headers, variables of an environment, and
// assignments in scripts and in JSON inside a string.
func TestNamedCredentials(t *testing.T) {
	for _, test := range []struct{ in, want string }{
		{`{"client_secret":"s3"}`, `{"client_secret":"[redacted]"}`},
		{`{"refresh_token":"s3","idToken":"s4"}`, `{"refresh_token":"[redacted]","idToken":"[redacted]"}`},
		{`{"apiKey":"s3","passphrase":"p"}`, `{"apiKey":"[redacted]","passphrase":"[redacted]"}`},
		{`{"call_credentials":[{"access_token":"a"},{"google_refresh_token":"b"},{"google_iam":{"authorization_token":"c","authority_selector":"d"}}]}`,
			`{"call_credentials":[{"access_token":"[redacted]"},{"google_refresh_token":"[redacted]"},{"google_iam":{"authorization_token":"[redacted]","authority_selector":"d"}}]}`},
		{`{"header":{"key":"Authorization","value":"Api-Token dt0c01"}}`, `{"header":{"key":"Authorization","value":"Api-Token [redacted]"}}`},
		{`{"header":{"key":"authorization","value":"Bearer a1"}}`, `{"header":{"key":"authorization","value":"Bearer [redacted]"}}`},
		{`{"header":{"value":"k1","key":"x-api-key"},"append_action":"ADD_IF_ABSENT"}`, `{"header":{"value":"[redacted]","key":"x-api-key"},"append_action":"ADD_IF_ABSENT"}`},
		{`{"initial_metadata":[{"key":"x-auth-token","value":"t"},{"key":"tenant","value":"t"}]}`, `{"initial_metadata":[{"key":"x-auth-token","value":"[redacted]"},{"key":"tenant","value":"t"}]}`},
		{`{"environment_variables":{"key_values":{"API_TOKEN":"t","LOG_LEVEL":"debug"}}}`, `{"environment_variables":{"key_values":{"API_TOKEN":"[redacted]","LOG_LEVEL":"debug"}}}`},
		{`{"value":"{\"client_secret\": \"s3\", \"client_id\": \"web\"}"}`, `{"value":"{\"client_secret\": \"[redacted]\", \"client_id\": \"web\"}"}`},
		{`{"inline_code":"local t = {}\nt['password'] = 'hunter2'\nt.apiKey = \"k\"\n"}`, `{"inline_code":"local t = {}\nt['password'] = '[redacted]'\nt.apiKey = \"[redacted]\"\n"}`},
		{`{"inline_code":"h:add('authorization', 'Bearer 0123456789abcdef01')\n"}`, `{"inline_code":"h:add('authorization', 'Bearer [redacted]')\n"}`},
		{`{"inline_string":"{\"keys\":[{\"kty\":\"oct\",\"k\":\"c2hvcnQ\"}]}"}`, `{"inline_string":"{\"keys\":[{\"kty\":\"oct\",\"k\":\"[redacted]\"}]}"}`},
		// What only looks alike stays.
		{`{"header":{"key":"authorization","value":"Bearer %DYNAMIC_METADATA(a:b)%"}}`, `{"header":{"key":"authorization","value":"Bearer %DYNAMIC_METADATA(a:b)%"}}`},
		{`{"header":{"key":"x-tokens-left","value":"3"}}`, `{"header":{"key":"x-tokens-left","value":"3"}}`},
		{`{"cookie_names":{"bearer_token":"BearerToken","refresh_token":"RefreshToken","id_token":"IdToken"}}`, `{"cookie_names":{"bearer_token":"BearerToken","refresh_token":"RefreshToken","id_token":"IdToken"}}`},
		{`{"token_secret":{"name":"token"},"hmac_secret":{"name":"hmac"}}`, `{"token_secret":{"name":"token"},"hmac_secret":{"name":"hmac"}}`},
		{`{"inline_code":"-- the password: see the manual\nlocal token_count = 3"}`, `{"inline_code":"-- the password: see the manual\nlocal token_count = 3"}`},
		{`{"text":"Bearer authentication-is-required here\n"}`, `{"text":"Bearer authentication-is-required here\n"}`},
	} {
		out, n, err := Compact(nil, []byte(test.in))
		if err != nil || string(out) != test.want {
			t.Errorf("%s\n gives %s, error %v\n want  %s", test.in, out, err, test.want)
		}
		if changed := test.in != test.want; changed != (n > 0) {
			t.Errorf("%.60s: %d values counted as replaced", test.in, n)
		}
		again, n, err := Compact(nil, out)
		if err != nil || string(again) != string(out) || n != 0 {
			t.Errorf("%s\n a second time gives %s, %d more replaced, error %v", out, again, n, err)
		}
	}
}

// Text that is no JSON is cleared too: an error that quotes what was refused, and the line that tells what a text is that was no dump.
func TestText(t *testing.T) {
	key := "-----BEGIN PRIVATE KEY-----\nMIIBVgIBADANBgkqhkiG9w0BAQEFAASCAUAwggE8AgEAAkEAq7BFUpkGp3+LQmlQ\n-----END PRIVATE KEY-----"
	if got, want := Text("bad key \""+key+"\" (x)"), `bad key "[redacted]" (x)`; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got, want := Text("line 1\n\tline \"2\" \x80"), "line 1\n\tline \"2\" \x80"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got, want := FirstLine([]byte("\n  Bearer 0123456789abcdef01\nmore")), "Bearer [redacted]"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	long := "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJ4IiwiYXVkIjoieSJ9." + strings.Repeat("c2ln", 100)
	if got, want := FirstLine([]byte(long)), "[redacted]"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
