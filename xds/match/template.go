package match

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
)

// A Template is a URI template that a path is matched against (envoy.extensions.path.match.uri_template.v3.UriTemplateMatchConfig): segments, with * for
// one segment, ** for any rest, and {name}, {name=*}, {name=**} or {name=a/*} for the same with a name.
type Template struct {
	text string
	re   *regexp.Regexp
	err  error
}

// The characters of a segment, in the syntax of a character class.
const segmentClass = `a-zA-Z0-9\-._~%!$&'()+,;:@=*`

var (
	templateLiteral  = regexp.MustCompile(`\A[` + segmentClass + `]+\z`)
	rewriteLiteral   = regexp.MustCompile(`\A[` + segmentClass + `/]+\z`)
	templateVariable = regexp.MustCompile(`\A[a-zA-Z][a-zA-Z0-9_]*\z`)
	templateText     = regexp.MustCompile(`\A/[[:graph:]]*\z`)
)

const (
	oneSegment  = "[" + segmentClass + "]+"
	anySegments = "[" + segmentClass + "/]*"
)

// Limits Envoy puts on a template.
const (
	maxVariables    = 5
	maxVariableName = 16
)

// NewTemplate reads a template.
func NewTemplate(text string) Template {
	t := Template{text: text}
	p := templateParser{rest: text}
	expression, err := p.parse()
	if err == nil {
		t.re, err = regexp.Compile(`\A(?:` + expression + `)\z`)
	}
	if err != nil {
		t.err = fmt.Errorf("read URI template %q: %w", text, err)
	}
	return t
}

// Match reports whether a path without its query matches.
func (t Template) Match(path string) bool { return t.re != nil && t.re.MatchString(path) }

// Err says why nothing can match, nil when something can.
func (t Template) Err() error { return t.err }

// Rewrite makes a path of the rewriting template (envoy.extensions.path.rewrite.uri_template.v3), in which {name} stands for what the variable of
// that name matched in path. ok is false when the path does not match or the rewriting template is faulty.
func (t Template) Rewrite(path, rewrite string) (rewritten string, ok bool) {
	if t.re == nil || !strings.HasPrefix(rewrite, "/") || strings.Contains(rewrite, "//") {
		return "", false
	}
	captures := t.re.FindStringSubmatch(path)
	if captures == nil {
		return "", false
	}
	var b strings.Builder
	for rest := rewrite; rest != ""; {
		literal, tail, found := strings.Cut(rest, "{")
		if literal != "" && !rewriteLiteral.MatchString(literal) {
			return "", false
		}
		b.WriteString(literal)
		if !found {
			break
		}
		name, after, closed := strings.Cut(tail, "}")
		i := t.re.SubexpIndex(name)
		if !closed || i < 0 {
			return "", false
		}
		b.WriteString(captures[i])
		rest = after
	}
	return b.String(), true
}

// A templateParser turns a template into a regular expression.
type templateParser struct {
	rest      string
	names     map[string]bool
	afterGlob bool // after **, with which * and ** are not allowed any more
}

func (p *templateParser) parse() (string, error) {
	if !templateText.MatchString(p.rest) {
		return "", errors.New("it has to begin with / and be printable")
	}
	p.rest = p.rest[1:]
	p.names = map[string]bool{}
	var segments []string
	suffix := ""
	for p.rest != "" {
		segment, err := p.segment()
		if err != nil {
			return "", err
		}
		segments = append(segments, segment)
		if p.rest == "" {
			break
		}
		if p.rest == "/" {
			segments = append(segments, "")
			break
		}
		if p.rest[0] == '/' {
			p.rest = p.rest[1:]
			continue
		}
		if suffix, err = p.literal(); err != nil {
			return "", err
		}
		if p.rest != "" {
			return "", errors.New("a suffix has to be the end")
		}
	}
	return "/" + strings.Join(segments, "/") + suffix, nil
}

func (p *templateParser) segment() (string, error) {
	if p.rest[0] == '*' {
		var text string
		text, p.rest = glob(p.rest)
		return p.operator(text)
	}
	segment, _, _ := strings.Cut(p.rest, "/")
	if p.rest[0] == '{' || strings.Contains(segment, "{") && strings.Contains(segment, "}") {
		return p.variable()
	}
	return p.literal()
}

// glob takes * or ** off the front.
func glob(text string) (operator, rest string) {
	if strings.HasPrefix(text, "**") {
		return "**", text[2:]
	}
	return "*", text[1:]
}

func (p *templateParser) operator(text string) (string, error) {
	if p.afterGlob {
		return "", errors.New("a wildcard after **")
	}
	if text == "**" {
		p.afterGlob = true
		return anySegments, nil
	}
	return oneSegment, nil
}

func (p *templateParser) literal() (string, error) {
	end := strings.IndexByte(p.rest, '/')
	if end < 0 {
		end = len(p.rest)
	}
	text := p.rest[:end]
	p.rest = p.rest[end:]
	return quoteLiteral(text)
}

// quoteLiteral makes an expression of plain text. Envoy leaves * as it is, which then repeats the character before it.
func quoteLiteral(text string) (string, error) {
	if !templateLiteral.MatchString(text) {
		return "", fmt.Errorf("text %q has characters that are not allowed", text)
	}
	return strings.NewReplacer("$", `\$`, "(", `\(`, ")", `\)`, "+", `\+`, ".", `\.`).Replace(text), nil
}

// variable reads {name} or {name=match} with literal text before and after it in the same segment.
func (p *templateParser) variable() (string, error) {
	prefix, rest, _ := strings.Cut(p.rest, "{")
	inner, rest, closed := strings.Cut(rest, "}")
	if !closed {
		return "", errors.New("a variable that is not closed")
	}
	end := strings.IndexByte(rest, '/')
	if end < 0 {
		end = len(rest)
	}
	suffix := rest[:end]
	p.rest = rest[end:]
	for _, text := range [...]*string{&prefix, &suffix} {
		if *text == "" {
			continue
		}
		quoted, err := quoteLiteral(*text)
		if err != nil {
			return "", err
		}
		*text = quoted
	}
	name, pattern, hasPattern := strings.Cut(inner, "=")
	switch {
	case !templateVariable.MatchString(name) || len(name) > maxVariableName:
		return "", fmt.Errorf("variable name %q is not allowed", name)
	case p.names[name]:
		return "", fmt.Errorf("variable %q is there twice", name)
	case len(p.names) == maxVariables:
		return "", fmt.Errorf("more than %d variables", maxVariables)
	case hasPattern && pattern == "":
		return "", fmt.Errorf("variable %q matches nothing", name)
	}
	p.names[name] = true
	expression, err := p.pattern(pattern)
	if err != nil {
		return "", err
	}
	return prefix + "(?P<" + name + ">" + expression + ")" + suffix, nil
}

func (p *templateParser) pattern(text string) (string, error) {
	if text == "" {
		if p.afterGlob {
			return "", errors.New("a variable after **")
		}
		return oneSegment, nil
	}
	var parts []string
	for text != "" {
		var part string
		var err error
		if text[0] == '*' {
			var operator string
			operator, text = glob(text)
			part, err = p.operator(operator)
		} else {
			end := strings.IndexByte(text, '/')
			if end < 0 {
				end = len(text)
			}
			part, err = quoteLiteral(text[:end])
			text = text[end:]
		}
		if err != nil {
			return "", err
		}
		parts = append(parts, part)
		if text == "" {
			break
		}
		if text[0] != '/' || len(text) == 1 {
			return "", fmt.Errorf("%q in a variable", text)
		}
		text = text[1:]
	}
	return strings.Join(parts, "/"), nil
}
