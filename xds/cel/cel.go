// Package cel evaluates expressions of the Common Expression Language in the parsed form (cel.expr.Expr, google.api.expr.v1alpha1.Expr) that
// conditions of access rules and matchers have. What Envoy leaves out of the language is not there either: no comprehensions, no times.
package cel

import (
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strconv"

	"github.com/meshlark/meshlark/xds/rawjson"
)

// A value is nil, a bool, int64, uint64, float64, string, []byte, []any or a Map.

// A Map is a value with members.
type Map interface {
	// Member finds a member; ok is false for one that there is not. An error says that it is not known.
	Member(key string) (value any, ok bool, err error)
}

// Object is a Map of decoded JSON.
type Object map[string]any

// Member finds a member.
func (o Object) Member(key string) (value any, ok bool, err error) {
	value, ok = o[key]
	return asMap(value), ok, nil
}

// asMap gives an object of decoded JSON its members.
func asMap(value any) any {
	if object, isObject := value.(map[string]any); isObject {
		return Object(object)
	}
	return value
}

// ErrUnknown is for an expression that would have a value, which is not known here.
var ErrUnknown = errors.New("not known")

// errFails is for what makes the whole expression fail, also where another operand would decide.
var errFails = errors.New("the expression fails")

// Holds reports whether an expression gives true. An error that is no ErrUnknown is that of an expression which gives no value: it does not hold.
func Holds(expr rawjson.Value, vars Map) (bool, error) {
	e := evaluation{vars: vars}
	value, err := e.value(expr, 0)
	if err != nil {
		return false, err
	}
	holds, isBool := value.(bool)
	if !isBool {
		return false, fmt.Errorf("the expression gives %s, no truth value", kind(value))
	}
	return holds, nil
}

// Limits on what a hostile expression can ask for.
const (
	maxDepth = 100
	maxSteps = 10_000
)

type evaluation struct {
	vars  Map
	steps int
}

func (e *evaluation) value(v rawjson.Value, depth int) (any, error) {
	if e.steps++; depth > maxDepth || e.steps > maxSteps {
		return nil, fmt.Errorf("an expression that is nested too deep or too long: %w", ErrUnknown)
	}
	for kind, arg := range v.Members() {
		switch kind {
		case "const_expr", "constExpr":
			return constant(arg)
		case "ident_expr", "identExpr":
			return member(e.vars, arg.Str("name"))
		case "select_expr", "selectExpr":
			return e.selected(arg, depth)
		case "call_expr", "callExpr":
			return e.call(arg, depth)
		case "list_expr", "listExpr":
			return e.all(arg.Get("elements"), depth)
		case "id":
		default:
			return nil, fmt.Errorf("expression %s: %w", kind, ErrUnknown)
		}
	}
	return nil, errors.New("an empty expression")
}

func constant(v rawjson.Value) (any, error) {
	for kind, arg := range v.Members() {
		switch kind {
		case "null_value", "nullValue":
			return nil, nil
		case "bool_value", "boolValue":
			return arg.IsTrue(), nil
		case "int64_value", "int64Value":
			return strconv.ParseInt(text(arg), 10, 64)
		case "uint64_value", "uint64Value":
			return strconv.ParseUint(text(arg), 10, 64)
		case "double_value", "doubleValue":
			return strconv.ParseFloat(text(arg), 64)
		case "string_value", "stringValue":
			return arg.Text(), nil
		case "bytes_value", "bytesValue":
			return base64.StdEncoding.DecodeString(arg.Text())
		default:
			return nil, fmt.Errorf("constant %s: %w", kind, ErrUnknown)
		}
	}
	return nil, errors.New("a constant without a value")
}

// text is a number, which JSON may have as text.
func text(v rawjson.Value) string {
	if v.Kind() == rawjson.String {
		return v.Text()
	}
	return string(v)
}

func (e *evaluation) all(list rawjson.Value, depth int) ([]any, error) {
	out := []any{}
	for v := range list.Elems() {
		value, err := e.value(v, depth+1)
		if err != nil {
			return nil, err
		}
		out = append(out, value)
	}
	return out, nil
}

// selected is a member of a value, or whether there is one: a.b, has(a.b).
func (e *evaluation) selected(v rawjson.Value, depth int) (any, error) {
	of, err := e.value(v.Get("operand"), depth+1)
	if err != nil {
		return nil, err
	}
	m, isMap := of.(Map)
	if !isMap {
		return nil, fmt.Errorf("%s has no members", kind(of))
	}
	if v.Get("test_only").IsTrue() {
		_, ok, err := m.Member(v.Str("field"))
		return ok, err
	}
	return member(m, v.Str("field"))
}

func member(m Map, key string) (any, error) {
	value, ok, err := m.Member(key)
	switch {
	case err != nil:
		return nil, err
	case !ok:
		return nil, fmt.Errorf("there is no %s", key)
	}
	return value, nil
}

func (e *evaluation) call(v rawjson.Value, depth int) (any, error) {
	name := v.Str("function")
	var operands []rawjson.Value
	if target := v.Get("target"); target.Exists() {
		operands = append(operands, target)
	}
	operands = slices.AppendSeq(operands, v.Get("args").Elems())
	switch {
	case (name == "_&&_" || name == "_||_") && len(operands) == 2:
		return e.either(operands, name == "_||_", depth)
	case name == "_?_:_" && len(operands) == 3:
		condition, err := e.value(operands[0], depth+1)
		if err != nil {
			return nil, err
		}
		holds, isBool := condition.(bool)
		switch {
		case !isBool:
			return nil, fmt.Errorf("%s is no condition", kind(condition))
		case holds:
			return e.value(operands[1], depth+1)
		}
		return e.value(operands[2], depth+1)
	}
	args := make([]any, len(operands))
	for i, operand := range operands {
		var err error
		args[i], err = e.value(operand, depth+1)
		if _, isText := args[0].(string); i == 0 && !isText && !errors.Is(err, ErrUnknown) && matchesFixed(name, operands) {
			return nil, fmt.Errorf("matches looks at what is no string: %w", errFails)
		}
		if err != nil {
			return nil, err
		}
	}
	return apply(name, args)
}

// matchesFixed reports whether a call compares with a regular expression that stands in the expression, which Envoy compiles beforehand.
func matchesFixed(name string, operands []rawjson.Value) bool {
	return name == "matches" && len(operands) == 2 && operands[1].Get("const_expr", "string_value").Exists()
}

// either is && or ||. One operand that decides does so whatever becomes of the other.
func (e *evaluation) either(operands []rawjson.Value, decides bool, depth int) (any, error) {
	var failed error
	for _, operand := range operands {
		value, err := e.value(operand, depth+1)
		holds, isBool := value.(bool)
		switch {
		case errors.Is(err, errFails):
			return nil, err
		case err == nil && isBool && holds == decides:
			return decides, nil
		case err == nil && !isBool:
			err = fmt.Errorf("%s is no condition", kind(value))
		}
		if failed == nil || errors.Is(err, ErrUnknown) {
			failed = err
		}
	}
	if failed != nil {
		return nil, failed
	}
	return !decides, nil
}

// kind names the type of a value in a message.
func kind(value any) string {
	switch value.(type) {
	case nil:
		return "null"
	case bool:
		return "a bool"
	case int64, uint64, float64:
		return "a number"
	case string:
		return "a string"
	case []byte:
		return "bytes"
	case []any:
		return "a list"
	}
	return "a map"
}
