package builtins

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"go.starlark.net/starlark"
	"go.starlark.net/starlarkstruct"
	"go.starlark.net/syntax"
)

// functions describes the functions that belong to no value.
func (b *builder) functions() {
	b.function("jq", []Param{
		{Name: "value", Type: "any", Doc: "what to filter; left out, it comes from the left of |"},
		{Name: "f", Type: "string", Default: "None", Doc: "the jq filter"},
		eachParam, varsParam,
	}, "list | Filter", "The outputs of a jq filter on any value, always as a list. Called with the filter alone it gives a Filter for value | jq(f).",
		`proxy("productpage-v1").routes() | jq(".[].virtual_hosts[].domains[]")`, jqFunc)
	b.function("jq1", []Param{{Name: "value", Type: "any", Doc: "what to filter"}, filterParam, eachParam, varsParam}, "any",
		"The one output of a jq filter. It is an error when there is none or more than one.", `jq1({"a": {"b": 2}}, ".a.b") == 2`, jq1Func)

	b.function("attempt", []Param{
		{Name: "fn", Type: "callable", Doc: "the function to call"},
		{Name: "*args", Type: "any", Doc: "its arguments"},
		{Name: "**kwargs", Type: "any", Doc: "its arguments by name"},
	}, "struct", "Calls a function and gives struct(ok, value, error) instead of failing. An interrupt is not caught.",
		`attempt(proxy, "no such proxy").error`, attemptFunc)
	b.function("wait", []Param{
		{Name: "fn", Type: "callable", Doc: "asked again and again until what it gives is true"},
		{Name: "timeout", Type: "duration", Default: `"60s"`, Doc: "how long to go on"},
		{Name: "every", Type: "duration", Default: `"2s"`, Doc: "the pause between two calls"},
	}, "any", "Calls fn until it gives something true, and gives that. Each call sees the mesh anew. It is an error when the time is over.",
		`wait(lambda: proxies(), timeout="10s", every="1s")`, waitFunc)
	b.function("table", []Param{
		{Name: "rows", Type: "list", Doc: "lists of cells, or dicts or objects of which the columns are taken"},
		{Name: "columns", Type: "list", Default: "None", Doc: "the headings; for dicts and objects the keys or fields"},
	}, "Table", "Rows as a table.", `table([("reviews", 3), ("ratings", 1)], columns=["service", "hosts"])`, tableFunc)
	b.function("sum", []Param{
		{Name: "xs", Type: "list", Doc: "numbers, or anything else that + adds"},
		{Name: "start", Type: "any", Default: "0", Doc: "what to begin with, and the sum of nothing"},
	}, "any", "The sum of a list: all of it added with +.", `sum([len(p.clusters()) for p in proxies("productpage*")])`, sumFunc)
	b.function("read_file", []Param{{Name: "path", Type: "string", Doc: "relative to the file that calls; at the prompt to the working directory"}}, "string",
		"The text of a file under the working directory or the script's folder.", `attempt(read_file, "notes.txt").ok`, func(c *Call) (starlark.Value, error) {
			h, err := c.Host()
			if err != nil {
				return nil, err
			}
			data, err := h.ReadFile(c.Thread, c.Text("path"))
			return text(string(data)), err
		})
	b.function("write_file", []Param{
		{Name: "path", Type: "string", Doc: "relative to the folder that --out names"},
		{Name: "text", Type: "text", Doc: "what to write"},
	}, "None", "Writes a file under the folder that --out names, whole or not at all.", `attempt(write_file, "report.txt", "all is well\n").ok`, func(c *Call) (starlark.Value, error) {
		h, err := c.Host()
		if err != nil {
			return nil, err
		}
		return starlark.None, h.WriteFile(c.Text("path"), []byte(c.Text("text")))
	})
	b.function("print", []Param{
		{Name: "*args", Type: "any", Doc: "what to print"},
		{Name: "sep", Type: "string", Default: `" "`, Doc: "what stands between", KwOnly: true},
	}, "None", "Prints values. A single collection or object is shown as at the prompt.", `print("proxies:", len(proxies()))`, printFunc)
	b.function("help", []Param{{Name: "topic", Type: "any", Default: "None", Doc: `a function, a value, or a name such as "Proxy" or "Proxy.clusters"`}}, "None",
		"Prints what a function, a type or a value can do; without an argument, what there is.", `help("Proxy")`, helpFunc)
	b.t.funcs["struct"] = &Entry{Name: "struct", Kind: Function, Params: []Param{{Name: "**fields", Type: "any", Doc: "the fields"}}, Returns: "struct",
		Doc: "A record of named values.", Example: `struct(name="reviews", hosts=3).hosts`, raw: starlark.NewBuiltin("struct", starlarkstruct.Make)}
	b.t.entries = append(b.t.entries, b.t.funcs["struct"])

	b.runbooks()
	b.literals()
}

// runbooks describes the functions of runbooks.
func (b *builder) runbooks() {
	b.function("arg", []Param{
		{Name: "name", Type: "string", Doc: "the argument's name"},
		{Name: "default", Type: "any", Default: "None", Doc: "its value when it is not given; without a default it must be"},
		{Name: "type", Type: "string", Default: "None", Doc: "its type; that of the default when left out", Enum: ArgTypes()},
		{Name: "doc", Type: "string", Default: `""`, Doc: "a sentence for help"},
		{Name: "enum", Type: "list", Default: "None", Doc: "the values allowed"},
		{Name: "positional", Type: "bool", Default: "False", Doc: "whether it may be given without its name"},
	}, "any", "Declares an argument of a runbook and gives its value. Only as a top-level assignment with literal parameters.",
		`grace = arg("grace", default="30s", type="duration", doc="how long STALE may last")`, argFunc)
	b.function("check", []Param{
		{Name: "id", Type: "string", Doc: "what is checked, such as stale-rds"},
		{Name: "ok", Type: "any", Doc: "whether it is as it should be"},
		{Name: "subject", Type: "any", Default: "None", Doc: "what it was checked on: a proxy, a cluster or a text"},
		{Name: "message", Type: "string", Default: `""`, Doc: "what was found"},
		{Name: "severity", Type: "string", Default: `"error"`, Doc: "how bad it is when it is not; only an error makes the run fail", Enum: Severities()},
	}, "bool", "Records the outcome of a check and goes on. Gives whether it was ok.", `check("has-proxies", len(proxies()) > 0, message="no proxy is connected")`, checkFunc)
	b.function("skip", []Param{{Name: "message", Type: "string", Doc: "why nothing can be checked"}}, "None",
		"Records that something could not be checked, and why. A run of nothing but skips is ok.", `skip("no gateway in this mesh")`, skipFunc)
	b.function("run", []Param{
		{Name: "name", Type: "string", Doc: "the runbook: its name or file"},
		{Name: "*args", Type: "any", Doc: "its positional argument"},
		{Name: "**kwargs", Type: "any", Doc: "its arguments by name"},
	}, "Checks", "Runs another runbook and gives its checks.", `attempt(run, "stale", grace="1m")`, func(c *Call) (starlark.Value, error) {
		h, err := c.Host()
		if err != nil {
			return nil, err
		}
		args := map[string]starlark.Value{}
		for _, kw := range c.Kwargs {
			args[string(kw[0].(starlark.String))] = kw[1]
		}
		return h.RunRunbook(c.Thread, c.Text("name"), c.Args, args)
	})
}

// isInterrupt tells whether an error is the end of the whole evaluation, which
// attempt and wait must not catch.
func isInterrupt(c *Call, err error) bool {
	return context.Cause(c.Context()) != nil || errors.Is(err, context.Canceled)
}

func attemptFunc(c *Call) (starlark.Value, error) {
	v, err := starlark.Call(c.Thread, c.Value("fn"), c.Args, c.Kwargs)
	if err != nil && isInterrupt(c, err) {
		return nil, err
	}
	if err != nil {
		return record("ok", starlark.False, "value", starlark.None, "error", text(errorText(err))), nil
	}
	return record("ok", starlark.True, "value", v, "error", starlark.None), nil
}

// errorText is an error without the call stack around it.
func errorText(err error) string {
	var e *starlark.EvalError
	if errors.As(err, &e) {
		return e.Msg
	}
	return err.Error()
}

func waitFunc(c *Call) (starlark.Value, error) {
	timeout, err := c.Duration("timeout")
	if err != nil {
		return nil, err
	}
	every, err := c.Duration("every")
	if err != nil {
		return nil, err
	}
	if every <= 0 {
		return nil, errors.New("every: must be more than nothing")
	}
	h, err := c.Host()
	if err != nil {
		return nil, err
	}
	fn := c.Value("fn")
	start := h.Now()
	for slept := time.Duration(0); ; slept += every {
		v, err := starlark.Call(c.Thread, fn, nil, nil)
		if err != nil {
			return nil, err
		}
		if v.Truth() {
			return v, nil
		}
		// The clock of a recording stands still, so what was slept counts as well.
		waited := max(slept, h.Now().Sub(start))
		if waited >= timeout {
			return nil, fmt.Errorf("not true after %s; the last answer was %s", timeout, clip(v.String(), 200))
		}
		if err := h.Sleep(c.Context(), min(every, timeout-waited)); err != nil {
			return nil, err
		}
		h.NewGeneration()
	}
}

func sumFunc(c *Call) (starlark.Value, error) {
	total := orNone(c.Value("start"))
	for x := range starlark.Elements(c.Value("xs").(starlark.Iterable)) {
		var err error
		if total, err = starlark.Binary(syntax.PLUS, total, x); err != nil {
			return nil, err
		}
	}
	return total, nil
}

func tableFunc(c *Call) (starlark.Value, error) {
	var names []string
	if cols, ok := c.Value("columns").(starlark.Iterable); ok {
		for x := range starlark.Elements(cols) {
			s, ok := starlark.AsString(x)
			if !ok {
				return nil, fmt.Errorf("columns: got a %s, want strings", x.Type())
			}
			names = append(names, s)
		}
	}
	var rows [][]starlark.Value
	for x := range starlark.Elements(c.Value("rows").(starlark.Iterable)) {
		if names == nil {
			names = columnNames(x)
		}
		row, err := rowOf(x, names)
		if err != nil {
			return nil, fmt.Errorf("row %d: %w", len(rows), err)
		}
		rows = append(rows, row)
	}
	return NewTable(names, rows), nil
}

// columnNames makes up headings from the first row.
func columnNames(row starlark.Value) []string {
	var names []string
	switch row := row.(type) {
	case starlark.IterableMapping:
		for k := range starlark.Entries(row) {
			names = append(names, CellText(k))
		}
	case starlark.Iterable:
		for range starlark.Elements(row) {
			names = append(names, fmt.Sprintf("column %d", len(names)+1))
		}
	case *starlarkstruct.Struct:
		names = row.AttrNames()
	default:
		names = []string{"value"}
	}
	return names
}

func rowOf(x starlark.Value, names []string) ([]starlark.Value, error) {
	row := make([]starlark.Value, len(names))
	switch x := x.(type) {
	case starlark.Mapping:
		for i, n := range names {
			v, found, err := x.Get(starlark.String(n))
			if err != nil {
				return nil, err
			}
			if !found {
				v = starlark.None
			}
			row[i] = v
		}
	case starlark.Iterable:
		row = slices.Collect(starlark.Elements(x))
		if len(row) != len(names) {
			return nil, fmt.Errorf("got %d cells for %d columns", len(row), len(names))
		}
	case starlark.HasAttrs:
		for i, n := range names {
			v, err := x.Attr(n)
			if err != nil {
				return nil, err
			}
			if v == nil {
				return nil, fmt.Errorf("a %s has no attribute %s", x.Type(), n)
			}
			row[i] = v
		}
	default:
		if len(names) != 1 {
			return nil, fmt.Errorf("got a %s, want a list, a dict or an object", x.Type())
		}
		row[0] = x
	}
	return row, nil
}

func printFunc(c *Call) (starlark.Value, error) {
	var parts []string
	for _, v := range c.Args {
		if s, ok := starlark.AsString(v); ok {
			parts = append(parts, s)
			continue
		}
		if h := HostOf(c.Thread); h != nil && len(c.Args) == 1 {
			if s, ok := h.Show(v); ok {
				parts = append(parts, s)
				continue
			}
		}
		parts = append(parts, v.String())
	}
	out := strings.Join(parts, c.Text("sep"))
	if c.Thread.Print != nil {
		c.Thread.Print(c.Thread, out)
		return starlark.None, nil
	}
	return nil, errors.New("nowhere to print to")
}

func argFunc(c *Call) (starlark.Value, error) {
	h, err := c.Host()
	if err != nil {
		return nil, err
	}
	spec := ArgSpec{Name: c.Text("name"), Type: c.Text("type"), Doc: c.Text("doc"), Positional: c.Bool("positional"), Default: c.Value("default")}
	if enum, ok := c.Value("enum").(starlark.Iterable); ok {
		for x := range starlark.Elements(enum) {
			spec.Enum = append(spec.Enum, CellText(x))
		}
	}
	return h.Arg(c.Thread, spec)
}

func checkFunc(c *Call) (starlark.Value, error) {
	h, err := c.Host()
	if err != nil {
		return nil, err
	}
	k := Check{ID: c.Text("id"), OK: c.Bool("ok"), Message: c.Text("message"), Severity: c.Text("severity")}
	if s := c.Value("subject"); s != nil {
		k.Subject = CellText(s)
	}
	return starlark.Bool(k.OK), h.RecordCheck(c.Thread, k)
}

func skipFunc(c *Call) (starlark.Value, error) {
	h, err := c.Host()
	if err != nil {
		return nil, err
	}
	return starlark.None, h.RecordCheck(c.Thread, Check{Message: c.Text("message"), Skipped: true, Severity: SeverityInfo})
}
