package builtins

import (
	"strings"

	"go.starlark.net/starlark"
	"go.starlark.net/syntax"
)

// checkValue is a Check in the language: what run(...) gives of the runbook it
// ran.
type checkValue struct{ c Check }

var (
	_ starlark.HasAttrs   = (*checkValue)(nil)
	_ starlark.Comparable = (*checkValue)(nil)
)

// NewChecks makes the collection of the checks of a run.
func NewChecks(checks []Check) *Collection {
	out := newCollection("Check", nil)
	for _, c := range checks {
		out.items = append(out.items, &checkValue{c})
	}
	return out
}

// ChecksOf gives the checks of a collection of them; ok is false for any other.
func ChecksOf(c *Collection) (checks []Check, ok bool) {
	if c.elem != "Check" {
		return nil, false
	}
	for _, v := range c.items {
		checks = append(checks, v.(*checkValue).c)
	}
	return checks, true
}

func (k *checkValue) String() string {
	return "<" + clip(strings.Join(strings.Fields("check "+k.c.ID+" "+k.c.Subject+" "+k.c.Outcome()), " "), 160) + ">"
}
func (k *checkValue) Type() string         { return "Check" }
func (k *checkValue) Freeze()              {}
func (k *checkValue) Truth() starlark.Bool { return starlark.Bool(k.c.OK) }
func (k *checkValue) Hash() (uint32, error) {
	return starlark.String(k.c.Runbook + k.c.ID + k.c.Subject).Hash()
}
func (k *checkValue) Attr(n string) (starlark.Value, error) { return attr(k, n) }
func (k *checkValue) AttrNames() []string                   { return attrNames(k) }
func (k *checkValue) Item() Item                            { return itemOf(k, "check") }

func (k *checkValue) CompareSameType(op syntax.Token, y starlark.Value, _ int) (bool, error) {
	return compareSame(op, k.c == y.(*checkValue).c, "checks")
}

// checks describes Check.
func (b *builder) checks() {
	t := b.typ("Check", "Value", "The outcome of one check(...) or skip(...). It is true when it is ok.")
	t.naming = "id"
	str := func(name, doc string, get func(Check) string) *Entry {
		t.columns = append(t.columns, column{Column: Column{Name: strings.ToUpper(name), Elide: ElideEnd}, Wide: name == "runbook",
			Cell: func(v starlark.Value) string { return get(v.(*checkValue).c) }})
		return field(b, name, "string", doc, `[c.`+name+` for c in attempt(run, "stale").value or []]`,
			func(k *checkValue) (starlark.Value, error) { return text(get(k.c)), nil })
	}
	str("id", "What was checked, as the runbook names it; \"\" for a skip.", func(c Check) string { return c.ID })
	t.columns = append(t.columns, column{Column: Column{Name: "OUTCOME"}, Cell: func(v starlark.Value) string { return v.(*checkValue).c.Outcome() }})
	str("subject", "What it was checked on.", func(c Check) string { return c.Subject })
	str("severity", "How bad it is when it is not ok.", func(c Check) string { return c.Severity }).enum(Severities()...)
	str("message", "What was found, or why it was skipped.", func(c Check) string { return c.Message })
	str("runbook", "The runbook that checked.", func(c Check) string { return c.Runbook })
	field(b, "ok", "bool", "Whether it is as it should be; False for a skip.", `[c for c in attempt(run, "stale").value or [] if not c.ok]`,
		func(k *checkValue) (starlark.Value, error) { return starlark.Bool(k.c.OK), nil })
	field(b, "skipped", "bool", "Whether nothing could be checked.", `[c for c in attempt(run, "stale").value or [] if c.skipped]`,
		func(k *checkValue) (starlark.Value, error) { return starlark.Bool(k.c.Skipped), nil })
	b.collection("Checks", "Check", "Outcomes of checks.")
}
