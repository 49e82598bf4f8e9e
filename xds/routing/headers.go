package routing

import (
	"slices"

	"github.com/meshlark/meshlark/xds/match"
	"github.com/meshlark/meshlark/xds/rawjson"
)

// headerRules are the changes to headers that one level of a table makes.
type headerRules struct {
	requestAdd, requestRemove   rawjson.Value
	responseAdd, responseRemove rawjson.Value
}

// read takes over a member of the level's body if it is about headers.
func (h *headerRules) read(key string, v rawjson.Value) {
	switch key {
	case "request_headers_to_add", "requestHeadersToAdd":
		h.requestAdd = v
	case "request_headers_to_remove", "requestHeadersToRemove":
		h.requestRemove = v
	case "response_headers_to_add", "responseHeadersToAdd":
		h.responseAdd = v
	case "response_headers_to_remove", "responseHeadersToRemove":
		h.responseRemove = v
	}
}

// apply changes headers: removals first, then values that take the place of others, then additions. All values are made from the
// headers as they were. Of a response, removed collects what is taken off, since what the upstream sends is not known.
func (f *formatter) apply(headers *match.Headers, add, remove rawjson.Value, removed *[]string) {
	for v := range remove.Elems() {
		name := match.Lower(v.Text())
		*headers = slices.DeleteFunc(*headers, func(h match.Header) bool { return h.Name == name })
		if removed != nil && !slices.Contains(*removed, name) {
			*removed = append(*removed, name)
		}
	}
	var overwrite, additions []match.Header
	for option := range add.Elems() {
		name := match.Lower(option.Str("header", "key"))
		value := f.format(option.Str("header", "value")) // a raw_value is not looked at
		if name == "" || value == "" && !option.Get("keep_empty_value").IsTrue() {
			continue
		}
		_, exists := headers.Get(name)
		switch AppendAction(option) {
		case "ADD_IF_ABSENT":
			if !exists {
				additions = append(additions, match.Header{Name: name, Value: value})
			}
		case "OVERWRITE_IF_EXISTS":
			if exists {
				overwrite = append(overwrite, match.Header{Name: name, Value: value})
			}
		case "OVERWRITE_IF_EXISTS_OR_ADD":
			overwrite = append(overwrite, match.Header{Name: name, Value: value})
		default:
			additions = append(additions, match.Header{Name: name, Value: value})
		}
	}
	for _, h := range overwrite {
		*headers = set(*headers, h)
	}
	*headers = append(*headers, additions...)
}

// AppendAction is what an option does where the header is there already, or is not; the deprecated append, a wrapper, decides when it is set.
func AppendAction(option rawjson.Value) string {
	if v := option.Get("append"); v.Exists() {
		if v.IsTrue() {
			return "APPEND_IF_EXISTS_OR_ADD"
		}
		return "OVERWRITE_IF_EXISTS_OR_ADD"
	}
	return AppendActionName(option.Str("append_action"))
}

// AppendActionName is the name of such an action, which JSON may have as a number or leave out.
func AppendActionName(text string) string {
	switch text {
	case "1":
		return "ADD_IF_ABSENT"
	case "2":
		return "OVERWRITE_IF_EXISTS_OR_ADD"
	case "3":
		return "OVERWRITE_IF_EXISTS"
	case "", "0":
		return "APPEND_IF_EXISTS_OR_ADD"
	default:
		return text
	}
}

// set gives a header one value, in the place of the first line it had.
func set(headers match.Headers, h match.Header) match.Headers {
	i := slices.IndexFunc(headers, func(old match.Header) bool { return old.Name == h.Name })
	if i < 0 {
		return append(headers, h)
	}
	headers[i].Value = h.Value
	rest := slices.DeleteFunc(headers[i+1:], func(old match.Header) bool { return old.Name == h.Name })
	return headers[:i+1+len(rest)]
}
