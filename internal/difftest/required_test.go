package difftest

import (
	"flag"
	"slices"
	"testing"

	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	rbacv3 "github.com/envoyproxy/go-control-plane/envoy/config/rbac/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	matcherv3 "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"
	"google.golang.org/protobuf/proto"
)

var least = flag.Int("least", 0, "how often each arm of a condition has to hold and not to hold; 100 with 1,000 configurations")

// arms lists the messages whose every field is to be seen both ways. A field of RouteAction is seen when a request reaches a route that has it: the route
// takes the request, or does not.
var arms = map[string]struct {
	message proto.Message
	// elsewhere are the fields that hold conditions of another message, which is counted by itself, and the names of what conditions are about.
	elsewhere []string
	// except are the fields that cannot be seen both ways, each with the reason in Envoy's source.
	except map[string]string
}{
	"RouteMatch":            {message: &routev3.RouteMatch{}, elsewhere: []string{"headers", "query_parameters", "cookies", "dynamic_metadata", "filter_state"}},
	"HeaderMatcher":         {message: &routev3.HeaderMatcher{}, elsewhere: []string{"name"}},
	"QueryParameterMatcher": {message: &routev3.QueryParameterMatcher{}, elsewhere: []string{"name"}},
	"StringMatcher": {message: &matcherv3.StringMatcher{}, except: map[string]string{
		"custom": "an extension (matchers.h, getExtensionStringMatcher), of which there is Lua only",
	}},
	"RouteAction": {message: &routev3.RouteAction{}, except: map[string]string{
		"cluster_specifier_plugin":        "names a plugin, an extension that chooses by code of its own (config_impl.cc, cluster_specifier_plugin_)",
		"inline_cluster_specifier_plugin": "as cluster_specifier_plugin",
	}},
	"FilterChainMatch": {message: &listenerv3.FilterChainMatch{}, except: map[string]string{
		"address_suffix": "a listener with it is refused (filter_chain_manager_impl.cc, \"contains unimplemented fields\")",
		"suffix_len":     "as address_suffix",
	}},
	"Permission": {message: &rbacv3.Permission{}, except: map[string]string{
		"any": "always holds (rbac/matchers.h, AlwaysMatcher)", "matcher": "an extension (rbac/matchers.cc, MatcherExtensionFactory), of which there is the upstream's address only",
	}},
	"Principal": {message: &rbacv3.Principal{}, except: map[string]string{
		"any": "always holds (rbac/matchers.h, AlwaysMatcher)", "custom": "an extension (rbac/principals, PrincipalExtensionFactory), of which there is the certificate's subject name only",
	}},
}

// TestExceptions holds the fields that are not seen to ten at most.
func TestExceptions(t *testing.T) {
	n := 0
	for _, arm := range arms {
		n += len(arm.except)
	}
	if n > 10 {
		t.Errorf("%d fields are excepted, want at most 10", n)
	}
}

// require fails the test where an arm was seen too seldom.
func (c coverage) require(t *testing.T, names ...string) {
	t.Helper()
	for _, name := range names {
		fields := arms[name].message.ProtoReflect().Descriptor().Fields()
		for i := range fields.Len() {
			field := string(fields.Get(i).Name())
			if _, left := arms[name].except[field]; left || slices.Contains(arms[name].elsewhere, field) {
				continue
			}
			n := c[name+"."+field]
			if n == nil {
				n = new([2]int)
			}
			if min(n[0], n[1]) < *least {
				t.Errorf("%s.%s held %d times and did not %d times, want %d of each", name, field, n[0], n[1], *least)
			}
		}
	}
}
