package route

import (
	"slices"
	"strconv"
	"strings"

	"github.com/meshlark/meshlark/xds/extension"
)

// A Rewrite is how a path or a host is changed on its way. At most one field is set, Regex with its Substitution.
type Rewrite struct {
	Prefix       string // takes the place of the matched prefix or path
	Literal      string // takes the place of the host
	Header       string // request header whose value takes the place of the host
	Regex        string // every match is replaced; for a host it is matched against the path
	Substitution string
	Template     string // URI template, for a path
	Format       string // Envoy's format string
	Auto         bool   // the host becomes the upstream's name
}

// IsZero reports whether nothing is rewritten.
func (w Rewrite) IsZero() bool { return w == Rewrite{} }

// String says in one phrase what takes the place of what was there, "" when nothing does.
func (w Rewrite) String() string {
	switch {
	case w.Prefix != "":
		return w.Prefix
	case w.Literal != "":
		return w.Literal
	case w.Header != "":
		return "header " + w.Header
	case w.Regex != "":
		return "regex " + w.Regex + " -> " + w.Substitution
	case w.Template != "":
		return "template " + w.Template
	case w.Format != "":
		return "format " + w.Format
	case w.Auto:
		return "upstream host name"
	}
	return ""
}

// Rewrite is how the path is changed.
func (r Route) Rewrite() Rewrite {
	policy := extension.New(r.action("path_rewrite_policy"))
	return Rewrite{
		Prefix:       r.action("prefix_rewrite").Text(),
		Regex:        r.action("regex_rewrite", "pattern", "regex").Text(),
		Substitution: r.action("regex_rewrite", "substitution").Text(),
		Template:     policy.Value.Str("path_template_rewrite"),
		Format:       r.action("path_rewrite").Text(),
	}
}

// HostRewrite is how the Host header is changed. Weighted clusters may each set a host of their own.
func (r Route) HostRewrite() Rewrite {
	return Rewrite{
		Literal:      r.action("host_rewrite_literal").Text(),
		Header:       r.action("host_rewrite_header").Text(),
		Regex:        r.action("host_rewrite_path_regex", "pattern", "regex").Text(),
		Substitution: r.action("host_rewrite_path_regex", "substitution").Text(),
		Format:       r.action("host_rewrite").Text(),
		Auto:         r.action("auto_host_rewrite").IsTrue(),
	}
}

// A Redirect is how the Location of a redirect is made from the request's URL. Parts that are "" or 0 stay as they were.
type Redirect struct {
	Code       uint32 // 301, 302, 303, 307 or 308
	Scheme     string // https for https_redirect
	Host       string
	Port       uint32
	Path       string  // takes the place of the whole path
	Rewrite    Rewrite // changes the path instead
	StripQuery bool
}

// Redirect is what a redirect answers; ok is false for other routes.
func (r Route) Redirect() (redirect Redirect, ok bool) {
	v := r.body.Get(Redirects)
	if !v.Exists() {
		return Redirect{}, false
	}
	port, _ := v.Get("port_redirect").Uint()
	redirect = Redirect{
		Code:   301,
		Scheme: v.Str("scheme_redirect"),
		Host:   v.Str("host_redirect"),
		Port:   uint32(min(port, 1<<32-1)),
		Path:   v.Str("path_redirect"),
		Rewrite: Rewrite{
			Prefix:       v.Str("prefix_rewrite"),
			Regex:        v.Str("regex_rewrite", "pattern", "regex"),
			Substitution: v.Str("regex_rewrite", "substitution"),
			Format:       v.Str("path_rewrite"),
		},
		StripQuery: v.Get("strip_query").IsTrue(),
	}
	if v.Get("https_redirect").IsTrue() {
		redirect.Scheme = "https"
	}
	codes := [...]uint32{301, 302, 303, 307, 308}
	names := [...]string{"MOVED_PERMANENTLY", "FOUND", "SEE_OTHER", "TEMPORARY_REDIRECT", "PERMANENT_REDIRECT"}
	if i := slices.Index(names[:], enum(v.Get("response_code"), names[:]...)); i >= 0 {
		redirect.Code = codes[i]
	}
	return redirect, true
}

// String gives the code and what of the Location the route decides; a scheme or a host the request decides is in angle brackets.
func (d Redirect) String() string {
	var b strings.Builder
	b.WriteString("redirect ")
	b.WriteString(strconv.FormatUint(uint64(d.Code), 10))
	if d.Scheme != "" || d.Host != "" || d.Port != 0 {
		scheme, host := d.Scheme, d.Host
		if scheme == "" {
			scheme = "<scheme>"
		}
		if host == "" {
			host = "<host>"
		}
		b.WriteString(" " + scheme + "://" + host)
		if d.Port != 0 {
			b.WriteString(":" + strconv.FormatUint(uint64(d.Port), 10))
		}
	}
	switch {
	case d.Path != "" && (d.Scheme != "" || d.Host != "" || d.Port != 0):
		b.WriteString(d.Path)
	case d.Path != "":
		b.WriteString(" " + d.Path)
	case !d.Rewrite.IsZero():
		b.WriteString(" path " + d.Rewrite.String())
	}
	return b.String()
}
