package difftest

import (
	"cmp"
	"maps"
	"slices"
	"strings"
)

// filterRequest makes a request that the filters of a listener have something to do with.
func (p picker) filterRequest(l dict, ring *keyring) request {
	r := request{Method: one(p, "GET", "GET", "GET", "POST", "OPTIONS"), Host: "a.com", Path: one(p, routePaths...) + one(p, "", "", "/y", "x", "?q=1", "?b=2&a=1", ";k=v", ";k=v/y")}
	if p.chance(.03) {
		r.Path = "/none"
	}
	var providers dict
	answersPreflights := false
	waits := false // for the end of a request, which one that wants an upgrade does not have
	for _, f := range managerOf(l)["http_filters"].([]any) {
		answersPreflights = answersPreflights || f.(dict)["name"] == "cors"
		waits = waits || slices.Contains([]any{"health", "buffer"}, f.(dict)["name"])
		config := f.(dict)["typed_config"].(dict)
		if inner, ok := config["extension_config"].(dict); ok {
			config = inner["typed_config"].(dict)
		}
		if list, ok := config["providers"].(dict); ok {
			providers = list
		}
	}
	if providers != nil {
		for range one(p, 0, 1, 1, 1, 1, 1, 1, 2) {
			p.addToken(&r, providers[one(p, slices.Sorted(maps.Keys(providers))...)].(dict), ring)
		}
	}
	for _, h := range []struct {
		name        string
		probability float64
		value       string
	}{
		{"x-mut", .3, one(p, "one", "two")}, {"x-mut2", .3, one(p, "one", "5")}, {"x-base64", .2, one(p, "b25l", "NQ==", "NQ", "!")}, {"x-rule", .2, "1"}, {"x-fault", .4, "1"}, {"x-skip", .2, "yes"}, {"x-health", .1, "1"}, {"x-inside", .2, "1"},
		{"x-envoy-fault-abort-request", .35, one(p, "418", "503", "200", "99", "x")}, {"x-envoy-fault-abort-grpc-request", .1, "7"},
		{"x-envoy-fault-abort-request-percentage", .1, one(p, "0", "100", "x")}, {"x-envoy-fault-delay-request", .2, one(p, "1", "0", "x")},
		{"x-envoy-downstream-service-node", .2, one(p, "node-1", "node-2")}, {"x-envoy-downstream-service-cluster", .1, "client"},
		{"x-envoy-internal", .2, "true"}, {"x-envoy-ip-tags", .2, "tag"}, {"x-claim-sub", .1, "alice"}, {"x-payload", .1, "forged"},
		{"x-real-ip", .3, one(p, "20.0.0.9", "10.0.0.7", "none")}, {"x-forwarded-proto", .2, one(p, "https", "http", "HTTPS", "ftp")},
		{"x-forwarded-port", .1, "7"},
		{"x-forwarded-for", .5, one(p, "20.0.0.1", "10.0.0.7", "10.0.0.7,20.0.0.1", "20.0.0.1, 10.0.0.7", "30.0.0.1,20.0.0.1,10.0.0.7", "none", "20.0.0.1,", " 10.1.1.1 ", "fd00::1")},
	} {
		if p.chance(h.probability) {
			r.set(h.name, h.value)
		}
	}
	if answersPreflights && p.chance(.35) {
		r.Method = "OPTIONS"
	}
	if r.Method == "OPTIONS" || p.chance(.2) {
		p.header(&r, .9, "origin", one(p, origins...))
		p.header(&r, .85, "access-control-request-method", "PUT")
		p.header(&r, .3, "access-control-request-headers", "x-b")
	}
	if p.chance(.05) && r.Method == "GET" && !waits {
		r.set("connection", one(p, "Upgrade", "keep-alive, upgrade"))
		r.set("upgrade", one(p, "websocket", "other"))
	}
	return r
}

func (p picker) header(r *request, probability float64, name, value string) {
	if p.chance(probability) {
		r.set(name, value)
	}
}

// addToken puts a token where a provider looks for it.
func (p picker) addToken(r *request, provider dict, ring *keyring) {
	token := ring.token(p, cmp.Or(provider["issuer"].(string), "anybody"))
	var places []func()
	add := func(place func()) { places = append(places, place) }
	if list, ok := provider["from_headers"].([]any); ok {
		h := list[0].(dict)
		add(func() {
			r.Headers = append(r.Headers, [2]string{strings.ToLower(h["name"].(string)), h["value_prefix"].(string) + token})
		})
	}
	param := func(name string) func() {
		return func() {
			separator := "?"
			if strings.Contains(r.Path, "?") {
				separator = "&"
			}
			r.Path += separator + name + "=" + strings.ReplaceAll(token, "%", "")
		}
	}
	if list, ok := provider["from_params"].([]any); ok {
		add(param(list[0].(string)))
	}
	if provider["from_cookies"] != nil {
		add(func() { r.set("cookie", one(p, "", "a=b; ")+"tok="+token) })
	}
	if len(places) == 0 || p.chance(.1) {
		add(func() {
			r.set("authorization", one(p, "Bearer ", "Bearer ", "Bearer ", "bearer ", "Basic Bearer  ")+token)
		})
		if p.chance(.2) {
			add(param("access_token"))
		}
	}
	one(p, places...)()
}
