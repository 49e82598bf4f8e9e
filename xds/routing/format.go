package routing

import (
	"cmp"
	"encoding/json"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/meshlark/meshlark/xds/match"
	"github.com/meshlark/meshlark/xds/rawjson"
)

// A formatter fills in Envoy's format strings (%REQ(:path)%) for one request.
type formatter struct {
	request        *match.Request // as it is at the moment, with what has been changed so far
	response       *match.Headers
	route          string
	cluster        string
	virtualCluster string
	metadata       rawjson.Value // of the route, by filter
	hostMetadata   rawjson.Value // of the virtual host, by filter
	reply          *string       // the body of Envoy's own answer, where a format can have it
	phase          phase
	flags          string // of Envoy's own answer, as in its access log
	details        string
	unmodelled     []string
}

// A phase is when formats are filled in. What there is to be told grows with it.
type phase byte

const (
	sending   phase = iota // the request is on its way to the cluster: nobody is connected to, and there is no response
	receiving              // the response of the cluster, of which nothing is known
	answering              // an answer of Envoy's own
)

// Format fills in one of Envoy's format strings for a request, with absent for a command that has no value. unmodelled are the commands whose value
// is not known.
func Format(text string, r *match.Request, absent string) (filled string, unmodelled []string) {
	f := formatter{request: r, response: &match.Headers{}}
	return f.formatOr(text, absent), f.unmodelled
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
	known = f.phase != receiving
	switch name {
	case "REQ", "REQUEST_HEADER", "STREAM_INFO_REQ":
		return firstOf(args, f.request.First), true
	case "REQ_WITHOUT_QUERY":
		value := firstOf(args, f.request.First)
		if value != nil {
			*value, _, _ = strings.Cut(*value, "?")
		}
		return value, true
	case "RESP", "RESPONSE_HEADER":
		value := firstOf(args, f.response.Get)
		return value, known || value != nil
	case "PATH":
		return optional(f.path(args)), true
	case "QUERY_PARAM":
		if value, ok := match.DecodedParameter(f.request.Path, args); ok {
			return &value, true
		}
		return nil, true
	case "QUERY_PARAMS":
		if _, query, ok := strings.Cut(f.request.Path, "?"); ok {
			return &query, args != "DECODED"
		}
		return nil, true
	case "COALESCE":
		return f.coalesce(rawjson.Value(args))
	case "ROUTE_NAME":
		return optional(f.route), true
	case "UPSTREAM_CLUSTER", "UPSTREAM_CLUSTER_RAW":
		return optional(f.cluster), true
	case "VIRTUAL_CLUSTER_NAME":
		return optional(f.virtualCluster), true
	case "RESPONSE_CODE":
		zero := "0" // when Envoy makes an answer of its own the code is not set yet
		return &zero, known
	case "RESPONSE_FLAGS":
		flags := cmp.Or(f.flags, "-")
		return &flags, known
	case "RESPONSE_FLAGS_LONG":
		none := "-"
		return &none, known && f.flags == ""
	case "RESPONSE_CODE_DETAILS":
		return optional(f.details), known
	case "UPSTREAM_REQUEST_ATTEMPT_COUNT":
		count := "1"
		if f.phase == answering {
			count = "0"
		}
		return &count, known
	case "UPSTREAM_HOST", "UPSTREAM_LOCAL_ADDRESS", "UPSTREAM_PROTOCOL", "UPSTREAM_METADATA", "UPSTREAM_TRANSPORT_FAILURE_REASON", "TRAILER", "RESPONSE_TRAILER", "GRPC_STATUS":
		return nil, known
	case "FILTER_STATE", "PER_REQUEST_STATE":
		key, plain := strings.CutSuffix(args, ":PLAIN")
		value, ok := f.request.FilterState[key]
		return &value, ok && (plain || name == "PER_REQUEST_STATE")
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
		case "VIRTUAL_HOST":
			v, err := rawjson.Decode(f.hostMetadata)
			if err != nil {
				return nil, true
			}
			return metadataValue(v, metadataPath(rest)), true
		}
		return nil, false
	}
	return connectionValue(&f.request.Connection, name)
}

// connectionValue gives the value of a command about the client's connection; see formatter.value.
func connectionValue(c *match.Connection, name string) (value *string, known bool) {
	text, ok := strings.CutPrefix(name, "DOWNSTREAM_")
	if !ok {
		return optional(c.SNI), name == "REQUESTED_SERVER_NAME"
	}
	switch text {
	case "PEER_URI_SAN":
		return optional(strings.Join(c.Peer.URISANs, ",")), true
	case "PEER_DNS_SAN":
		return optional(strings.Join(c.Peer.DNSSANs, ",")), true
	case "PEER_SUBJECT":
		return optional(c.Peer.Subject), true
	case "LOCAL_URI_SAN":
		return optional(c.Identity), c.Identity != "" || !c.TLS
	}
	if ofTLS := strings.HasPrefix(text, "PEER_") || strings.HasPrefix(text, "TLS_") || strings.HasPrefix(text, "LOCAL_") && (strings.HasSuffix(text, "_SAN") || strings.HasSuffix(text, "_SUBJECT")); ofTLS {
		return nil, !c.TLS && !c.Peer.Presented
	}
	var end netip.AddrPort
	side, what, _ := strings.Cut(text, "_ADDRESS")
	side, ofPort := strings.CutSuffix(side, "_PORT")
	switch side {
	case "REMOTE":
		end = c.Remote()
	case "DIRECT_REMOTE":
		end = c.Direct()
	case "LOCAL":
		end = c.Destination
	}
	switch {
	case !end.IsValid():
	case ofPort:
		return optional(strconv.Itoa(int(end.Port()))), end.Port() != 0
	case what == "":
		// An address of X-Forwarded-For has port 0 for Envoy too.
		return optional(netip.AddrPortFrom(end.Addr().Unmap(), end.Port()).String()), end.Port() != 0 || side == "REMOTE" && c.RemoteIP.IsValid()
	case what == "_WITHOUT_PORT":
		return optional(end.Addr().Unmap().String()), true
	}
	return nil, false
}

// optional is a value that there is none of when it is "".
func optional(text string) *string {
	if text == "" {
		return nil
	}
	return &text
}

// coalesce gives the value of the first of several commands that has one. JSON lists them, by name or with command, param and max_length.
func (f *formatter) coalesce(list rawjson.Value) (value *string, known bool) {
	for v := range list.Get("operators").Elems() {
		name := v.Text()
		if v.Kind() == rawjson.Object {
			name = v.Str("command")
		}
		value, known = f.value(name, v.Str("param"))
		if !known {
			return nil, false
		}
		if value == nil || *value == "" {
			continue
		}
		text := *value
		if limit, ok := v.Get("max_length").Uint(); ok && limit < uint64(len(text)) {
			text = text[:limit]
		}
		return &text, true
	}
	return nil, true
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
