package cel_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/meshlark/meshlark/xds/cel"
	"github.com/meshlark/meshlark/xds/rawjson"
)

func call(function string, args ...string) string {
	return `{"call_expr":{"function":"` + function + `","args":[` + strings.Join(args, ",") + `]}}`
}

func text(s string) string { return fmt.Sprintf(`{"const_expr":{"string_value":%q}}`, s) }

func of(kind, value string) string { return `{"constExpr":{"` + kind + `Value":` + value + `}}` }

func list(elements ...string) string {
	return `{"list_expr":{"elements":[` + strings.Join(elements, ",") + `]}}`
}

// attribute is a variable or, after dots, a member of one.
func attribute(path string) string {
	name, rest, _ := strings.Cut(path, ".")
	out := `{"ident_expr":{"name":"` + name + `"}}`
	for field := range strings.SplitSeq(rest, ".") {
		if field != "" {
			out = `{"select_expr":{"operand":` + out + `,"field":"` + field + `"}}`
		}
	}
	return out
}

// unknown has members that are not known.
type unknown struct{}

func (unknown) Member(string) (any, bool, error) { return nil, false, cel.ErrUnknown }

var vars = cel.Object{
	"a":    map[string]any{"text": "one", "list": []any{"x", 5.0, map[string]any{"k": "v"}}, "n": 5.0, "in": map[string]any{"k": "v"}, "null": nil},
	"what": unknown{},
}

func TestHolds(t *testing.T) {
	yes, no := of("bool", "true"), of("bool", "false")
	none := call("_==_", attribute("a.none"), text("")) // fails
	fixed := `{"call_expr":{"target":` + attribute("a.none") + `,"function":"matches","args":[` + text("x") + `]}}`
	dark := call("_==_", attribute("what.x"), text(""))
	n := func(value string) string { return of("int64", value) }
	for _, tc := range []struct {
		expr string
		want string // true, false, or a part of the error
	}{
		{yes, "true"}, {no, "false"}, {text("x"), "gives a string, no truth value"}, {`{}`, "an empty expression"}, {`{"const_expr":{}}`, "a constant without a value"},
		{`{"id":"1","const_expr":{"bool_value":true}}`, "true"}, {`{"comprehension_expr":{}}`, "expression comprehension_expr: not known"},
		{attribute("b"), "there is no b"}, {attribute("a.text.x"), "a string has no members"},

		{call("_&&_", yes, yes), "true"}, {call("_&&_", yes, no), "false"}, {call("_&&_", no, none), "false"}, {call("_&&_", none, no), "false"}, {call("_&&_", yes, none), "there is no none"},
		{call("_||_", no, no), "false"}, {call("_||_", no, yes), "true"}, {call("_||_", none, yes), "true"}, {call("_||_", none, no), "there is no none"},
		{call("_||_", text("x"), yes), "true"}, {call("_||_", text("x"), no), "a string is no condition"}, {call("_||_", fixed, yes), "the expression fails"}, {call("_&&_", fixed, no), "the expression fails"},
		{call("_||_", none, dark), "not known"}, {call("_||_", dark, none), "not known"}, {call("_||_", dark, yes), "true"},
		{call("!_", no), "true"}, {call("!_", none), "there is no none"}, {call("!_", text("")), "!_ is not for a string"},
		{call("_?_:_", yes, yes, none), "true"}, {call("_?_:_", no, none, yes), "true"}, {call("_?_:_", none, yes, yes), "there is no none"}, {call("_?_:_", text(""), yes, yes), "a string is no condition"},

		{call("_==_", attribute("a.text"), text("one")), "true"}, {call("_!=_", attribute("a.text"), text("one")), "false"}, {call("_==_", attribute("a.text"), n("5")), "false"},
		{call("_==_", attribute("a.n"), n("5")), "true"}, {call("_==_", of("uint64", `"5"`), of("double", "5.0")), "true"}, {call("_==_", attribute("a.null"), of("null", `"NULL_VALUE"`)), "true"},
		{call("_==_", of("double", `"NaN"`), of("double", `"NaN"`)), "false"}, {call("_==_", n("9223372036854775807"), of("double", "9223372036854775807")), "false"},
		{call("_==_", list(text("x"), n("1")), list(text("x"), n("1"))), "true"}, {call("_==_", list(text("x")), list()), "false"}, {call("_==_", attribute("a.in"), attribute("a.in")), "true"},
		{call("_==_", attribute("a.in"), attribute("a")), "false"}, {call("_==_", of("bytes", `"b25l"`), text("one")), "false"}, {call("_==_", of("bytes", `"b25l"`), of("bytes", `"b25l"`)), "true"},
		{call("_<_", n("1"), of("double", "1.5")), "true"}, {call("_<=_", n("2"), n("2")), "true"}, {call("_>_", n("2"), n("2")), "false"}, {call("_>=_", text("b"), text("a")), "true"},
		{call("_<_", no, yes), "true"}, {call("_<_", yes, no), "false"}, {call("_<_", text("1"), n("2")), "_<_ is not for a string and a number"}, {call("_<_", list(), list()), "not for a list"},

		{call("_==_", call("_+_", n("2"), n("3")), n("5")), "true"}, {call("_==_", call("_-_", n("2"), n("3")), n("-1")), "true"}, {call("_==_", call("_*_", n("2"), n("3")), n("6")), "true"},
		{call("_==_", call("_/_", n("-7"), n("2")), n("-3")), "true"}, {call("_==_", call("_%_", n("-7"), n("2")), n("-1")), "true"}, {call("_/_", n("1"), n("0")), "the divisor is 0"},
		{call("_+_", n("9223372036854775807"), n("1")), "too large"}, {call("_-_", of("uint64", "1"), of("uint64", "2")), "too large"}, {call("_+_", n("1"), of("double", "1")), "_+_ is not for"},
		{call("_==_", call("_/_", of("double", "1"), of("double", "4")), of("double", "0.25")), "true"}, {call("_%_", of("double", "1"), of("double", "4")), "_%_ is not for"},
		{call("_==_", call("_+_", text("a"), text("b")), text("ab")), "true"}, {call("_-_", text("a"), text("b")), "_-_ is not for"}, {call("_==_", call("-_", n("5")), n("-5")), "true"}, {call("-_", text("")), "-_ is not for"},

		{call("contains", attribute("a.text"), text("n")), "true"}, {call("startsWith", attribute("a.text"), text("n")), "false"}, {call("endsWith", attribute("a.text"), text("ne")), "true"},
		{call("matches", attribute("a.text"), text("^o.e$")), "true"}, {call("matches", attribute("a.text"), text("(")), "matches: "}, {call("matches", attribute("a.n"), text("x")), "the expression fails"}, {call("contains", attribute("a.n"), text("x")), "contains is not for"},
		{call("@in", text("x"), attribute("a.list")), "true"}, {call("@in", text("y"), attribute("a.list")), "false"}, {call("@in", text("text"), attribute("a")), "true"}, {call("@in", n("1"), attribute("a")), "false"}, {call("@in", text("x"), text("x")), "in is not for"},
		{call("@in", attribute("a.in"), attribute("a.list")), "true"},
		{call("_==_", call("_[_]", attribute("a.list"), of("uint64", "0")), text("x")), "true"}, {call("_[_]", attribute("a.list"), n("3")), "there is no element 3"}, {call("_[_]", attribute("a.list"), of("double", "0.5")), "there is no element"},
		{call("_==_", call("_[_]", attribute("a"), text("text")), text("one")), "true"}, {call("_==_", call("_[_]", call("_[_]", attribute("a.list"), n("2")), text("k")), text("v")), "true"}, {call("_[_]", text("x"), n("0")), "[] is not for"},
		{call("_==_", call("size", text("äb")), n("2")), "true"}, {call("_==_", call("size", attribute("a.list")), n("3")), "true"}, {call("_==_", call("size", attribute("a.in")), n("1")), "true"}, {call("_==_", call("size", of("bytes", `"b25l"`)), n("3")), "true"},
		{call("_==_", call("string", n("5")), text("5")), "true"}, {call("_==_", call("lowerAscii", text("AbÄ")), text("abÄ")), "true"}, {call("_==_", call("upperAscii", text("abä")), text("ABä")), "true"}, {call("dyn", yes), "true"},
		{call("timestamp", text("")), "function timestamp of a string: not known"}, {call("f"), "function f of 0 arguments: not known"}, {call("f", yes, yes), "function f: not known"},

		{`{"selectExpr":{"operand":` + attribute("a") + `,"field":"text","testOnly":true}}`, "true"}, {`{"select_expr":{"operand":` + attribute("a") + `,"field":"none","test_only":true}}`, "false"},
		{`{"select_expr":{"operand":` + attribute("what") + `,"field":"x","test_only":true}}`, "not known"},
		{strings.Repeat(`{"call_expr":{"function":"!_","args":[`, 200) + yes + strings.Repeat(`]}}`, 200), "nested too deep"},
	} {
		holds, err := cel.Holds(rawjson.Value(tc.expr), vars)
		got := fmt.Sprint(holds)
		if err != nil {
			got = err.Error()
		}
		if !strings.Contains(got, tc.want) || errors.Is(err, cel.ErrUnknown) != (strings.Contains(tc.want, "not known") || strings.Contains(tc.want, "nested")) {
			t.Errorf("%s: %s, want %s", tc.expr, got, tc.want)
		}
	}
}

func FuzzHolds(f *testing.F) {
	f.Add([]byte(call("_&&_", call("@in", text("x"), attribute("a.list")), call("matches", attribute("a.text"), text("a*")))))
	f.Add([]byte(call("_[_]", list(of("int64", "1")), of("double", "1e300"))))
	f.Fuzz(func(t *testing.T, expr []byte) {
		if holds, err := cel.Holds(expr, vars); holds && err != nil {
			t.Errorf("%s holds, and fails: %v", expr, err)
		}
	})
}
