package trace

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/meshlark/meshlark/xds/explain"
	"github.com/meshlark/meshlark/xds/listener"
	"github.com/meshlark/meshlark/xds/match"
)

// Accept does to a request what a connection manager does before a route is looked up: it checks host and path and normalises them as its
// settings say. A request it refuses gives a verdict.
func Accept(manager listener.HTTPManager, r *match.Request) (explain.Step, *Verdict) {
	step := explain.Step{Question: "what does the connection manager make of the request?", Inputs: []explain.Input{{Name: "host", Value: r.Host}, {Name: "path", Value: r.Path}}}
	refuse := func(code int, details, reason string) (explain.Step, *Verdict) {
		step.Answer = "it refuses it: " + reason
		return step, &Verdict{Code: code, Details: details, Reason: reason}
	}
	if r.Host == "" {
		return refuse(400, "missing_host_header", "the request has no host")
	}
	if r.Method != "CONNECT" || r.Path != "" {
		switch {
		case r.Path == "":
			return refuse(404, "missing_path_rejected", "the request has no path")
		case r.Path[0] != '/':
			return refuse(404, "absolute_path_rejected", "the path does not begin with /")
		case strings.Contains(r.Path, "#"):
			return refuse(400, "path_normalization_failed", "the path has a fragment")
		}
		ok := false
		body := manager.Fields()
		action := body.Str("path_with_escaped_slashes_action")
		if path, found := unescapeSlashes(r.Path); found && action != "" {
			switch action {
			case "REJECT_REQUEST", "2":
				return refuse(400, "path_normalization_failed", "the path has escaped slashes")
			case "UNESCAPE_AND_REDIRECT", "3":
				if r.Path, ok = normalize(path, manager); !ok {
					return refuse(400, "path_normalization_failed", "the path has %00")
				}
				return refuse(307, "path_normalization_failed", "the path has escaped slashes: redirect to "+r.Path)
			case "UNESCAPE_AND_FORWARD", "4":
				r.Path = path
			}
		}
		if r.Path, ok = normalize(r.Path, manager); !ok {
			return refuse(400, "path_normalization_failed", "the path has %00")
		}
	}
	host(manager, r)
	step.Answer = cmp.Or(r.Method, "GET") + " " + r.Host + " " + r.Path
	return step, nil
}

// normalize does to a path what the settings say; ok is false for one that cannot be normalised.
func normalize(path string, manager listener.HTTPManager) (normal string, ok bool) {
	only := match.PathOnly(path)
	rest := path[len(only):]
	if manager.Fields().Get("normalize_path").IsTrue() {
		if strings.Contains(only, "%00") {
			return path, false
		}
		only = canonicalPath(only)
	}
	if manager.Fields().Get("merge_slashes").IsTrue() {
		only = mergeSlashes(only)
	}
	return only + rest, true
}

var escapedSlashes = strings.NewReplacer("%2F", "/", "%2f", "/", "%5C", `\`, "%5c", `\`)

// unescapeSlashes decodes %2F and %5C in the path, not in the query.
func unescapeSlashes(path string) (unescaped string, found bool) {
	only := match.PathOnly(path)
	out := escapedSlashes.Replace(only)
	return out + path[len(only):], out != only
}

// canonicalPath resolves . and .. in a path, turns backslashes round, decodes escapes of characters that need none (RFC 3986 section 6), and escapes those
// that may not be in a path.
func canonicalPath(path string) string {
	var b strings.Builder
	for i := 0; i < len(path); i++ {
		switch c := path[i]; {
		case c == '\\':
			b.WriteByte('/')
		case c == '%' && i+2 < len(path):
			n, err := strconv.ParseUint(path[i+1:i+3], 16, 8)
			if err == nil && unreserved(byte(n)) {
				b.WriteByte(byte(n))
				i += 2
			} else {
				b.WriteByte(c)
			}
		case c <= ' ' || c >= 0x7f || strings.IndexByte("\"<>^`{|}", c) >= 0:
			fmt.Fprintf(&b, "%%%02X", c)
		default:
			b.WriteByte(c)
		}
	}
	var out []string
	segments := strings.Split(b.String(), "/")[1:]
	for i, s := range segments {
		last := i == len(segments)-1
		// A parameter (..;x) does not make it another segment.
		name, _, _ := strings.Cut(s, ";")
		switch name {
		case ".":
		case "..":
			if len(out) > 0 {
				out = out[:len(out)-1]
			}
		default:
			out = append(out, s)
			continue
		}
		if last {
			out = append(out, "")
		}
	}
	return "/" + strings.Join(out, "/")
}

func unreserved(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.IndexByte("-._~", c) >= 0
}

// mergeSlashes makes one slash of several. As in Envoy, a path of nothing but slashes keeps two.
func mergeSlashes(path string) string {
	if !strings.Contains(path, "//") {
		return path
	}
	out := strings.Join(slices.DeleteFunc(strings.Split(path, "/"), func(s string) bool { return s == "" }), "/")
	if strings.HasPrefix(path, "/") {
		out = "/" + out
	}
	if strings.HasSuffix(path, "/") {
		out += "/"
	}
	return out
}

// host strips a trailing dot and the port as the settings say.
func host(manager listener.HTTPManager, r *match.Request) {
	body := manager.Fields()
	name, port := r.Host, ""
	if i := strings.LastIndexByte(name, ':'); i >= 0 && strings.LastIndexByte(name, ']') < i {
		if _, err := strconv.ParseUint(name[i+1:], 10, 32); err == nil {
			name, port = name[:i], name[i:]
		}
	}
	if body.Get("strip_trailing_host_dot").IsTrue() && strings.HasSuffix(name, ".") {
		name = name[:len(name)-1]
	}
	local := ":" + strconv.Itoa(int(r.Connection.Destination.Port()))
	if body.Get("strip_any_host_port").IsTrue() || body.Get("strip_matching_host_port").IsTrue() && port == local {
		port = ""
	}
	r.Host = name + port
}
