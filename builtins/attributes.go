package builtins

import (
	"fmt"
	"slices"
	"strings"

	"go.starlark.net/starlark"
)

// attr is the Attr method of every value: it looks the name up in the
// registry. A name that the type does not have is an error that says what
// there is.
func attr(v starlark.Value, name string) (starlark.Value, error) {
	t := types()[v.Type()]
	if t == nil {
		return nil, nil
	}
	e := t.attrs[name]
	switch {
	case e == nil:
		err := noAttr(v.Type(), name, t.names)
		if elem := types()[t.Elem]; elem != nil && elem.attrs[name] != nil {
			call := ""
			if elem.attrs[name].Kind != Field {
				call = "(...)"
			}
			err = fmt.Errorf("%s has no attribute %s, but each %s in it has: [x.%s%s for x in ...]", v.Type(), name, t.Elem, name, call)
		}
		return nil, err
	case e.Kind == Field:
		return e.get(v)
	default:
		return e.builtin(v), nil
	}
}

// attrNames is the AttrNames method of every value.
func attrNames(v starlark.Value) []string {
	if t := types()[v.Type()]; t != nil {
		return slices.Clone(t.names)
	}
	return nil
}

// noAttr is not a starlark.NoSuchAttrError because the interpreter would add a
// hint of its own.
func noAttr(typ, name string, have []string) error {
	hint := ""
	if s := nearest(name, have); s != "" {
		hint = "; did you mean " + s + "?"
	}
	return fmt.Errorf("%s has no attribute %s%s (it has: %s)", typ, name, hint, strings.Join(have, ", "))
}

// nearest finds the candidate closest to what was written, "" when none is
// close enough to be what was meant.
func nearest(word string, candidates []string) string {
	best, bestDistance := "", max(1, len(word)/3)+1
	for _, c := range candidates {
		d := distance(strings.ToLower(word), strings.ToLower(c))
		if d < bestDistance {
			best, bestDistance = c, d
		}
	}
	return best
}

// distance is the number of letters to insert, remove, replace or swap with
// their neighbour to get from a to b.
func distance(a, b string) int {
	prev2 := make([]int, len(b)+1)
	prev := make([]int, len(b)+1)
	cur := make([]int, len(b)+1)
	for j := range prev {
		prev[j] = j
	}
	for i := 1; i <= len(a); i++ {
		cur[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			cur[j] = min(prev[j]+1, cur[j-1]+1, prev[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				cur[j] = min(cur[j], prev2[j-2]+1)
			}
		}
		prev2, prev, cur = prev, cur, prev2
	}
	return prev[len(b)]
}

// Nearest finds the candidate that was probably meant by a misspelt word, ""
// when none is close.
func Nearest(word string, candidates []string) string { return nearest(word, candidates) }
