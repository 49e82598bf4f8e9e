package cors_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/meshlark/meshlark/xds/cors"
	"github.com/meshlark/meshlark/xds/match"
	"github.com/meshlark/meshlark/xds/rawjson"
)

func request(method, origin string, ask bool) *match.Request {
	r := &match.Request{Method: method, Path: "/"}
	if origin != "" {
		r.Headers = append(r.Headers, match.Header{Name: "origin", Value: origin})
	}
	if ask {
		r.Headers = append(r.Headers, match.Header{Name: "access-control-request-method", Value: "PUT"})
	}
	return r
}

func TestCheck(t *testing.T) {
	const policy = `{"allow_origin_string_match":[{"exact":"https://a"}],"allow_methods":"*","expose_headers":"x","allow_credentials":true}`
	preflight := request("OPTIONS", "https://a", true)
	for _, tc := range []struct {
		what     string
		policies []string
		request  *match.Request
		share    float64
		headers  []string
	}{
		{"no policy", nil, preflight, 0, nil},
		{"a preflight", []string{policy}, preflight, 1, []string{"allow-origin=https://a", "allow-credentials=true", "expose-headers=x", "allow-methods=PUT"}},
		{"OPTIONS without a question", []string{policy}, request("OPTIONS", "https://a", false), 0, []string{"allow-origin=https://a", "allow-credentials=true", "expose-headers=x"}},
		{"another method", []string{policy}, request("GET", "https://a", true), 0, []string{"allow-origin=https://a", "allow-credentials=true", "expose-headers=x"}},
		{"no origin", []string{policy}, request("OPTIONS", "", true), 0, nil},
		{"an origin that is not allowed", []string{policy}, request("OPTIONS", "https://b", true), 0, nil},
		{"answered all the same", []string{`{"forward_not_matching_preflights":false}`, policy}, request("OPTIONS", "https://b", true), 1, []string{"allow-credentials=true", "allow-methods=PUT"}},
		{"the first policy with origins decides", []string{`{"allow_origin_string_match":[{"exact":"https://b"}]}`, policy}, preflight, 0, nil},
		{"the first policy decides whether it is on", []string{`{"filter_enabled":{"default_value":{"numerator":0}}}`, policy}, preflight, 0, nil},
		{"half", []string{`{"filter_enabled":{"default_value":{"numerator":50}}}`, policy}, preflight, .5, []string{"allow-origin=https://a", "allow-credentials=true", "expose-headers=x", "allow-methods=PUT"}},
		{"by runtime", []string{`{"filter_enabled":{"default_value":{"numerator":0},"runtime_key":"on"}}`, policy}, preflight, 1, []string{"allow-origin=https://a", "allow-credentials=true", "expose-headers=x", "allow-methods=PUT"}},
		{"any origin", []string{`{"allow_origin_string_match":[{"exact":"*"}]}`}, preflight, 1, []string{"allow-origin=https://a"}},
	} {
		var policies []rawjson.Value
		for _, p := range tc.policies {
			policies = append(policies, rawjson.Value(p))
		}
		tc.request.Runtime = map[string]any{"on": 100}
		d := cors.Check("cors", policies, tc.request)
		var headers []string
		for _, h := range d.Headers {
			headers = append(headers, strings.TrimPrefix(h.Name, "access-control-")+"="+h.Value)
		}
		if d.Share != tc.share || d.Step.Answer == "" {
			t.Errorf("%s: share %v (%s), want %v", tc.what, d.Share, d.Step.Answer, tc.share)
		}
		if diff := cmp.Diff(tc.headers, headers); diff != "" {
			t.Errorf("%s: headers (-want +got):\n%s", tc.what, diff)
		}
	}
}

func FuzzCheck(f *testing.F) {
	f.Add([]byte(`{"allow_origin_string_match":[{"exact":"*"}],"allow_private_network_access":true}`), "https://a", "PUT")
	f.Fuzz(func(t *testing.T, policy []byte, origin, method string) {
		r := request("OPTIONS", origin, method != "")
		if d := cors.Check("cors", []rawjson.Value{policy, policy}, r); d.Share < 0 || d.Share > 1 {
			t.Errorf("share %v", d.Share)
		}
	})
}
