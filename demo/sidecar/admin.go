package sidecar

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"regexp/syntax"
	"strings"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
)

// handler serves the reading paths of Envoy's admin interface that the simulation has (source/server/admin/admin.cc). Others do not exist, not
// even those that would change something.
func (s *Sidecar) handler() http.Handler {
	mux := http.NewServeMux()
	for path, page := range map[string]func(http.ResponseWriter, *http.Request){
		"/config_dump": s.configDump,
		"/clusters":    s.clusters,
		"/listeners":   s.listeners,
		"/certs":       s.certs,
		"/server_info": s.serverInfo,
		"/stats":       s.stats,
		"/ready":       func(w http.ResponseWriter, _ *http.Request) { plain(w, http.StatusOK, "LIVE\n") },
	} {
		mux.HandleFunc(path, page)
	}
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		plain(w, http.StatusNotFound, `invalid path. admin commands are:
  /certs: print certs on machine
  /clusters: upstream cluster status
      filter: Regular expression (Google re2) for filtering clusters by name
      format: Output format for cluster status; One of (, text, json)
  /config_dump: dump current Envoy configs
      resource: The resource to dump
      mask: The mask to apply. When both resource and mask are specified, the mask is applied to every element in the desired repeated field so that only a subset of fields are returned. The mask is parsed as a ProtobufWkt::FieldMask
      name_regex: Dump only the currently loaded configurations whose names match the specified regex. Can be used with both resource and mask query parameters.
      include_eds: Dump currently loaded configuration including EDS. See the response definition for more information
  /listeners: print listener info
      format: File format to use; One of (text, json)
  /ready: print server state, return 200 if LIVE, otherwise return 503
  /server_info: print server version/status information
  /stats: print server stats
`)
	})
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		w.Header().Set("Cache-Control", "no-cache, max-age=0")
		w.Header().Set("X-Content-Type-Options", "nosniff")
		mux.ServeHTTP(w, req)
	})
}

func plain(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=UTF-8")
	w.WriteHeader(status)
	fmt.Fprint(w, text)
}

// show prints a message as Envoy does: snake_case, one blank per level, and what has its default value only where it is asked for.
func show(w http.ResponseWriter, m proto.Message, defaults bool) {
	b, err := protojson.MarshalOptions{UseProtoNames: true, EmitDefaultValues: defaults}.Marshal(m)
	if err != nil {
		plain(w, http.StatusInternalServerError, fmt.Sprintf("Failed to convert protobuf message to JSON string: %v", err))
		return
	}
	var out bytes.Buffer
	if string(b) == "{}" {
		out.WriteString("{}")
	} else if err := json.Indent(&out, escaped(b), "", " "); err != nil {
		plain(w, http.StatusInternalServerError, fmt.Sprintf("Failed to convert protobuf message to JSON string: %v", err))
		return
	}
	out.WriteByte('\n')
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(out.Bytes())
}

// escaped writes angle brackets as Envoy's JSON printer does.
func escaped(b []byte) []byte {
	b = bytes.ReplaceAll(b, []byte("<"), []byte(`\u003c`))
	return bytes.ReplaceAll(b, []byte(">"), []byte(`\u003e`))
}

// fullMatch makes a matcher of whole names, and partMatch of parts of them. Errors have RE2's words.
func fullMatch(re string) (func(string) bool, error) {
	if _, err := partMatch(re); err != nil {
		return nil, err
	}
	return partMatch(`\A(?:` + re + `)\z`)
}

func partMatch(re string) (func(string) bool, error) {
	c, err := regexp.Compile(re)
	if err == nil {
		return c.MatchString, nil
	}
	var se *syntax.Error
	if errors.As(err, &se) {
		return nil, fmt.Errorf("%s: %s", re2Words.Replace(se.Code.String()), se.Expr)
	}
	return nil, err
}

var re2Words = strings.NewReplacer("missing closing ", "missing ", "missing argument to repetition", "no argument for repetition")
