package route

import (
	"strconv"
	"strings"

	"github.com/meshlark/meshlark/xds/extension"
	"github.com/meshlark/meshlark/xds/rawjson"
)

// A Match is what a request has to be for a route to be taken; all of it has to hold.
type Match struct{ body rawjson.Value }

// Match is what the route matches.
func (r Route) Match() Match { return Match{r.body.Get("match")} }

// NewMatch views v as a RouteMatch on its own.
func NewMatch(v rawjson.Value) Match { return Match{v} }

// Body is the JSON the view reads.
func (m Match) Body() rawjson.Value { return m.body }

// Cell is what istioctl prints in its MATCH columns: the path alone, as /p* for a prefix, PathPrefix:/p for a prefix of whole
// segments, /p, regex r, and "" for anything else.
func (m Match) Cell() string {
	var parts []string
	if p := m.body.Str("prefix"); p != "" {
		parts = append(parts, p+"*")
	}
	if p := m.body.Str("path_separated_prefix"); p != "" {
		parts = append(parts, "PathPrefix:"+p)
	}
	if p := m.body.Str("path"); p != "" {
		parts = append(parts, p)
	}
	if re := m.body.Get("safe_regex"); re.Exists() {
		parts = append(parts, "regex "+re.Str("regex"))
	}
	return strings.Join(parts, " ")
}

// The ways a path is matched.
const (
	Prefix          = "prefix"
	SegmentedPrefix = "path_separated_prefix"
	Path            = "path"
	Regex           = "safe_regex"
	Connect         = "connect_matcher"   // CONNECT requests, whatever their path
	Template        = "path_match_policy" // a URI template
)

// Path is how the path is matched, one of the constants above or "" for no way, and what it is matched with.
func (m Match) Path() (kind, value string) {
	for _, kind := range [...]string{Prefix, SegmentedPrefix, Path} {
		if v := m.body.Get(kind); v.Exists() {
			return kind, v.Text()
		}
	}
	if v := m.body.Get(Regex); v.Exists() {
		return Regex, v.Str("regex")
	}
	if m.body.Get(Connect).Exists() {
		return Connect, ""
	}
	if v := m.body.Get(Template); v.Exists() {
		return Template, extension.New(v).Value.Str("path_template")
	}
	return "", ""
}

// CaseSensitive reports whether case matters in the path. A regular expression decides that itself.
func (m Match) CaseSensitive() bool {
	v := m.body.Get("case_sensitive")
	return !v.Exists() || v.IsTrue()
}

// A StringMatch is how a text is matched (envoy.type.matcher.v3.StringMatcher).
type StringMatch struct {
	Kind       string // exact, prefix, suffix, contains, safe_regex (of the whole text), custom; "" for none
	Value      string // for custom the name of the extension
	IgnoreCase bool
}

// NewStringMatch reads a StringMatcher.
func NewStringMatch(v rawjson.Value) StringMatch {
	m := StringMatch{IgnoreCase: v.Get("ignore_case").IsTrue()}
	for _, kind := range [...]string{"exact", "prefix", "suffix", "contains"} {
		if text := v.Get(kind); text.Exists() {
			m.Kind, m.Value = kind, text.Text()
			return m
		}
	}
	if re := v.Get("safe_regex"); re.Exists() {
		m.Kind, m.Value = "safe_regex", re.Str("regex")
	} else if custom := v.Get("custom"); custom.Exists() {
		m.Kind, m.Value = "custom", extension.New(custom).Name
	}
	return m
}

// String is value, value*, *value, *value* or ~regexp; an exact value that could be taken for one of those is in quotes.
func (m StringMatch) String() string {
	text := m.Value
	switch m.Kind {
	case "exact":
		if text == "" || strings.ContainsAny(text, "*~ \"") {
			text = strconv.Quote(text)
		}
	case "prefix":
		text += "*"
	case "suffix":
		text = "*" + text
	case "contains":
		text = "*" + text + "*"
	case "safe_regex":
		return "~" + text
	case "custom":
		return "custom " + text
	case "":
		return ""
	}
	if m.IgnoreCase {
		text += " (any case)"
	}
	return text
}

// A FieldMatch is a condition on a header, a query parameter or a cookie.
type FieldMatch struct {
	Name string // headers in lower case as a rule, pseudo-headers as :method
	// Match is on the value. Its Kind is "" where only presence counts, and for a Range.
	Match StringMatch
	// Absent reports that the field must not be there at all (present_match: false).
	Absent bool
	// Range is [start, end) for a header that has to be a whole number in it.
	Range *[2]int64
	// Invert turns the outcome round. A header that is absent still does not match, unless MissingAsEmpty.
	Invert         bool
	MissingAsEmpty bool // an absent header counts as an empty one
}

// String is name=match, name!=match when inverted, name for presence, !name for absence.
func (f FieldMatch) String() string {
	text := f.Name
	switch {
	case f.Range != nil:
		op := " in "
		if f.Invert {
			op = " not in "
		}
		text += op + "[" + strconv.FormatInt(f.Range[0], 10) + "," + strconv.FormatInt(f.Range[1], 10) + ")"
	case f.Match.Kind != "":
		op := "="
		if f.Invert {
			op = "!="
		}
		text += op + f.Match.String()
	case f.Absent != f.Invert:
		text = "!" + text
	}
	if f.MissingAsEmpty {
		text += " (missing is empty)"
	}
	return text
}

// Headers are the conditions on headers in order, pseudo-headers among them.
func (m Match) Headers() []FieldMatch {
	var out []FieldMatch
	for v := range m.body.Get("headers").Elems() {
		out = append(out, NewHeaderMatch(v))
	}
	return out
}

// NewHeaderMatch reads an envoy.config.route.v3.HeaderMatcher, in its deprecated forms too.
func NewHeaderMatch(v rawjson.Value) FieldMatch {
	f := newFieldMatch(v)
	f.MissingAsEmpty = v.Get("treat_missing_header_as_empty").IsTrue()
	for _, kind := range [...]string{"exact", "prefix", "suffix", "contains"} {
		if text := v.Get(kind + "_match"); text.Exists() {
			f.Match = StringMatch{Kind: kind, Value: text.Text()}
		}
	}
	if re := v.Get("safe_regex_match"); re.Exists() {
		f.Match = StringMatch{Kind: "safe_regex", Value: re.Str("regex")}
	}
	if r := v.Get("range_match"); r.Exists() {
		start, _ := r.Get("start").Int()
		end, _ := r.Get("end").Int()
		f.Range = &[2]int64{start, end}
	}
	return f
}

func newFieldMatch(v rawjson.Value) FieldMatch {
	present := v.Get("present_match")
	return FieldMatch{
		Name:   v.Str("name"),
		Match:  NewStringMatch(v.Get("string_match")),
		Absent: present.Exists() && !present.IsTrue(),
		Invert: v.Get("invert_match").IsTrue(),
	}
}

// QueryParameters are the conditions on query parameters in order.
func (m Match) QueryParameters() []FieldMatch {
	var out []FieldMatch
	for v := range m.body.Get("query_parameters").Elems() {
		out = append(out, newFieldMatch(v))
	}
	return out
}

// Cookies are the conditions on cookies in order.
func (m Match) Cookies() []FieldMatch {
	var out []FieldMatch
	for v := range m.body.Get("cookies").Elems() {
		out = append(out, newFieldMatch(v))
	}
	return out
}

// Methods are the conditions on the method, as FieldMatch writes them without the name: GET, ~GET|POST; "not " before one
// that is inverted.
func (m Match) Methods() []string {
	var out []string
	for _, h := range m.Headers() {
		if h.Name == ":method" {
			text := h.Match.String()
			if h.Invert {
				text = "not " + text
			}
			out = append(out, text)
		}
	}
	return out
}

// RuntimeFraction is the percentage of requests the route is for, picked at random; ok is false when it is for all. The runtime
// key, if it is set in the proxy, takes the percentage's place.
func (m Match) RuntimeFraction() (percentage float64, key string, ok bool) {
	v := m.body.Get("runtime_fraction")
	return percent(v.Get("default_value")), v.Str("runtime_key"), v.Exists()
}

// GRPC reports whether only gRPC requests match.
func (m Match) GRPC() bool { return m.body.Get("grpc").Exists() }

// TLS are the conditions on the client's certificate, as "presented=true" and "validated=false".
func (m Match) TLS() []string {
	var out []string
	for _, field := range [...]string{"presented", "validated"} {
		if v := m.body.Get("tls_context", field); v.Exists() {
			out = append(out, field+"="+v.Text())
		}
	}
	return out
}

// Metadata are the conditions on metadata that filters have set, as filter:path.path=value.
func (m Match) Metadata() []string {
	var out []string
	for v := range m.body.Get("dynamic_metadata").Elems() {
		var path []string
		for segment := range v.Get("path").Elems() {
			path = append(path, segment.Str("key"))
		}
		op := "="
		if v.Get("invert").IsTrue() {
			op = "!="
		}
		out = append(out, v.Str("filter")+":"+strings.Join(path, ".")+op+valueText(v.Get("value")))
	}
	return out
}

// valueText gives an envoy.type.matcher.v3.ValueMatcher; one of the rarer forms as its JSON.
func valueText(v rawjson.Value) string {
	for kind, arg := range v.Members() {
		switch kind {
		case "string_match", "stringMatch":
			return NewStringMatch(arg).String()
		case "bool_match", "boolMatch":
			return arg.Text()
		case "present_match", "presentMatch":
			return "present:" + arg.Text()
		case "null_match", "nullMatch":
			return "null"
		}
	}
	return string(v)
}

// FilterState are the conditions on filter state, as key=value.
func (m Match) FilterState() []string {
	var out []string
	for v := range m.body.Get("filter_state").Elems() {
		text := v.Str("key") + "="
		if s := v.Get("string_match"); s.Exists() {
			text += NewStringMatch(s).String()
		} else {
			text += string(v.Get("address_match"))
		}
		out = append(out, text)
	}
	return out
}

// String is the whole match in one line: the path in the words of Cell, and then what istioctl leaves out.
func (m Match) String() string {
	parts := []string{}
	switch kind, value := m.Path(); kind {
	case Connect:
		parts = append(parts, "CONNECT")
	case Template:
		parts = append(parts, "template "+value)
	default:
		text := m.Cell()
		if text == "" && kind != "" {
			text = "*"
		}
		if !m.CaseSensitive() && kind != Regex {
			text += " (any case)"
		}
		if text != "" {
			parts = append(parts, text)
		}
	}
	add := func(what string, texts ...string) {
		for _, text := range texts {
			parts = append(parts, what+" "+text)
		}
	}
	for _, h := range m.Headers() {
		if h.Name != ":method" || h.Match.Kind == "" {
			add("header", h.String())
		}
	}
	for _, method := range m.Methods() {
		if method != "" && method != "not " {
			add("method", method)
		}
	}
	for _, q := range m.QueryParameters() {
		add("query", q.String())
	}
	for _, c := range m.Cookies() {
		add("cookie", c.String())
	}
	if percentage, key, ok := m.RuntimeFraction(); ok {
		text := percentText(percentage)
		if key != "" {
			text += " (" + key + ")"
		}
		add("runtime", text)
	}
	if m.GRPC() {
		parts = append(parts, "grpc")
	}
	add("tls", m.TLS()...)
	add("metadata", m.Metadata()...)
	add("filter_state", m.FilterState()...)
	return strings.Join(parts, " ")
}
