package jwt

import (
	"cmp"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/meshlark/meshlark/xds/explain"
	"github.com/meshlark/meshlark/xds/match"
	"github.com/meshlark/meshlark/xds/rawjson"
)

// Limits on what a hostile configuration can ask for.
const (
	maxDepth = 64
	maxSteps = 2_000
)

// A check is one request on its way through requirements.
type check struct {
	filter     *Filter
	request    match.Request // as changed so far
	now        time.Time
	changes    []Change
	metadata   map[string]any
	candidates []explain.Candidate
	unmodelled []string
	unverified bool // a token was taken for good without its signature having been looked at
	again      bool // the route is to be looked up again
	steps      int
}

func (c *check) note(format string, args ...any) {
	if text := fmt.Sprintf(format, args...); !slices.Contains(c.unmodelled, text) {
		c.unmodelled = append(c.unmodelled, text)
	}
}

// require says what a requirement (JwtRequirement) comes to.
func (c *check) require(v rawjson.Value, depth int) Status {
	if c.steps++; depth > maxDepth || c.steps > maxSteps {
		c.note("requirements that are nested too deep or too many")
		return Missing
	}
	for kind, arg := range v.Members() {
		switch kind {
		case "provider_name", "providerName":
			return c.provider(arg.Text(), nil)
		case "provider_and_audiences", "providerAndAudiences":
			return c.provider(arg.Str("provider_name"), stringsOf(arg.Get("audiences")))
		case "requires_any", "requiresAny":
			return c.any(arg.Get("requirements"), depth)
		case "requires_all", "requiresAll":
			status := OK
			for one := range arg.Get("requirements").Elems() {
				if status = c.require(one, depth+1); status != OK {
					break
				}
			}
			return status
		case "allow_missing", "allowMissing":
			return c.anyProvider(false)
		case "allow_missing_or_failed", "allowMissingOrFailed":
			return c.anyProvider(true)
		case "extract_only_without_validation", "extractOnlyWithoutValidation":
			// A status that is not good is only told to the upstream.
			if status := c.anyProvider(false); status != OK && status != Missing && c.request.Envoy.AtLeast(1, 39) {
				name := match.Lower(cmp.Or(arg.Str("verification_status_header"), "x-jwt-signature-verified"))
				c.change(Change{Header: name, Remove: true})
				c.change(Change{Header: name, Value: "false"})
			}
			return OK
		}
		c.note("requirement %s", kind)
		return OK
	}
	return OK
}

func stringsOf(list rawjson.Value) []string {
	var out []string
	for v := range list.Elems() {
		out = append(out, v.Text())
	}
	return out
}

// any is requires_any: the first that is met ends it. When none is, an error other than a missing token and an unknown issuer is preferred.
func (c *check) any(list rawjson.Value, depth int) Status {
	allowMissing, allowFailed := false, false
	var others []rawjson.Value
	for one := range list.Elems() {
		switch {
		case len(one.Get("allow_missing_or_failed")) > 0:
			allowFailed = true
		case len(one.Get("allow_missing")) > 0:
			allowMissing = true
		default:
			others = append(others, one)
		}
	}
	if len(others) == 0 {
		return c.anyProvider(allowFailed)
	}
	final := Missing
	for _, one := range others {
		status := c.require(one, depth+1)
		if status == OK {
			return OK
		}
		if status != Missing && status != UnknownIssuer || final == Missing {
			final = status
		}
	}
	if allowFailed || allowMissing && final == Missing {
		return OK
	}
	return final
}

// provider asks for a token of one provider, meant for the audiences given, or else for the provider's own.
func (c *check) provider(name string, audiences []string) Status {
	p, ok := c.filter.providers[name]
	if !ok {
		c.note("provider %s, which is not configured", name)
		return Missing
	}
	if len(audiences) == 0 {
		audiences = stringsOf(p.body.Get("audiences"))
	}
	bodies := []rawjson.Value{p.body}
	status := c.verify(bodies, p, nil, func(*provider) []string { return audiences })
	c.tried("provider "+name, status)
	return status
}

// anyProvider takes tokens of any provider. Without a token it is met; with tokens that are faulty too when failed is set.
func (c *check) anyProvider(failed bool) Status {
	var bodies []rawjson.Value
	for _, name := range c.filter.names {
		bodies = append(bodies, c.filter.providers[name].body)
	}
	status := c.verify(bodies, nil, func(t *Token) *provider {
		for _, issuer := range [...]string{t.Issuer, ""} {
			for _, name := range c.filter.names {
				if p := c.filter.providers[name]; p.body.Str("issuer") == issuer {
					return p
				}
			}
		}
		return nil
	}, func(p *provider) []string { return stringsOf(p.body.Get("audiences")) })
	if failed || status == Missing {
		c.candidates = append(c.candidates, explain.Candidate{Name: "any provider, or none", Won: true, Why: status.String() + ", which is allowed"})
		return OK
	}
	c.tried("any provider, or none", status)
	return status
}

func (c *check) tried(name string, status Status) {
	c.candidates = append(c.candidates, explain.Candidate{Name: name, Won: status == OK, Why: status.String()})
}

// verify checks the tokens of a request, the last first. They are those of one provider and all have to be good; or, where own is nil, each is of the
// provider that byToken gives, a token may be missing, and only the last that is looked at counts.
func (c *check) verify(bodies []rawjson.Value, own *provider, byToken func(*Token) *provider, audiences func(*provider) []string) Status {
	for _, body := range bodies {
		c.strip(body)
	}
	tokens := extract(locations(bodies), &c.request)
	if len(tokens) == 0 {
		c.failed(nil, Missing)
		return Missing
	}
	status, p := Missing, own
	for i := len(tokens) - 1; i >= 0; i-- {
		if status = c.token(tokens[i], &p, byToken, audiences); status != OK {
			c.failed(p, status)
			if own != nil {
				break
			}
		}
	}
	return status
}

// strip takes off the headers a provider sets, so that no client can forge them.
func (c *check) strip(provider rawjson.Value) {
	remove := func(name string) {
		if name = match.Lower(name); len(c.request.Headers.Values(name)) > 0 {
			c.change(Change{Header: name, Remove: true})
		}
	}
	remove(provider.Str("forward_payload_header"))
	for claim := range provider.Get("claim_to_headers").Elems() {
		remove(claim.Str("header_name"))
	}
}

// failed writes a status into metadata where the provider wants it: the one whose token it is, or else the only one there is.
func (c *check) failed(p *provider, status Status) {
	if p == nil {
		if len(c.filter.names) != 1 {
			return
		}
		p = c.filter.providers[c.filter.names[0]]
	}
	if name := p.body.Str("failed_status_in_metadata"); name != "" {
		c.extracted(name, map[string]any{"code": float64(status), "message": status.String()})
	}
}

func (c *check) extracted(name string, value any) {
	if c.metadata == nil {
		c.metadata = map[string]any{}
	}
	c.metadata[name] = value
}

// token checks one token and does what its provider wants done with a good one. at is the provider, which is found by the token when byToken is given.
func (c *check) token(f found, at **provider, byToken func(*Token) *provider, audiences func(*provider) []string) Status {
	t, status := Parse(f.text)
	if status != OK {
		return status
	}
	if !f.at.allows(t.Issuer) {
		return UnknownIssuer
	}
	if byToken != nil {
		*at = byToken(t)
	}
	p := *at
	if p == nil {
		return UnknownIssuer
	}
	if status := c.timely(t, p); status != OK {
		return status
	}
	if !t.meantFor(audiences(p)) {
		return WrongAudience
	}
	if subjects := p.body.Get("subjects"); subjects.Exists() && !match.NewString(subjects).Match(t.Subject) {
		return NotVerified
	}
	if !c.shortLived(t, p) {
		return NotVerified
	}
	status, known := p.signature(t)
	if status != OK {
		return status
	}
	if !known {
		c.unverified = true
		c.note("the signature of the token of %s in %s: its keys are not in the configuration", cmp.Or(t.Issuer, "no issuer"), f.at)
	}
	c.good(t, f.at, p)
	return OK
}

func (c *check) timely(t *Token, p *provider) Status {
	if c.now.IsZero() {
		if t.Expires != 0 || t.NotBefore != 0 {
			c.note("whether the token is in time: the time is not given")
		}
		return OK
	}
	skew, _ := p.body.Get("clock_skew_seconds").Uint()
	if skew == 0 {
		skew = 60
	}
	return t.inTime(uint64(max(c.now.Unix(), 0)), skew)
}

// shortLived checks require_expiration and max_lifetime.
func (c *check) shortLived(t *Token, p *provider) bool {
	limit := p.body.Str("max_lifetime")
	if limit == "" {
		return !p.body.Get("require_expiration").IsTrue() || t.Expires != 0
	}
	if t.Expires == 0 {
		return false
	}
	most, err := time.ParseDuration(limit)
	if err != nil || c.now.IsZero() {
		return true
	}
	return float64(t.Expires)-float64(c.now.UnixNano())/1e9 < most.Seconds()
}

// good does what a provider wants done with a token that is good.
func (c *check) good(t *Token, at *location, p *provider) {
	if name := p.body.Str("forward_payload_header"); name != "" {
		value := t.payload
		if p.body.Get("pad_forward_payload_header").IsTrue() {
			value += strings.Repeat("=", (4-len(value)%4)%4)
		}
		c.change(Change{Header: match.Lower(name), Value: value})
	}
	added := false
	for claim := range p.body.Get("claim_to_headers").Elems() {
		if value, ok := claimText(t.Payload, claim.Str("claim_name")); ok {
			c.change(Change{Header: match.Lower(claim.Str("header_name")), Value: value})
			added = true
		}
	}
	payload := p.body.Str("payload_in_metadata")
	if p.body.Get("clear_route_cache").IsTrue() && (added || payload != "") {
		c.again = true
	}
	if !p.body.Get("forward").IsTrue() {
		switch {
		case at.header != "":
			c.change(Change{Header: at.header, Remove: true})
		case at.param != "":
			c.change(Change{Param: at.param})
		}
	}
	if name := p.body.Str("header_in_metadata"); name != "" {
		c.extracted(name, t.Header)
	}
	if payload == "" {
		return
	}
	claims := t.Payload
	for v := range p.body.Get("normalize_payload_in_metadata", "space_delimited_claims").Elems() {
		words, isText := claims[v.Text()].(string)
		if !isText || strings.Trim(words, " ") == "" {
			continue
		}
		var list []any
		for word := range strings.SplitSeq(words, " ") {
			if word != "" {
				list = append(list, word)
			}
		}
		with := make(map[string]any, len(claims))
		for key, value := range claims {
			with[key] = value
		}
		with[v.Text()] = list
		claims = with
	}
	c.extracted(payload, claims)
}

// change makes a change to the request as later requirements and filters see it.
func (c *check) change(change Change) {
	c.changes = append(c.changes, change)
	c.request.Headers, c.request.Path = change.Apply(c.request.Headers, c.request.Path)
}

// claimText is a claim as a header says it: text, number, true or false, and lists and objects as JSON in base64. Dots in the name go into objects.
func claimText(payload map[string]any, name string) (string, bool) {
	var at any = payload
	for part := range strings.SplitSeq(name, ".") {
		object, isObject := at.(map[string]any)
		if !isObject {
			return "", false
		}
		var there bool
		if at, there = object[part]; !there {
			return "", false
		}
	}
	text := ""
	switch v := at.(type) {
	case string:
		text = v
	case float64:
		if v < 0 || v >= 1<<64 || v != float64(uint64(v)) {
			text = strconv.FormatFloat(v, 'f', 6, 64)
		} else {
			text = strconv.FormatUint(uint64(v), 10)
		}
	case bool:
		text = strconv.FormatBool(v)
	case []any, map[string]any:
		if b, err := json.Marshal(v); err == nil {
			text = base64.StdEncoding.EncodeToString(b)
		}
	}
	return text, text != ""
}
