package builtins

import (
	"context"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/meshlark/meshlark/xds/pattern"
	startime "go.starlark.net/lib/time"
	"go.starlark.net/starlark"
	"go.starlark.net/syntax"
)

// A signature is a parameter list, ready to unpack calls.
//
// The type of a parameter is one or more of these, with "|" between:
//
//	any        every value
//	string int float bool dict None   the Starlark types
//	number     int or float
//	text       string or bytes
//	pattern    a string that selects names: * and ?, =exact, ~substring, re:regexp
//	duration   "1m30s", a number of seconds, or a time.duration
//	list       any sequence
//	callable   a function
//	Proxy ...  a type of this package
//
// A parameter whose default is None takes None as well.
type signature struct {
	params   []Param
	args     int // index of *args, or -1
	kwargs   int // index of **kwargs, or -1
	defaults func() ([]starlark.Value, error)
}

func newSignature(params []Param) *signature {
	s := &signature{params: params, args: -1, kwargs: -1}
	for i, p := range params {
		switch {
		case strings.HasPrefix(p.Name, "**"):
			s.kwargs = i
		case strings.HasPrefix(p.Name, "*"):
			s.args = i
		}
	}
	// Defaults are source text so that the documentation shows what is used.
	s.defaults = sync.OnceValues(func() ([]starlark.Value, error) {
		out := make([]starlark.Value, len(params))
		for i, p := range params {
			if p.Default == "" || p.variadic() {
				continue
			}
			v, err := starlark.EvalOptions(&syntax.FileOptions{}, &starlark.Thread{}, "default", p.Default, nil)
			if err != nil {
				return nil, fmt.Errorf("default of %s: %w", p.Name, err)
			}
			v.Freeze()
			out[i] = v
		}
		return out, nil
	})
	return s
}

// A Call is one call of a function or method, its arguments checked against
// the table.
type Call struct {
	Thread *starlark.Thread
	Entry  *Entry
	Recv   starlark.Value   // of a method
	Args   []starlark.Value // what *args took
	Kwargs []starlark.Tuple // what **kwargs took, in order

	values []starlark.Value
	given  []bool
}

// call runs the entry's function on the arguments. The evaluation's end is
// looked at before and after, so that no call outlives an interrupt and no
// interrupted call's result is used.
func (e *Entry) call(thread *starlark.Thread, recv starlark.Value, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	c, err := e.spec.unpack(e, args, kwargs)
	if err != nil {
		return nil, err
	}
	c.Thread, c.Recv = thread, recv
	ctx := Context(thread)
	if err := context.Cause(ctx); err != nil {
		return nil, err
	}
	v, err := e.fn(c)
	if cause := context.Cause(ctx); cause != nil {
		return nil, cause
	}
	if err != nil {
		return nil, err
	}
	if v == nil {
		v = starlark.None
	}
	return v, nil
}

func (s *signature) unpack(e *Entry, args starlark.Tuple, kwargs []starlark.Tuple) (*Call, error) {
	c := &Call{Entry: e, values: make([]starlark.Value, len(s.params)), given: make([]bool, len(s.params))}
	if defaults, err := s.defaults(); err != nil {
		return nil, err
	} else {
		copy(c.values, defaults)
	}
	set := func(i int, v starlark.Value) error {
		if c.given[i] {
			return fmt.Errorf("got two values for %s", s.params[i].Name)
		}
		if v == starlark.None && s.params[i].OrNone {
			return nil
		}
		if err := s.params[i].check(v); err != nil {
			return err
		}
		c.values[i], c.given[i] = v, true
		return nil
	}

	next := 0
	for i, v := range args {
		if next < len(s.params) && !s.params[next].KwOnly && !s.params[next].variadic() {
			if err := set(next, v); err != nil {
				return nil, err
			}
			next++
			continue
		}
		if s.args < 0 {
			return nil, fmt.Errorf("got %d positional arguments, want at most %d%s", len(args), next, s.usage(e))
		}
		c.Args = append(c.Args, args[i:]...)
		break
	}

	for _, kw := range kwargs {
		name := string(kw[0].(starlark.String))
		i := slices.IndexFunc(s.params, func(p Param) bool { return p.Name == name })
		switch {
		case i >= 0:
			if err := set(i, kw[1]); err != nil {
				return nil, err
			}
		case s.kwargs >= 0:
			c.Kwargs = append(c.Kwargs, kw)
		default:
			return nil, s.unexpected(e, name)
		}
	}
	for i, p := range s.params {
		if p.Required() && !c.given[i] {
			return nil, fmt.Errorf("missing argument %s%s", p.Name, s.usage(e))
		}
	}
	return c, nil
}

func (s *signature) usage(e *Entry) string { return " (usage: " + e.Usage() + ")" }

func (s *signature) unexpected(e *Entry, name string) error {
	var names []string
	for _, p := range s.params {
		names = append(names, p.Name)
	}
	if n := nearest(name, names); n != "" {
		return fmt.Errorf("unexpected argument %s; did you mean %s?", name, n)
	}
	if len(names) == 0 {
		return fmt.Errorf("unexpected argument %s: %s takes none", name, e.Name)
	}
	return fmt.Errorf("unexpected argument %s; it takes: %s", name, strings.Join(names, ", "))
}

// Usage is the entry's call as one line, such as
// proxy(name) or clusters(name=None, state=None, fqdn=None).
func (e *Entry) Usage() string {
	var b strings.Builder
	b.WriteString(e.Name)
	if e.Kind != Function && e.Kind != Method {
		return b.String()
	}
	b.WriteByte('(')
	kwOnly := false
	for i, p := range e.Params {
		if i > 0 {
			b.WriteString(", ")
		}
		if p.KwOnly && !kwOnly {
			kwOnly = true
			b.WriteString("*, ")
		}
		if strings.HasPrefix(p.Name, "*") && !strings.HasPrefix(p.Name, "**") {
			kwOnly = true
		}
		b.WriteString(p.Name)
		if p.Default != "" {
			b.WriteByte('=')
			b.WriteString(p.Default)
		}
	}
	b.WriteByte(')')
	return b.String()
}

// check tells whether a value may be given to the parameter.
func (p Param) check(v starlark.Value) error {
	if v == starlark.None && p.Default == "None" {
		return nil
	}
	if !p.accepts(v) {
		want := p.Type
		if p.Default == "None" {
			want += "|None"
		}
		return fmt.Errorf("%s: got %s, want %s", p.Name, v.Type(), typeWords.Replace(want))
	}
	if s, ok := starlark.AsString(v); ok && len(p.Enum) > 0 {
		if err := checkEnum(p.Name, s, append(slices.Clone(p.Enum), p.Free...)); err != nil {
			return err
		}
	}
	return nil
}

// typeWords says a parameter's type as the language calls it.
var typeWords = strings.NewReplacer("|", " or ", "pattern", "string", "text", "string", "callable", "function")

func checkEnum(name, s string, allowed []string) error {
	if slices.Contains(allowed, s) {
		return nil
	}
	return fmt.Errorf("%s: no such value %s; it is one of %s", name, quoteText(s), strings.Join(quoteAll(allowed), ", "))
}

func quoteText(s string) string { return starlark.String(s).String() }

func quoteAll(ss []string) []string {
	out := make([]string, len(ss))
	for i, s := range ss {
		out[i] = quoteText(s)
	}
	return out
}

func (p Param) accepts(v starlark.Value) bool {
	for t := range strings.SplitSeq(p.Type, "|") {
		if acceptsType(t, v) {
			return true
		}
	}
	return false
}

func acceptsType(t string, v starlark.Value) bool {
	switch t {
	case "any":
		return true
	case "string", "pattern":
		_, ok := v.(starlark.String)
		return ok
	case "text":
		switch v.(type) {
		case starlark.String, starlark.Bytes:
			return true
		}
		return false
	case "number", "float":
		switch v.(type) {
		case starlark.Int, starlark.Float:
			return true
		}
		return false
	case "duration":
		switch v.(type) {
		case starlark.String, starlark.Int, starlark.Float, startime.Duration:
			return true
		}
		return false
	case "list":
		_, isMapping := v.(starlark.IterableMapping)
		_, ok := v.(starlark.Iterable)
		return ok && !isMapping
	case "dict":
		_, ok := v.(starlark.IterableMapping)
		return ok
	case "callable":
		_, ok := v.(starlark.Callable)
		return ok
	case "None":
		return v == starlark.None
	default:
		return v.Type() == t
	}
}

// Context is the evaluation's context.
func (c *Call) Context() context.Context { return Context(c.Thread) }

// Host is the evaluation's host, or an error for a thread that has none.
func (c *Call) Host() (Host, error) {
	if h := HostOf(c.Thread); h != nil {
		return h, nil
	}
	return nil, errors.New("not available here: no session")
}

// index finds a parameter; a name that the table does not have is a mistake
// of the function's author.
func (c *Call) index(name string) int {
	for i, p := range c.Entry.Params {
		if p.Name == name {
			return i
		}
	}
	panic(c.Entry.Name + " has no parameter " + name)
}

// Value is an argument or its default; nil when it is None.
func (c *Call) Value(name string) starlark.Value {
	v := c.values[c.index(name)]
	if v == starlark.None {
		return nil
	}
	return v
}

// Given reports whether the caller passed the argument.
func (c *Call) Given(name string) bool { return c.given[c.index(name)] }

// Text is a string argument, "" when it is None.
func (c *Call) Text(name string) string {
	switch v := c.Value(name).(type) {
	case starlark.String:
		return string(v)
	case starlark.Bytes:
		return string(v)
	}
	return ""
}

// Bool is the truth of an argument, false when it is None.
func (c *Call) Bool(name string) bool {
	v := c.Value(name)
	return v != nil && bool(v.Truth())
}

// Int is an integer argument, 0 when it is None.
func (c *Call) Int(name string) (*big.Int, bool) {
	if v, ok := c.Value(name).(starlark.Int); ok {
		return v.BigInt(), true
	}
	return nil, false
}

// Pattern is a pattern argument; None matches everything.
func (c *Call) Pattern(name string) (pattern.Pattern, error) {
	s := c.Text(name)
	p, err := pattern.Parse(s)
	if err != nil {
		return p, fmt.Errorf("%s: %w", name, err)
	}
	return p, nil
}

// Duration is a duration argument, 0 when it is None.
func (c *Call) Duration(name string) (time.Duration, error) {
	switch v := c.Value(name).(type) {
	case nil:
		return 0, nil
	case startime.Duration:
		return time.Duration(v), nil
	case starlark.String:
		d, err := time.ParseDuration(string(v))
		if err != nil {
			return 0, fmt.Errorf(`%s: %s is no duration; write one like "30s" or "1m30s"`, name, v)
		}
		return d, nil
	default:
		f, _ := starlark.AsFloat(v)
		return time.Duration(f * float64(time.Second)), nil
	}
}
