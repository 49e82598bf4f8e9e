package jwt_test

import (
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/meshlark/meshlark/xds/jwt"
	"github.com/meshlark/meshlark/xds/match"
	"github.com/meshlark/meshlark/xds/rawjson"
)

var (
	b64  = base64.RawURLEncoding.EncodeToString
	key  = ed25519.NewKeyFromSeed([]byte("thirty-two bytes make a good seed"[:32]))
	now  = time.Unix(1_700_000_000, 0)
	jwks = `{\"keys\":[{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"kid\":\"k\",\"x\":\"` + b64(key.Public().(ed25519.PublicKey)) + `\"}]}`
)

// token signs claims. Changes are merged over good ones; nil takes one out.
func token(changes map[string]any) string {
	claims := map[string]any{"iss": "i", "sub": "alice", "aud": "a", "exp": now.Unix() + 600}
	for name, v := range changes {
		if claims[name] = v; v == nil {
			delete(claims, name)
		}
	}
	payload, err := json.Marshal(claims)
	if err != nil {
		panic(err)
	}
	signed := b64([]byte(`{"alg":"EdDSA","kid":"k"}`)) + "." + b64(payload)
	return signed + "." + b64(ed25519.Sign(key, []byte(signed)))
}

// filter is a filter with one provider, p, and one rule for every request.
func filter(provider, requires string) *jwt.Filter {
	return jwt.New("jwt", rawjson.Value(`{"providers":{"p":{"issuer":"i","local_jwks":{"inline_string":"`+jwks+`"}`+provider+`}},
		"requirement_map":{"named":{"provider_name":"p"}},"rules":[{"match":{"prefix":"/open"}},{"match":{"prefix":"/"},"requires":`+requires+`}]}`))
}

func with(tokens ...string) *match.Request {
	r := &match.Request{Method: "GET", Path: "/x?b=2&a=1"}
	for _, t := range tokens {
		r.Headers = append(r.Headers, match.Header{Name: "authorization", Value: "Bearer " + t})
	}
	return r
}

const one = `{"provider_name":"p"}`

func TestCheck(t *testing.T) {
	good := token(nil)
	for _, tc := range []struct {
		what, provider, requires string
		request                  *match.Request
		want                     string // details, or the answer when it passes
	}{
		{"good", ``, one, with(good), "yes"},
		{"none", ``, one, with(), "Jwt_is_missing"},
		{"none, for an open path", ``, one, &match.Request{Path: "/open/x"}, "yes: its rule requires nothing"},
		{"expired", ``, one, with(token(map[string]any{"exp": now.Unix() - 61})), "Jwt_is_expired"},
		{"expired within the allowance", ``, one, with(token(map[string]any{"exp": now.Unix() - 60})), "yes"},
		{"expired beyond a smaller one", `,"clock_skew_seconds":5`, one, with(token(map[string]any{"exp": now.Unix() - 6})), "Jwt_is_expired"},
		{"not yet valid", ``, one, with(token(map[string]any{"nbf": now.Unix() + 61})), "Jwt_not_yet_valid"},
		{"another issuer", ``, one, with(token(map[string]any{"iss": "j"})), "Jwt_issuer_is_not_configured"},
		{"another audience", `,"audiences":["b"]`, one, with(good), "Audiences_in_Jwt_are_not_allowed"},
		{"one of its audiences", `,"audiences":["https://b/","c"]`, one, with(token(map[string]any{"aud": []string{"x", "b"}})), "yes"},
		{"audiences of the requirement", `,"audiences":["a"]`, `{"provider_and_audiences":{"provider_name":"p","audiences":["b"]}}`, with(good), "Audiences_in_Jwt_are_not_allowed"},
		{"a signature of nobody", ``, one, with(good[:strings.LastIndexByte(good, '.')] + "." + b64(make([]byte, 64))), "Jwt_verification_fails"},
		{"no token at all", ``, one, with("x.y"), "Jwt_is_not_in_the_form_of_Header.Payload.Signature_with_two_dots_and_3_sections"},
		{"one bad of two", ``, one, &match.Request{Path: "/?access_token=" + token(map[string]any{"iss": "j"}), Headers: with(good).Headers}, "Jwt_issuer_is_not_configured"},
		{"in a cookie", `,"from_cookies":["t"]`, one, &match.Request{Path: "/", Headers: match.Headers{{Name: "cookie", Value: "t=" + good}}}, "yes"},
		{"in a parameter", ``, one, &match.Request{Path: "/?access_token=" + good}, "yes"},
		{"elsewhere", `,"from_headers":[{"name":"X-T"}]`, one, with(good), "Jwt_is_missing"},
		{"subject", `,"subjects":{"exact":"bob"}`, one, with(good), "Jwt_verification_fails"},
		{"without an end", `,"require_expiration":true`, one, with(token(map[string]any{"exp": nil})), "Jwt_verification_fails"},
		{"too long a life", `,"max_lifetime":"599s"`, one, with(good), "Jwt_verification_fails"},
		{"missing, allowed", ``, `{"allow_missing":{}}`, with(), "yes"},
		{"faulty, where only missing is allowed", ``, `{"allow_missing":{}}`, with("x"), "Jwt_is_not_in_the_form_of_Header.Payload.Signature_with_two_dots_and_3_sections"},
		{"faulty, allowed", ``, `{"allow_missing_or_failed":{}}`, with("x"), "yes"},
		{"any", ``, `{"requires_any":{"requirements":[{"provider_name":"p"},{"allow_missing":{}}]}}`, with(), "yes"},
		{"any, with a faulty token", ``, `{"requires_any":{"requirements":[{"provider_name":"p"},{"allow_missing":{}}]}}`, with("x.y.z"), "Jwt_header_is_an_invalid_Base64url_encoded"},
		{"all, the second finding the token taken off", ``, `{"requires_all":{"requirements":[{"provider_name":"p"},{"provider_name":"p"}]}}`, with(good), "Jwt_is_missing"},
		{"a provider there is not", ``, `{"provider_name":"q"}`, with(good), "Jwt_is_missing"},
	} {
		got := filter(tc.provider, tc.requires).Check(tc.request, nil, now)
		text := got.Step.Answer
		if got.Code != 0 {
			text = strings.TrimSuffix(strings.TrimPrefix(got.Details, "jwt_authn_access_denied{"), "}")
		}
		if text != tc.want {
			t.Errorf("%s: %q, want %q", tc.what, text, tc.want)
		}
		if wants403 := strings.HasPrefix(tc.want, "Audiences"); got.Code != 0 && (got.Code == 403) != wants403 {
			t.Errorf("%s: status %d", tc.what, got.Code)
		}
	}
}

// What cannot be verified passes, and the decision says so.
func TestUnverified(t *testing.T) {
	f := jwt.New("jwt", rawjson.Value(`{"providers":{"p":{"issuer":"i","remote_jwks":{"http_uri":{}}}},"rules":[{"match":{"prefix":"/"},"requires":{"provider_name":"p"}}]}`))
	got := f.Check(with(token(nil)), nil, now)
	if got.Code != 0 || !got.Unverified || len(got.Step.Unmodelled) != 1 {
		t.Errorf("a token whose keys are fetched: %+v", got)
	}
	if got := f.Check(with(token(map[string]any{"iss": "j"})), nil, now); got.Code != 401 || got.Unverified {
		t.Errorf("the issuer decides whatever the keys are: %+v", got)
	}
	got = filter("", one).Check(with(token(map[string]any{"exp": 1})), nil, time.Time{})
	if got.Code != 0 || len(got.Step.Unmodelled) != 1 {
		t.Errorf("without a time: %+v", got)
	}
	hidden := jwt.New("jwt", rawjson.Value(`{"providers":{"p":{"issuer":"i","local_jwks":{"inline_string":"{\"keys\":[{\"kty\":\"oct\",\"k\":\"[redacted]\"}]}"}}},"rules":[{"match":{"prefix":"/"},"requires":{"provider_name":"p"}}]}`))
	if got := hidden.Check(with(token(nil)), nil, now); got.Code != 0 || !got.Unverified {
		t.Errorf("a key that was taken out of the configuration: %+v", got)
	}
}

func TestPerRoute(t *testing.T) {
	f := filter("", one)
	for perRoute, want := range map[string]string{
		`{"disabled":true}`:            "",
		`{"requirement_name":"named"}`: "jwt_authn_access_denied{Jwt_is_missing}",
		`{"requirement_name":"x y"}`:   "jwt_authn_access_denied{Wrong_requirement_name:_x_y._It_should_be_one_of_[named]}",
	} {
		if got := f.Check(with(), rawjson.Value(perRoute), now); got.Details != want {
			t.Errorf("%s: details %q, want %q", perRoute, got.Details, want)
		}
	}
}

// What becomes of a request that passes.
func TestChanges(t *testing.T) {
	f := filter(`,"forward_payload_header":"X-Payload","claim_to_headers":[{"header_name":"X-Sub","claim_name":"sub"},{"header_name":"x-n","claim_name":"o.n"},{"header_name":"x-none","claim_name":"none"}],
		"payload_in_metadata":"payload","header_in_metadata":"header","normalize_payload_in_metadata":{"space_delimited_claims":["scope"]},"clear_route_cache":true`, one)
	r := with(token(map[string]any{"scope": "read write", "o": map[string]any{"n": 1.5}}))
	r.Headers = append(r.Headers, match.Header{Name: "x-none", Value: "forged"})
	got := f.Check(r, nil, now)
	headers, path := r.Headers, r.Path
	for _, c := range got.Changes {
		headers, path = c.Apply(headers, path)
	}
	want := match.Headers{{Name: "x-payload", Value: strings.Split(r.Headers[0].Value, ".")[1]}, {Name: "x-sub", Value: "alice"}, {Name: "x-n", Value: "1.500000"}}
	if diff := cmp.Diff(want, headers); diff != "" || path != r.Path || !got.Again {
		t.Errorf("path %s, again %t, headers (-want +got):\n%s", path, got.Again, diff)
	}
	payload, _ := got.Metadata["payload"].(map[string]any)
	if diff := cmp.Diff([]any{"read", "write"}, payload["scope"]); diff != "" || payload["sub"] != "alice" {
		t.Errorf("metadata %v", got.Metadata)
	}
	if len(r.Headers) != 2 {
		t.Errorf("the request given was changed: %v", r.Headers)
	}
	r = &match.Request{Path: "/x?b=2&access_token=" + token(nil) + "&a=%31"}
	for _, c := range filter("", one).Check(r, nil, now).Changes {
		_, path = c.Apply(nil, r.Path)
	}
	if path != "/x?a=1&b=2" {
		t.Errorf("without its token the path is %s", path)
	}
}

// Headers the filter sets are taken off whatever becomes of the request, since 1.40.
func TestForged(t *testing.T) {
	f := filter(`,"forward_payload_header":"x-payload"`, one)
	forged := &match.Request{Path: "/open", Headers: match.Headers{{Name: "x-payload", Value: "forged"}}}
	if got := f.Check(forged, nil, now); len(got.Changes) != 1 || !got.Changes[0].Remove {
		t.Errorf("changes %v", got.Changes)
	}
	forged.Envoy = match.Version{Major: 1, Minor: 39}
	if got := f.Check(forged, nil, now); len(got.Changes) != 0 {
		t.Errorf("in 1.39: changes %v", got.Changes)
	}
}

// A failed status is written for the provider whose token it is, and for a missing token only where there is one provider.
func TestFailedStatus(t *testing.T) {
	const provider = `{"issuer":"i","remote_jwks":{},"failed_status_in_metadata":"failed"}`
	for _, tc := range []struct {
		providers string
		request   *match.Request
		want      any // code
	}{
		{`"p":` + provider, with(), 1.},
		{`"p":` + provider, with("x"), 4.},
		{`"p":` + provider + `,"q":{"issuer":"j","remote_jwks":{}}`, with(), nil},
		{`"p":` + provider + `,"q":{"issuer":"j","remote_jwks":{}}`, with("x"), 4.},
		{`"p":` + provider + `,"q":{"issuer":"j","remote_jwks":{}}`, with(token(map[string]any{"iss": "k"})), 24.},
	} {
		f := jwt.New("jwt", rawjson.Value(`{"providers":{`+tc.providers+`},"rules":[{"match":{"prefix":"/"},"requires":{"requires_any":{"requirements":[{"provider_name":"p"},{"allow_missing_or_failed":{}}]}}}]}`))
		got := f.Check(tc.request, nil, now)
		failed, _ := got.Metadata["failed"].(map[string]any)
		if failed["code"] != tc.want || got.Code != 0 {
			t.Errorf("%s: metadata %v, status %d; want code %v", tc.providers, got.Metadata, got.Code, tc.want)
		}
	}
}

func TestKeys(t *testing.T) {
	secret := []byte("a secret")
	mac := hmac.New(sha256.New, secret)
	signed := b64([]byte(`{"alg":"HS256"}`)) + "." + b64([]byte(`{}`))
	mac.Write([]byte(signed))
	tok, status := jwt.Parse(signed + "." + b64(mac.Sum(nil)))
	if status != jwt.OK {
		t.Fatal(status)
	}
	for set, want := range map[string]jwt.Status{
		`{"keys":[{"kty":"oct","k":"` + b64(secret) + `"}]}`:                                      jwt.OK,
		`{"keys":[{"kty":"oct","alg":"HS256","kid":"x","k":"` + b64(secret) + `"}]}`:              jwt.OK,
		`{"keys":[{"kty":"oct","alg":"HS512","k":"` + b64(secret) + `"}]}`:                        jwt.NoSuchKey,
		`{"keys":[{"kty":"oct","k":"` + b64([]byte("another")) + `"}]}`:                           jwt.NotVerified,
		`{"keys":[{"kty":"oct","k":""},{"kty":"oct","k":"` + b64(secret) + `"},{"kty":"later"}]}`: jwt.OK,
	} {
		keys, err := jwt.ParseKeys([]byte(set))
		if err != nil {
			t.Errorf("%s: %v", set, err)
			continue
		}
		if got, known := keys.Verify(tok); got != want || !known {
			t.Errorf("%s: %v (%t), want %v", set, got, known, want)
		}
	}
	for _, set := range []string{``, `[]`, `{}`, `{"keys":[]}`, `{"keys":[{"kty":"RSA","n":"AQAB","e":"AQAB"}]}`, `{"keys":[{"kty":"EC","x":"AA","y":"AA"}]}`} {
		if _, err := jwt.ParseKeys([]byte(set)); err == nil {
			t.Errorf("%s: keys where there are none", set)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add(token(nil))
	f.Add("..")
	f.Add("e30.e30.")
	f.Fuzz(func(t *testing.T, text string) {
		if tok, status := jwt.Parse(text); (tok == nil) == (status == jwt.OK) {
			t.Errorf("token %v with status %v", tok, status)
		}
	})
}

func FuzzCheck(f *testing.F) {
	f.Add([]byte(`{"providers":{"p":{"issuer":"i","local_jwks":{"inline_string":"`+jwks+`"}}},"rules":[{"match":{"prefix":"/"},"requires":{"requires_all":{"requirements":[{"provider_name":"p"},{"allow_missing":{}}]}}}]}`), token(nil), "/?access_token=x")
	f.Add([]byte(`{"providers":{"p":{"from_params":["t"],"forward_payload_header":"x"}},"rules":[{"match":{"safe_regex":{"regex":"("}},"requires":{"extract_only_without_validation":{}}}]}`), "", "")
	f.Fuzz(func(t *testing.T, config []byte, text, path string) {
		r := with(text)
		r.Path = path
		got := jwt.New("f", config).Check(r, nil, now)
		if (got.Code == 0) != (got.Details == "") || got.Step.Answer == "" {
			t.Errorf("status %d with details %q and answer %q", got.Code, got.Details, got.Step.Answer)
		}
		for _, c := range got.Changes {
			c.Apply(r.Headers, r.Path)
		}
	})
}
