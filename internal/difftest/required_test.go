package difftest

import (
	"flag"
	"testing"

	listenerv3 "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	rbacv3 "github.com/envoyproxy/go-control-plane/envoy/config/rbac/v3"
	routev3 "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	matcherv3 "github.com/envoyproxy/go-control-plane/envoy/type/matcher/v3"
	"google.golang.org/protobuf/proto"
)

var least = flag.Int("least", 0, "how often each arm of a condition has to hold and not to hold; 100 with 1,000 configurations")

// arms lists the messages whose every field is to be seen both ways, and the fields that cannot be.
var arms = map[string]struct {
	message proto.Message
	except  map[string]string // field and why
}{
	"RouteMatch": {&routev3.RouteMatch{}, map[string]string{
		"headers": "counted as HeaderMatcher", "query_parameters": "counted as QueryParameterMatcher", "cookies": "counted as CookieMatcher",
		"dynamic_metadata": "counted as ValueMatcher", "filter_state": "counted as FilterStateMatcher",
	}},
	"HeaderMatcher":         {&routev3.HeaderMatcher{}, map[string]string{"name": "no condition"}},
	"QueryParameterMatcher": {&routev3.QueryParameterMatcher{}, map[string]string{"name": "no condition"}},
	"StringMatcher":         {&matcherv3.StringMatcher{}, map[string]string{"custom": "an extension, of which this Envoy has Lua only"}},
	"FilterChainMatch": {&listenerv3.FilterChainMatch{}, map[string]string{
		"address_suffix": "Envoy refuses it (filter_chain_manager_impl.cc)", "suffix_len": "Envoy refuses it (filter_chain_manager_impl.cc)",
	}},
	"Permission": {&rbacv3.Permission{}, map[string]string{
		"any": "always holds", "matcher": "an extension point, of which upstream IP and port is the only one",
	}},
	"Principal": {&rbacv3.Principal{}, map[string]string{"any": "always holds", "custom": "an extension point"}},
}

// require fails the test where an arm was seen too seldom.
func (c coverage) require(t *testing.T, names ...string) {
	t.Helper()
	for _, name := range names {
		fields := arms[name].message.ProtoReflect().Descriptor().Fields()
		for i := range fields.Len() {
			field := string(fields.Get(i).Name())
			if _, left := arms[name].except[field]; left {
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
