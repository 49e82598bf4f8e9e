package routing

import (
	"cmp"
	"encoding/json"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/meshlark/meshlark/xds/match"
	"github.com/meshlark/meshlark/xds/rawjson"
)

// A formatter fills in Envoy's format strings (%REQ(:path)%) for one request.
type formatter struct {
	request    *match.Request // as it is at the moment, with what has been changed so far
	response   *match.Headers
	route      string
	cluster    string
	metadata   rawjson.Value // of the route, by filter
	reply      *string       // the body of Envoy's own answer, where a format can have it
	answered   bool          // whether Envoy answers by itself, with flags and details as in its access log
	flags      string
	details    string
	unmodelled []string
}

// format fills in a text. A command that has no value gives "".
func (f *formatter) format(text string) string { return f.formatOr(text, "") }

// formatOr fills in a text, with absent for a command that has no value.
func (f *formatter) formatOr(text, absent string) string {
	if strings.IndexByte(text, '%') < 0 {
		return text
	}
	var b strings.Builder
	for text != "" {
		i := strings.IndexByte(text, '%')
		if i < 0 {
			b.WriteString(text)
			break
		}
		b.WriteString(text[:i])
		text = text[i:]
		if strings.HasPrefix(text, "%%") {
			b.WriteByte('%')
			text = text[2:]
			continue
		}
		end := commandEnd(text)
		if end < 0 {
			b.WriteString(text) // Envoy refuses such a format
			break
		}
		if value, ok := f.command(text[1:end]); ok {
			b.WriteString(value)
		} else {
			b.WriteString(absent)
		}
		text = text[end+1:]
	}
	return b.String()
}

// commandEnd is where the % that closes a command is: one after the parentheses, if there are any.
func commandEnd(text string) int {
	depth := 0
	for i := 1; i < len(text); i++ {
		switch text[i] {
		case '(':
			depth++
		case ')':
			depth = max(0, depth-1)
		case '%':
			if depth == 0 {
				return i
			}
		}
	}
	return -1
}

// command gives the value of a command; ok is false when it has none.
func (f *formatter) command(text string) (value string, ok bool) {
	name, args, limit := text, "", -1
	if open := strings.IndexByte(text, '('); open >= 0 {
		if shut := strings.LastIndexByte(text, ')'); shut > open {
			name, args = text[:open], text[open+1:shut]
			if n, err := strconv.Atoi(strings.TrimPrefix(text[shut+1:], ":")); err == nil {
				limit = n
			}
		}
	} else if head, tail, ok := strings.Cut(text, ":"); ok {
		if n, err := strconv.Atoi(tail); err == nil {
			name, limit = head, n
		}
	}
	found, known := f.value(name, args)
	if !known {
		if note := "format command %" + text + "%"; !slices.Contains(f.unmodelled, note) {
			f.unmodelled = append(f.unmodelled, note)
		}
		return "%" + text + "%", true
	}
	if found == nil {
		return "", false
	}
	if limit >= 0 && limit < len(*found) {
		return (*found)[:limit], true
	}
	return *found, true
}

// value gives the value of a command, nil when it has none; known is false for a command that is not modelled.
func (f *formatter) value(name, args string) (value *string, known bool) {
	c := &f.request.Connection
	some := func(text string) (*string, bool) {
		if text == "" {
			return nil, true
		}
		return &text, true
	}
	ip := func(ap netip.AddrPort) (*string, bool) {
		if !ap.IsValid() {
			return nil, true
		}
		return some(ap.Addr().Unmap().String())
	}
	whole := func(ap netip.AddrPort) (*string, bool) {
		if !ap.IsValid() {
			return nil, true
		}
		return some(netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port()).String())
	}
	switch name {
	case "REQ", "REQUEST_HEADER":
		return firstOf(args, f.request.First), true
	case "RESP", "RESPONSE_HEADER":
		if f.response == nil {
			return nil, false
		}
		value := firstOf(args, f.response.Get)
		return value, value != nil || f.answered // what an upstream sends is not known
	case "PATH":
		return some(f.path(args))
	case "QUERY_PARAM":
		value, ok := match.Parameter(f.request.Path, args)
		if !ok {
			return nil, true
		}
		if decoded, err := url.PathUnescape(value); err == nil {
			value = decoded
		}
		return &value, true
	case "ROUTE_NAME":
		return some(f.route)
	case "UPSTREAM_CLUSTER", "UPSTREAM_CLUSTER_RAW":
		return some(f.cluster)
	case "RESPONSE_CODE":
		// What an upstream answers is not known, and when Envoy makes an answer of its own the code is not set yet.
		zero := "0"
		return &zero, f.answered
	case "RESPONSE_FLAGS":
		flags := cmp.Or(f.flags, "-")
		return &flags, f.answered
	case "RESPONSE_CODE_DETAILS":
		value, _ := some(f.details)
		return value, f.answered
	case "LOCAL_REPLY_BODY":
		return f.reply, true
	case "DYNAMIC_METADATA":
		return metadataValue(f.request.Metadata, metadataPath(args)), true
	case "METADATA":
		kind, rest, _ := strings.Cut(args, ":")
		switch kind {
		case "DYNAMIC":
			return metadataValue(f.request.Metadata, metadataPath(rest)), true
		case "ROUTE":
			v, err := rawjson.Decode(f.metadata)
			if err != nil {
				return nil, true // a route without metadata
			}
			return metadataValue(v, metadataPath(rest)), true
		}
		return nil, false
	case "REQUESTED_SERVER_NAME":
		return some(c.SNI)
	case "DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT":
		return ip(c.Remote())
	case "DOWNSTREAM_REMOTE_ADDRESS":
		return whole(c.Remote())
	case "DOWNSTREAM_DIRECT_REMOTE_ADDRESS_WITHOUT_PORT":
		return ip(c.Direct())
	case "DOWNSTREAM_DIRECT_REMOTE_ADDRESS":
		return whole(c.Direct())
	case "DOWNSTREAM_LOCAL_ADDRESS":
		return whole(c.Destination)
	case "DOWNSTREAM_LOCAL_ADDRESS_WITHOUT_PORT":
		return ip(c.Destination)
	case "DOWNSTREAM_REMOTE_PORT":
		if !c.Remote().IsValid() || c.Remote().Port() == 0 {
			return nil, true
		}
		return some(strconv.Itoa(int(c.Remote().Port())))
	case "DOWNSTREAM_LOCAL_PORT":
		if !c.Destination.IsValid() {
			return nil, true
		}
		return some(strconv.Itoa(int(c.Destination.Port())))
	case "DOWNSTREAM_PEER_URI_SAN":
		return some(strings.Join(c.Peer.URISANs, ","))
	case "DOWNSTREAM_PEER_SUBJECT":
		return some(c.Peer.Subject)
	}
	return nil, false
}

// metadataPath is where a command looks in metadata: namespace:key:key, or as Envoy wrote it before, ["namespace", "key"].
func metadataPath(args string) []string {
	var path []string
	if strings.HasPrefix(args, "[") && json.Unmarshal([]byte(args), &path) == nil {
		return path
	}
	return strings.Split(args, ":")
}

// path is the path of the command PATH(query:which): with the query (WQ, the default) or without (NQ), and as it is now (PATH) or as it was before it
// was rewritten where it has been (ORIG, and ORIG_OR_PATH for either, the default).
func (f *formatter) path(args string) string {
	query, which, _ := strings.Cut(args, ":")
	path := f.request.Path
	original, rewritten := f.request.Headers.Get("x-envoy-original-path")
	switch which {
	case "PATH":
	case "ORIG":
		path = original
	default:
		if rewritten {
			path = original
		}
	}
	if query == "NQ" {
		path, _, _ = strings.Cut(path, "?")
	}
	return path
}

// firstOf looks for one header or, if it is not there, another: X?Y.
func firstOf(args string, get func(name string) (string, bool)) *string {
	first, second, _ := strings.Cut(args, "?")
	for _, header := range [...]string{first, second} {
		if header == "" {
			continue
		}
		if value, ok := get(match.Lower(header)); ok {
			return &value
		}
	}
	return nil
}
