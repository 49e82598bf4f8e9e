package cel

import (
	"bytes"
	"cmp"
	"fmt"
	"math"
	"math/big"
	"regexp"
	"slices"
	"strings"
)

// apply calls a function whose arguments have values.
func apply(name string, args []any) (any, error) {
	switch len(args) {
	case 1:
		return one(name, args[0])
	case 2:
		return two(name, args[0], args[1])
	}
	return nil, fmt.Errorf("function %s of %d arguments: %w", name, len(args), ErrUnknown)
}

func one(name string, a any) (any, error) {
	switch name {
	case "!_":
		if holds, isBool := a.(bool); isBool {
			return !holds, nil
		}
		return nil, noOverload(name, a)
	case "-_":
		switch a := a.(type) {
		case int64:
			if a != math.MinInt64 {
				return -a, nil
			}
		case float64:
			return -a, nil
		}
		return nil, noOverload(name, a)
	case "dyn":
		return a, nil
	case "string":
		switch a := a.(type) {
		case string, bool, int64, uint64:
			return fmt.Sprint(a), nil
		case []byte:
			return string(a), nil
		}
	case "lowerAscii", "upperAscii":
		text, isText := a.(string)
		switch {
		case !isText:
			return nil, noOverload(name, a)
		case name == "lowerAscii":
			return strings.Map(func(r rune) rune { return shifted(r, 'A', 'Z', 'a') }, text), nil
		}
		return strings.Map(func(r rune) rune { return shifted(r, 'a', 'z', 'A') }, text), nil
	case "size":
		switch a := a.(type) {
		case string:
			return int64(len([]rune(a))), nil
		case []byte:
			return int64(len(a)), nil
		case []any:
			return int64(len(a)), nil
		case Object:
			return int64(len(a)), nil
		}
	}
	return nil, fmt.Errorf("function %s of %s: %w", name, kind(a), ErrUnknown)
}

// shifted moves a letter of a range to another that begins with to.
func shifted(r, from, until, to rune) rune {
	if from <= r && r <= until {
		return r - from + to
	}
	return r
}

func two(name string, a, b any) (any, error) {
	switch name {
	case "_==_":
		return equal(a, b), nil
	case "_!=_":
		return !equal(a, b), nil
	case "_<_", "_<=_", "_>_", "_>=_":
		order, ok := compare(a, b)
		if !ok {
			return nil, noOverload(name, a, b)
		}
		return map[string]bool{"_<_": order < 0, "_<=_": order <= 0, "_>_": order > 0, "_>=_": order >= 0}[name], nil
	case "_+_", "_-_", "_*_", "_/_", "_%_":
		return calculate(name, a, b)
	case "@in", "in", "_in_":
		return contained(a, b)
	case "_[_]":
		return indexed(a, b)
	case "contains", "startsWith", "endsWith", "matches":
		text, isText := a.(string)
		part, isPart := b.(string)
		if !isText || !isPart {
			return nil, noOverload(name, a, b)
		}
		return compared(name, text, part)
	}
	return nil, fmt.Errorf("function %s: %w", name, ErrUnknown)
}

func noOverload(name string, args ...any) error {
	kinds := make([]string, len(args))
	for i, a := range args {
		kinds[i] = kind(a)
	}
	return fmt.Errorf("%s is not for %s", name, strings.Join(kinds, " and "))
}

func compared(name, text, part string) (any, error) {
	switch name {
	case "contains":
		return strings.Contains(text, part), nil
	case "startsWith":
		return strings.HasPrefix(text, part), nil
	case "endsWith":
		return strings.HasSuffix(text, part), nil
	}
	re, err := regexp.Compile(part)
	if err != nil {
		return nil, fmt.Errorf("matches: %w", err)
	}
	return re.MatchString(text), nil
}

// equal compares values of any types: numbers by what they stand for, whatever their type.
func equal(a, b any) bool {
	a, b = asMap(a), asMap(b)
	if order, ok := compare(a, b); ok {
		return order == 0
	}
	switch a := a.(type) {
	case nil:
		return b == nil
	case []any:
		list, isList := b.([]any)
		return isList && slices.EqualFunc(a, list, equal)
	case Object:
		other, isObject := b.(Object)
		if !isObject || len(a) != len(other) {
			return false
		}
		for key, mine := range a {
			if theirs, there := other[key]; !there || !equal(mine, theirs) {
				return false
			}
		}
		return true
	}
	return false
}

// compare orders two values of types that have an order; ok is false for others, and for what is no number.
func compare(a, b any) (order int, ok bool) {
	switch a := a.(type) {
	case bool:
		if b, isBool := b.(bool); isBool {
			switch {
			case a == b:
				return 0, true
			case a:
				return 1, true
			}
			return -1, true
		}
	case string:
		if b, isText := b.(string); isText {
			return cmp.Compare(a, b), true
		}
	case []byte:
		if b, isBytes := b.([]byte); isBytes {
			return bytes.Compare(a, b), true
		}
	}
	x, isNumber := number(a)
	y, isOther := number(b)
	if !isNumber || !isOther {
		return 0, false
	}
	return x.Cmp(y), true
}

// number is a number of any type, infinite ones too; ok is false for another value and for NaN.
func number(value any) (n *big.Float, ok bool) {
	switch v := value.(type) {
	case int64:
		return new(big.Float).SetInt64(v), true
	case uint64:
		return new(big.Float).SetUint64(v), true
	case float64:
		if !math.IsNaN(v) {
			return big.NewFloat(v), true
		}
	}
	return nil, false
}

// calculate does arithmetic on two numbers of one type, or joins texts; what does not fit the type is an error.
func calculate(name string, a, b any) (any, error) {
	switch x := a.(type) {
	case float64:
		if y, same := b.(float64); same && name != "_%_" {
			return map[string]float64{"_+_": x + y, "_-_": x - y, "_*_": x * y, "_/_": x / y}[name], nil
		}
	case int64:
		if y, same := b.(int64); same {
			out, err := whole(name, big.NewInt(x), big.NewInt(y))
			if err == nil && !out.IsInt64() {
				err = fmt.Errorf("%s: the result is too large", name)
			}
			if err != nil {
				return nil, err
			}
			return out.Int64(), nil
		}
	case string:
		if y, same := b.(string); same && name == "_+_" {
			return x + y, nil
		}
	case uint64:
		if y, same := b.(uint64); same {
			out, err := whole(name, new(big.Int).SetUint64(x), new(big.Int).SetUint64(y))
			if err == nil && !out.IsUint64() {
				err = fmt.Errorf("%s: the result is too large", name)
			}
			if err != nil {
				return nil, err
			}
			return out.Uint64(), nil
		}
	}
	return nil, noOverload(name, a, b)
}

func whole(name string, x, y *big.Int) (*big.Int, error) {
	out := new(big.Int)
	switch name {
	case "_+_":
		return out.Add(x, y), nil
	case "_-_":
		return out.Sub(x, y), nil
	case "_*_":
		return out.Mul(x, y), nil
	}
	if y.Sign() == 0 {
		return nil, fmt.Errorf("%s: the divisor is 0", name)
	}
	if name == "_/_" {
		return out.Quo(x, y), nil
	}
	return out.Rem(x, y), nil
}

// contained is a in b.
func contained(a, b any) (any, error) {
	switch b := b.(type) {
	case []any:
		return slices.ContainsFunc(b, func(elem any) bool { return equal(a, elem) }), nil
	case Map:
		key, isText := a.(string)
		if !isText {
			return false, nil
		}
		_, ok, err := b.Member(key)
		return ok, err
	}
	return nil, noOverload("in", a, b)
}

// indexed is a[b].
func indexed(a, b any) (any, error) {
	switch a := a.(type) {
	case []any:
		n, isNumber := number(b)
		i, exact := int64(0), big.Above
		if isNumber {
			i, exact = n.Int64()
		}
		if exact != big.Exact || i < 0 || i >= int64(len(a)) {
			return nil, fmt.Errorf("there is no element %v", b)
		}
		return asMap(a[i]), nil
	case Map:
		if key, isText := b.(string); isText {
			return member(a, key)
		}
	}
	return nil, noOverload("[]", a, b)
}
