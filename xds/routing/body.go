package routing

import (
	"bytes"
	"encoding/json"
	"slices"
	"strconv"

	"github.com/meshlark/meshlark/xds/match"
	"github.com/meshlark/meshlark/xds/rawjson"
	"github.com/meshlark/meshlark/xds/route"
)

// contentType is the type of a direct response's body that its format says: the one given, or JSON for JSON.
func (e *entry) contentType() string {
	format := e.view.Fields().Get(route.DirectResponse, "body_format")
	switch {
	case !format.Exists():
		return ""
	case format.Str("content_type") != "":
		return format.Str("content_type")
	case format.Get("json_format").Exists():
		return "application/json"
	}
	return ""
}

// body makes the body of a direct response by its format (envoy.config.core.v3.SubstitutionFormatString). The body that is configured beside it is
// what %LOCAL_REPLY_BODY% stands for.
func (f *formatter) body(out *Result, format rawjson.Value) {
	f.reply = &out.Body
	defer func() { f.reply = nil }()
	absent := "-"
	if format.Get("omit_empty_values").IsTrue() {
		absent = ""
	}
	switch {
	case format.Get("json_format").Exists():
		out.Body = string(append(f.json(nil, format.Get("json_format"), absent), '\n'))
	case format.Get("text_format").Exists():
		out.Body = f.formatOr(format.Str("text_format"), absent)
	case format.Get("text_format_source", "inline_string").Exists():
		out.Body = f.formatOr(format.Str("text_format_source", "inline_string"), absent)
	default:
		out.Unmodelled = append(out.Unmodelled, "body_format of the direct response")
	}
}

// json appends a JSON format with its texts filled in and its keys in order. A text that is one command becomes the value of the command, with its type;
// null where there is none, or nothing at all when absent is "".
func (f *formatter) json(dst []byte, v rawjson.Value, absent string) []byte {
	switch v.Kind() {
	case rawjson.Object:
		members := map[string]rawjson.Value{}
		var keys []string
		for key, x := range v.Members() {
			if _, twice := members[key]; !twice {
				keys = append(keys, key)
			}
			members[key] = x
		}
		slices.Sort(keys)
		dst = append(dst, '{')
		first := true
		for _, key := range keys {
			x := f.json(nil, members[key], absent)
			if absent == "" && string(x) == "null" {
				continue
			}
			if !first {
				dst = append(dst, ',')
			}
			first = false
			dst = append(append(rawjson.Quote(dst, key), ':'), x...)
		}
		return append(dst, '}')
	case rawjson.Array:
		dst = append(dst, '[')
		first := true
		for x := range v.Elems() {
			if !first {
				dst = append(dst, ',')
			}
			first = false
			dst = f.json(dst, x, absent)
		}
		return append(dst, ']')
	case rawjson.String:
		text := v.Text()
		if len(text) < 3 || text[0] != '%' || commandEnd(text) != len(text)-1 {
			return rawjson.Quote(dst, f.formatOr(text, absent))
		}
		value, ok := f.command(text[1 : len(text)-1])
		if !ok {
			return append(dst, "null"...)
		}
		if numbers[text[1:len(text)-1]] {
			return append(dst, value...)
		}
		return rawjson.Quote(dst, value)
	}
	return append(dst, v...)
}

// numbers are the commands whose values are numbers in JSON.
var numbers = map[string]bool{"RESPONSE_CODE": true, "UPSTREAM_REQUEST_ATTEMPT_COUNT": true, "DOWNSTREAM_LOCAL_PORT": true, "DOWNSTREAM_REMOTE_PORT": true}

// plain is a value of metadata as text: a text as it is, null as nothing, all else as JSON.
func plain(v any) *string {
	text := ""
	switch v := v.(type) {
	case nil:
		return nil
	case string:
		text = v
	default:
		var b bytes.Buffer
		enc := json.NewEncoder(&b)
		enc.SetEscapeHTML(false)
		if err := enc.Encode(v); err != nil {
			return nil
		}
		text = string(bytes.TrimSuffix(b.Bytes(), []byte{'\n'}))
	}
	return &text
}

// metadataValue follows a path into metadata.
func metadataValue(v any, path []string) *string {
	for _, key := range path {
		m, ok := v.(map[string]any)
		if !ok {
			return nil
		}
		v = m[key]
	}
	return plain(v)
}

// describeBody sets the headers that tell of the body of an answer of Envoy's own, after all rules: the type is kept where rules have set one,
// and an answer without a body has neither. The type that the body's format says takes the place of all. A gRPC client is answered in another way.
func (out *Result) describeBody(r *match.Request, contentType string) {
	if r.IsGRPC() {
		return
	}
	if out.Body == "" {
		if len(out.Unmodelled) == 0 { // the body is empty, rather than not known
			out.ResponseHeaders = slices.DeleteFunc(out.ResponseHeaders, func(h match.Header) bool { return h.Name == "content-length" || h.Name == "content-type" })
		}
		return
	}
	out.ResponseHeaders = set(out.ResponseHeaders, match.Header{Name: "content-length", Value: strconv.Itoa(len(out.Body))})
	if contentType != "" {
		out.ResponseHeaders = set(out.ResponseHeaders, match.Header{Name: "content-type", Value: contentType})
	} else if _, ok := out.ResponseHeaders.Get("content-type"); !ok {
		out.ResponseHeaders = append(out.ResponseHeaders, match.Header{Name: "content-type", Value: "text/plain"})
	}
}
