package trace

import (
	"cmp"
	"encoding/base64"
	"maps"
	"math"
	"regexp"
	"strconv"
	"strings"

	"github.com/meshlark/meshlark/xds/extension"
	"github.com/meshlark/meshlark/xds/match"
	"github.com/meshlark/meshlark/xds/rawjson"
)

// headersToMetadata is the filter that writes headers and cookies into metadata (header_to_metadata).
func (p *passage) headersToMetadata(c, own extension.Config) {
	v := c.Value
	if own.Is("Config") {
		v = own.Value
	}
	for rule := range v.Get("request_rules").Elems() {
		value, there := "", false
		if name := match.Lower(rule.Str("header")); name != "" {
			values := p.request.Values(name)
			value, there = strings.Join(values, ","), len(values) > 0
			if there && rule.Get("remove").IsTrue() {
				requestLines{p.request}.remove(name)
				p.changed = true
			}
		} else {
			value, _ = p.request.Cookie(rule.Str("cookie"))
			there = value != ""
		}
		to := rule.Get("on_header_missing")
		if there {
			to = rule.Get("on_header_present")
		}
		if !to.Exists() {
			continue
		}
		if fixed := to.Str("value"); fixed != "" {
			value = fixed
		} else if rewrite := rule.Get("on_header_present", "regex_value_rewrite"); rewrite.Exists() {
			re, err := regexp.Compile(rewrite.Str("pattern", "regex"))
			if err != nil {
				continue
			}
			value = match.Replace(re, value, rewrite.Str("substitution"))
		}
		if typed, ok := p.typedValue(to, value); ok {
			p.write(cmp.Or(to.Str("metadata_namespace"), "envoy.filters.http.header_to_metadata"), map[string]any{to.Str("key"): typed})
		}
	}
}

// mostInMetadata is the length from which on a value is not written into metadata.
const mostInMetadata = 8 << 10

// typedValue is the value of a header as metadata has it; ok is false for one that is not written.
func (p *passage) typedValue(to rawjson.Value, text string) (value any, ok bool) {
	if text == "" || len(text) >= mostInMetadata {
		return nil, false
	}
	if encode := to.Str("encode"); encode == "BASE64" || encode == "1" {
		decoded, err := base64.RawStdEncoding.DecodeString(strings.TrimRight(text, "="))
		if err != nil || len(decoded) == 0 {
			return nil, false
		}
		text = string(decoded)
	}
	switch to.Str("type") {
	case "NUMBER", "1":
		n, err := strconv.ParseFloat(strings.TrimSpace(text), 64)
		return n, err == nil && !math.IsInf(n, 0)
	case "PROTOBUF_VALUE", "2":
		p.unknown = append(p.unknown, "metadata as protobuf in a header")
		return nil, false
	}
	return text, true
}

// setMetadata is the filter that writes fixed metadata (set_metadata): as itself says, then as the route does.
func (p *passage) setMetadata(c extension.Config) {
	p.writeFixed(c.Value)
	p.lookUp()
	if own := settingsFor(c.Name, p.levels).most(); own.Is("Config") {
		p.writeFixed(own.Value)
	}
}

func (p *passage) writeFixed(config rawjson.Value) {
	set := func(namespace string, v rawjson.Value, overwrite bool) {
		decoded, err := rawjson.Decode(v)
		values, isObject := decoded.(map[string]any)
		if err != nil || !isObject {
			return
		}
		before, there := p.request.Metadata[namespace].(map[string]any)
		if there && !overwrite {
			return
		}
		p.write(namespace, merged(before, values))
	}
	if namespace := config.Str("metadata_namespace"); namespace != "" {
		set(namespace, config.Get("value"), true)
	}
	for v := range config.Get("metadata").Elems() {
		set(v.Str("metadata_namespace"), v.Get("value"), v.Get("allow_overwrite").IsTrue())
	}
}

// merged puts values into an object: objects in it are merged too, lists go on.
func merged(before, values map[string]any) map[string]any {
	out := maps.Clone(before)
	if out == nil {
		out = map[string]any{}
	}
	for key, value := range values {
		switch v := value.(type) {
		case map[string]any:
			if old, ok := out[key].(map[string]any); ok {
				value = merged(old, v)
			}
		case []any:
			if old, ok := out[key].([]any); ok {
				value = append(old[:len(old):len(old)], v...)
			}
		}
		out[key] = value
	}
	return out
}
