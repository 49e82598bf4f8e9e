package builtins

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/itchyny/gojq"
	"go.starlark.net/starlark"
	"go.starlark.net/syntax"
)

// eachNames are the variables that each=True binds.
var eachNames = []string{"$name", "$proxy", "$state", "$version_info"}

// Filter is a jq filter that waits for its input: what jq(f) gives. It is
// applied with `value | jq(f)`.
type Filter struct {
	text   string
	names  []string // variables, with their $
	values []any
	each   bool
	code   *gojq.Code
	ctx    context.Context // of the call that made it: operators are given none
}

var _ starlark.HasBinary = (*Filter)(nil)

func (f *Filter) String() string        { return "<jq " + clip(f.text, 60) + ">" }
func (f *Filter) Type() string          { return "Filter" }
func (f *Filter) Freeze()               {}
func (f *Filter) Truth() starlark.Bool  { return true }
func (f *Filter) Hash() (uint32, error) { return starlark.String(f.text).Hash() }

// Binary applies the filter to what is on the left of it.
func (f *Filter) Binary(op syntax.Token, y starlark.Value, side starlark.Side) (starlark.Value, error) {
	if op != syntax.PIPE || side != starlark.Right {
		return nil, nil
	}
	ctx := f.ctx
	if ctx.Err() != nil { // made by an earlier evaluation, at a prompt
		ctx = context.Background()
	}
	v, err := f.list(ctx, y)
	if err != nil {
		return nil, fmt.Errorf("jq: %w", err)
	}
	return v, nil
}

// programs keeps compiled filters, because scripts use the same few over and
// over. A filter means the same whenever it is compiled, so keeping it changes
// nothing but the time.
var programs = struct {
	sync.Mutex
	codes map[string]*gojq.Code
}{codes: map[string]*gojq.Code{}}

const maxPrograms = 512

func compile(text string, names []string) (*gojq.Code, error) {
	key := strings.Join(names, " ") + "\x00" + text
	programs.Lock()
	code := programs.codes[key]
	programs.Unlock()
	if code != nil {
		return code, nil
	}
	query, err := gojq.Parse(text)
	if err != nil {
		return nil, parseError(text, err)
	}
	code, err = gojq.Compile(query, gojq.WithVariables(names))
	if err != nil {
		return nil, fmt.Errorf("%w in the filter %s", err, clip(text, 200))
	}
	programs.Lock()
	defer programs.Unlock()
	if len(programs.codes) >= maxPrograms {
		clear(programs.codes)
	}
	programs.codes[key] = code
	return code, nil
}

// parseError shows the line of the filter with a caret under the fault.
func parseError(text string, err error) error {
	var pe *gojq.ParseError
	if !errors.As(err, &pe) {
		return err
	}
	at := min(max(pe.Offset-len(pe.Token), 0), len(text))
	start := strings.LastIndexByte(text[:at], '\n') + 1
	line := text[start:]
	if end := strings.IndexByte(line, '\n'); end >= 0 {
		line = line[:end]
	}
	column := utf8.RuneCountInString(text[start:at])
	return fmt.Errorf("%w in the filter\n    %s\n    %s^", err, strings.ReplaceAll(line, "\t", " "), strings.Repeat(" ", column))
}

// newFilter compiles a filter with the variables a call bound.
func newFilter(ctx context.Context, text string, each bool, vars []starlark.Tuple) (*Filter, error) {
	f := &Filter{text: text, each: each, ctx: ctx}
	for _, kw := range vars {
		name := "$" + string(kw[0].(starlark.String))
		if each && slices.Contains(eachNames, name) {
			return nil, fmt.Errorf("each=True binds %s itself", name)
		}
		v, err := decode(kw[1], 0)
		if err != nil {
			return nil, fmt.Errorf("variable %s: %w", name, err)
		}
		f.names, f.values = append(f.names, name), append(f.values, v)
	}
	names := f.names
	if each {
		names = append(slices.Clone(names), eachNames...)
	}
	var err error
	f.code, err = compile(text, names)
	return f, err
}

// run gives the filter's outputs for a value.
func (f *Filter) run(ctx context.Context, v starlark.Value) ([]starlark.Value, error) {
	if !f.each {
		return f.feed(ctx, nil, v, f.values)
	}
	xs, ok := v.(starlark.Iterable)
	if _, isMapping := v.(starlark.IterableMapping); !ok || isMapping {
		xs = starlark.Tuple{v}
	}
	var out []starlark.Value
	for x := range starlark.Elements(xs) {
		var err error
		if out, err = f.feed(ctx, out, x, append(slices.Clone(f.values), eachValues(x)...)); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// eachValues are what each=True binds for an element, in the order of
// eachNames; null where the element has no such thing.
func eachValues(x starlark.Value) []any {
	out := make([]any, len(eachNames))
	for i, name := range eachNames {
		e := lookup(x.Type(), name[1:])
		if e == nil || e.Kind != Field {
			continue
		}
		if v, err := e.get(x); err == nil && v != starlark.None {
			out[i] = CellText(v)
		}
	}
	return out
}

func (f *Filter) feed(ctx context.Context, out []starlark.Value, x starlark.Value, values []any) ([]starlark.Value, error) {
	input, err := decode(x, 0)
	if err != nil {
		return nil, err
	}
	iter := f.code.RunWithContext(ctx, input, values...)
	for {
		v, ok := iter.Next()
		if !ok {
			return out, nil
		}
		err, failed := v.(error)
		if !failed {
			out = append(out, encode(v))
			continue
		}
		var halt *gojq.HaltError
		switch {
		case ctx.Err() != nil:
			return nil, context.Cause(ctx)
		case errors.As(err, &halt) && halt.Value() == nil:
			return out, nil
		default:
			return nil, fmt.Errorf("%w (input: %s)", err, clip(x.String(), 120))
		}
	}
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

// jqFunc implements jq(value, f): the outputs as a list, or, called with the
// filter alone, a Filter.
func jqFunc(c *Call) (starlark.Value, error) {
	value, filter := c.Value("value"), c.Value("f")
	alone := filter == nil
	if alone {
		value, filter = nil, value
	}
	text, ok := filter.(starlark.String)
	if !ok {
		return nil, errors.New(`the filter must be a string, as in jq(value, ".name") or value | jq(".name")`)
	}
	f, err := newFilter(c.Context(), string(text), c.Bool("each"), c.Kwargs)
	if err != nil || alone {
		return f, err
	}
	return f.list(c.Context(), value)
}

func (f *Filter) list(ctx context.Context, v starlark.Value) (starlark.Value, error) {
	out, err := f.run(ctx, v)
	if err != nil {
		return nil, err
	}
	return starlark.NewList(out), nil
}

// single runs the filter and insists on one output.
func (f *Filter) single(ctx context.Context, v starlark.Value) (starlark.Value, error) {
	out, err := f.run(ctx, v)
	if err != nil {
		return nil, err
	}
	if len(out) != 1 {
		return nil, fmt.Errorf("the filter %s gave %d outputs, want exactly 1; jq gives them all as a list", clip(f.text, 80), len(out))
	}
	return out[0], nil
}

func jq1Func(c *Call) (starlark.Value, error) {
	f, err := newFilter(c.Context(), c.Text("f"), c.Bool("each"), c.Kwargs)
	if err != nil {
		return nil, err
	}
	return f.single(c.Context(), c.Value("value"))
}

func jqMethod(c *Call) (starlark.Value, error) {
	f, err := newFilter(c.Context(), c.Text("f"), c.Bool("each"), c.Kwargs)
	if err != nil {
		return nil, err
	}
	return f.list(c.Context(), c.Recv)
}

func jq1Method(c *Call) (starlark.Value, error) {
	f, err := newFilter(c.Context(), c.Text("f"), c.Bool("each"), c.Kwargs)
	if err != nil {
		return nil, err
	}
	return f.single(c.Context(), c.Recv)
}
