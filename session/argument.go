package session

import (
	"errors"
	"fmt"
	"math"
	"math/big"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/meshlark/meshlark/builtins"
	startime "go.starlark.net/lib/time"
	"go.starlark.net/starlark"
)

// A UsageError is a runbook that was called wrongly: unknown, with arguments
// it does not have, without those it needs, or with values it does not take.
type UsageError struct {
	Runbook string
	Msg     string
	cause   error
}

func (e *UsageError) Error() string {
	if e.Runbook == "" {
		return e.Msg
	}
	return e.Runbook + ": " + e.Msg
}

// Unwrap gives the error behind it, if there is one.
func (e *UsageError) Unwrap() error { return e.cause }

// Flag is the argument as it is given on a command line: "--max-age".
func (a *Arg) Flag() string { return "--" + strings.ReplaceAll(a.Name, "_", "-") }

// Parse gives the values of the arguments from a command line: "--grace 1m",
// "--grace=1m", "--dry-run" and "--no-dry-run" for a bool, and a bare word for
// the positional argument. A dash in a name may be written for an underscore. A
// list may be given several times; "--" ends the names. Missing arguments have
// their defaults. Errors are of type [*UsageError].
func (i *Info) Parse(runbook string, words []string) (map[string]starlark.Value, error) {
	given := map[string]starlark.Value{}
	fail := func(format string, args ...any) (map[string]starlark.Value, error) {
		return nil, &UsageError{Runbook: runbook, Msg: fmt.Sprintf(format, args...)}
	}
	set := func(a *Arg, text string) error {
		v, err := fromText(a.ArgSpec, text)
		if err != nil {
			return err
		}
		if prior, twice := given[a.Name]; twice {
			list, ok := prior.(*starlark.List)
			if !ok {
				return errors.New("it is given twice")
			}
			all := slices.Collect(starlark.Elements(list))
			all = append(all, slices.Collect(starlark.Elements(v.(*starlark.List)))...)
			v = starlark.NewList(all)
			v.Freeze()
		}
		given[a.Name] = v
		return nil
	}
	names := true
	for k := 0; k < len(words); k++ {
		word := words[k]
		if names && word == "--" {
			names = false
			continue
		}
		negative := len(word) > 1 && word[0] == '-' && (word[1] == '.' || word[1] >= '0' && word[1] <= '9')
		if !names || word == "" || word == "-" || word[0] != '-' || negative {
			n := slices.IndexFunc(i.Args, func(a Arg) bool { return a.Positional })
			if n < 0 {
				return fail("unexpected argument %q: it needs a name%s", word, i.flags())
			}
			if err := set(&i.Args[n], word); err != nil {
				return fail("argument %s: %v", i.Args[n].Name, err)
			}
			continue
		}
		name, text, hasText := strings.Cut(strings.TrimLeft(word, "-"), "=")
		a := i.byFlag(name)
		if !strings.HasPrefix(word, "--") {
			if a != nil {
				return fail("unknown argument %s: names begin with two dashes, write %s", word, a.Flag())
			}
			return fail("unknown argument %s%s", word, i.flags())
		}
		if a == nil && !hasText {
			if off, ok := strings.CutPrefix(name, "no-"); ok {
				if neg := i.byFlag(off); neg != nil && neg.Type == "bool" {
					a, text, hasText = neg, "false", true
				}
			}
		}
		switch {
		case a == nil:
			var flags []string
			for j := range i.Args {
				flags = append(flags, i.Args[j].Flag())
			}
			return fail("unknown argument --%s%s%s", name, didYouMean("--"+name, flags), i.flags())
		case hasText:
		case a.Type == "bool":
			text = "true"
		case k+1 == len(words):
			return fail("argument %s needs a value (%s)", a.Flag(), a.Type)
		default:
			k++
			text = words[k]
		}
		if err := set(a, text); err != nil {
			return fail("argument %s: %v", a.Flag(), err)
		}
	}
	return i.fill(given, func(a *Arg) error {
		_, err := fail("argument %s is required%s", a.Flag(), i.flags())
		return err
	})
}

// Bind gives the values of the arguments from those of a call run(name, ...):
// values of the argument's type, or the text that a command line would have.
func (i *Info) Bind(positional []starlark.Value, named map[string]starlark.Value) (map[string]starlark.Value, error) {
	given := map[string]starlark.Value{}
	set := func(a *Arg, v starlark.Value) error {
		if _, twice := given[a.Name]; twice {
			return fmt.Errorf("argument %s is given twice", a.Name)
		}
		v, err := fromValue(a.ArgSpec, v)
		if err != nil {
			return fmt.Errorf("argument %s: %w", a.Name, err)
		}
		given[a.Name] = v
		return nil
	}
	for n, v := range positional {
		j := slices.IndexFunc(i.Args, func(a Arg) bool { return a.Positional })
		if j < 0 || n > 0 {
			return nil, fmt.Errorf("unexpected argument %s: it needs a name%s", v, i.names())
		}
		if err := set(&i.Args[j], v); err != nil {
			return nil, err
		}
	}
	var names []string
	for name := range named {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		a := i.Arg(name)
		if a == nil {
			var known []string
			for j := range i.Args {
				known = append(known, i.Args[j].Name)
			}
			return nil, fmt.Errorf("unknown argument %s%s%s", name, didYouMean(name, known), i.names())
		}
		if err := set(a, named[name]); err != nil {
			return nil, err
		}
	}
	return i.fill(given, func(a *Arg) error { return fmt.Errorf("argument %s is required%s", a.Name, i.names()) })
}

func (i *Info) fill(given map[string]starlark.Value, missing func(*Arg) error) (map[string]starlark.Value, error) {
	for j := range i.Args {
		a := &i.Args[j]
		if _, ok := given[a.Name]; ok {
			continue
		}
		if a.Default == nil {
			return nil, missing(a)
		}
		given[a.Name] = a.Default
	}
	return given, nil
}

// byFlag finds the argument of a flag, without dashes in front.
func (i *Info) byFlag(name string) *Arg {
	if a := i.Arg(name); a != nil {
		return a
	}
	return i.Arg(strings.ReplaceAll(name, "-", "_"))
}

// flags says which arguments there are, for the end of an error about a
// command line.
func (i *Info) flags() string { return i.list((*Arg).Flag) }

// names says the same for an error about a call.
func (i *Info) names() string { return i.list(func(a *Arg) string { return a.Name }) }

func (i *Info) list(form func(*Arg) string) string {
	if len(i.Args) == 0 {
		return "; it has no arguments"
	}
	var names []string
	for j := range i.Args {
		names = append(names, form(&i.Args[j]))
	}
	return "; its arguments: " + strings.Join(names, ", ")
}

// Usage describes the arguments for help, a line each and aligned; it is empty
// when there are none.
func (i *Info) Usage() string {
	var left []string
	width := 0
	for j := range i.Args {
		a := &i.Args[j]
		l := a.Flag()
		if a.Type != "bool" {
			l += " " + strings.ToUpper(a.Type)
		}
		if a.Positional {
			l += ", or as a word"
		}
		left = append(left, l)
		width = max(width, len(l))
	}
	var b strings.Builder
	for j := range i.Args {
		a := &i.Args[j]
		right := a.Doc
		if len(a.Enum) > 0 {
			right += " [" + strings.Join(a.Enum, "|") + "]"
		}
		switch {
		case a.Default == nil:
			right += " (required)"
		case a.Default != starlark.None && a.Default != starlark.False:
			right += " (default " + argText(a.Default) + ")"
		}
		fmt.Fprintf(&b, "  %-*s  %s\n", width, left[j], strings.TrimSpace(right))
	}
	return b.String()
}

// argText is a value as a command line would have it.
func argText(v starlark.Value) string {
	switch v := v.(type) {
	case starlark.String:
		if v == "" {
			return `""`
		}
		return string(v)
	case *starlark.List:
		var parts []string
		for x := range starlark.Elements(v) {
			parts = append(parts, argText(x))
		}
		if len(parts) == 0 {
			return `""`
		}
		return strings.Join(parts, ",")
	}
	return v.String()
}

// completeSpec checks what an argument declares, infers a type that is not
// given, and makes the default a value of the type.
func completeSpec(spec *builtins.ArgSpec) error {
	if !isName(spec.Name) {
		return fmt.Errorf("an argument needs a name of letters, digits and underscores, not %q", spec.Name)
	}
	if IsReserved(spec.Name) {
		return fmt.Errorf("`%s` is a reserved word in Starlark, so run(...) could not give an argument of that name", spec.Name)
	}
	if spec.Type == "" {
		switch spec.Default.(type) {
		case starlark.Int:
			spec.Type = "int"
		case starlark.Float:
			spec.Type = "float"
		case starlark.Bool:
			spec.Type = "bool"
		case startime.Duration:
			spec.Type = "duration"
		case *starlark.List, starlark.Tuple:
			spec.Type = "list"
		default:
			spec.Type = "string"
		}
	}
	if types := builtins.ArgTypes(); !slices.Contains(types, spec.Type) {
		return fmt.Errorf("argument %s: no type %q%s; types: %s", spec.Name, spec.Type, didYouMean(spec.Type, types), strings.Join(types, ", "))
	}
	if spec.Default == nil || spec.Default == starlark.None {
		return nil
	}
	v, err := fromValue(*spec, spec.Default)
	if err != nil {
		return fmt.Errorf("default of argument %s: %w", spec.Name, err)
	}
	spec.Default = v
	return nil
}

func isName(s string) bool {
	for i, r := range s {
		if r != '_' && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (i == 0 || r < '0' || r > '9') {
			return false
		}
	}
	return s != ""
}

// fromText makes a value of the argument's type from text.
func fromText(spec builtins.ArgSpec, text string) (starlark.Value, error) {
	var v starlark.Value
	switch spec.Type {
	case "int":
		n, ok := new(big.Int).SetString(text, 0)
		if !ok {
			return nil, fmt.Errorf("%q is not an int", text)
		}
		v = starlark.MakeBigInt(n)
	case "float":
		f, err := strconv.ParseFloat(text, 64)
		if err != nil || math.IsNaN(f) || math.IsInf(f, 0) {
			return nil, fmt.Errorf("%q is not a float", text)
		}
		v = starlark.Float(f)
	case "bool":
		switch strings.ToLower(text) {
		case "true", "yes", "on", "1":
			v = starlark.True
		case "false", "no", "off", "0":
			v = starlark.False
		default:
			return nil, fmt.Errorf("%q is not a bool: write true or false", text)
		}
	case "duration":
		d, err := time.ParseDuration(text)
		if err != nil {
			return nil, fmt.Errorf("%q is not a duration: write it as 30s, 1m30s or 2h", text)
		}
		v = startime.Duration(d)
	case "list":
		var elems []starlark.Value
		for part := range strings.SplitSeq(text, ",") {
			if part = strings.TrimSpace(part); part != "" {
				elems = append(elems, starlark.String(part))
			}
		}
		v = starlark.NewList(elems)
		v.Freeze()
	default:
		v = starlark.String(text)
	}
	return v, inEnum(spec, v)
}

// fromValue makes a value of the argument's type from a Starlark value.
func fromValue(spec builtins.ArgSpec, v starlark.Value) (starlark.Value, error) {
	if v == starlark.None && spec.Default == starlark.None {
		return v, nil
	}
	ok := false
	switch spec.Type {
	case "int":
		_, ok = v.(starlark.Int)
	case "float":
		if n, isInt := v.(starlark.Int); isInt {
			v = n.Float()
		}
		_, ok = v.(starlark.Float)
	case "bool":
		_, ok = v.(starlark.Bool)
	case "duration":
		_, ok = v.(startime.Duration)
	case "list":
		seq, isSeq := v.(starlark.Iterable)
		if !isSeq {
			break
		}
		var elems []starlark.Value
		for x := range starlark.Elements(seq) {
			if _, isString := x.(starlark.String); !isString {
				return nil, fmt.Errorf("got %s in a list of strings", x.Type())
			}
			elems = append(elems, x)
		}
		v, ok = starlark.NewList(elems), true
		v.Freeze()
	default:
		_, ok = v.(starlark.String)
	}
	if ok {
		return v, inEnum(spec, v)
	}
	if s, isString := v.(starlark.String); isString {
		return fromText(spec, string(s))
	}
	return nil, fmt.Errorf("got %s, want %s", v.Type(), spec.Type)
}

// inEnum checks a value, or each element of a list, against the values allowed.
func inEnum(spec builtins.ArgSpec, v starlark.Value) error {
	if len(spec.Enum) == 0 {
		return nil
	}
	values := []starlark.Value{v}
	if list, ok := v.(*starlark.List); ok {
		values = slices.Collect(starlark.Elements(list))
	}
	for _, v := range values {
		if text := argText(v); !slices.Contains(spec.Enum, text) {
			return fmt.Errorf("%q is not one of %s%s", text, strings.Join(spec.Enum, ", "), didYouMean(text, spec.Enum))
		}
	}
	return nil
}
