package diff_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/meshlark/meshlark/xds/diff"
	"github.com/meshlark/meshlark/xds/rawjson"
	"github.com/meshlark/meshlark/xds/schema"
)

// Every entry of the table of list policies does what it says: the order of its elements matters or not, and an element that has
// changed is known by its key. The golden file shows how elements are called in paths.
func TestListPolicies(t *testing.T) {
	var lines []string
	seen := map[string]bool{}
	for _, p := range diff.ListPolicies {
		if seen[p.Field] {
			t.Errorf("%s is in the table twice", p.Field)
		}
		seen[p.Field] = true
		message, name := p.Field[:strings.LastIndexByte(p.Field, '.')], p.Field[strings.LastIndexByte(p.Field, '.')+1:]
		m, ok := schema.LookupMessage(message)
		if !ok {
			t.Errorf("%s: there is no such message", p.Field)
			continue
		}
		f, ok := m.Field(name)
		if !ok || !f.Repeated {
			t.Errorf("%s: there is no such list", p.Field)
			continue
		}
		list := func(elems ...string) string {
			return fmt.Sprintf(`{%q:[%s]}`, name, strings.Join(elems, ","))
		}
		one, two := element(f, p, 1, false), element(f, p, 2, false)
		moved := edits(t, list(one, two), list(two, one), message, diff.Options{})
		if (p.Order == diff.Ordered) != (len(moved) > 0) {
			t.Errorf("%s is %v; when its elements change places the differences are %q", p.Field, p.Order, moved)
		}
		if len(edits(t, list(one, two), list(two, one), message, diff.Options{Exact: true})) == 0 {
			t.Errorf("%s: places do not matter with Exact", p.Field)
		}
		added := edits(t, list(one), list(two, one), message, diff.Options{})
		if len(added) != 1 || !strings.HasPrefix(added[0], "added "+name+"[") {
			t.Errorf("%s: an element that is added gives %q", p.Field, added)
			continue
		}
		label, _, _ := strings.Cut(strings.TrimPrefix(added[0], "added "), "  > ")
		lines = append(lines, fmt.Sprintf("%-8s %s%s", p.Order, p.Field, strings.TrimPrefix(label, name)))
		if len(p.Keys) == 0 || element(f, p, 2, true) == two {
			continue
		}
		// One that has changed, and stands elsewhere if that is no matter.
		right := list(one, element(f, p, 2, true))
		if p.Order == diff.Keyed {
			right = list(element(f, p, 2, true), one)
		}
		changed := edits(t, list(one, two), right, message, diff.Options{})
		if len(changed) != 1 || !strings.Contains(changed[0], " "+label+".") {
			t.Errorf("%s: an element that has changed gives %q, want one difference in %s", p.Field, changed, label)
		}
	}
	golden(t, "policies.txt", strings.Join(lines, "\n")+"\n")
}

// element makes an element of a list, whose keys have the number n; one that is changed has one field more.
func element(f *schema.Field, p diff.ListPolicy, n int, changed bool) string {
	m := f.Message()
	if m == nil {
		return scalar(f, n)
	}
	if m.Form == schema.AsAny {
		more := ""
		if changed {
			more = `,"on_demand":true`
		}
		return fmt.Sprintf(`{"@type":"type.googleapis.com/envoy.config.route.v3.ScopedRouteConfiguration","name":"text%d"%s}`, n, more)
	}
	values := map[string]any{}
	for _, keys := range p.Keys {
		for _, path := range strings.Fields(keys) {
			set(values, m, strings.Split(path, "."), n)
		}
	}
	if len(p.Keys) == 0 {
		return fill(m, n, 4)
	}
	if changed {
		for _, other := range m.Fields {
			_, isKey := values[other.Name]
			taken := slices.ContainsFunc(m.Fields, func(o *schema.Field) bool { return values[o.Name] != nil && o.Oneof == other.Oneof && o.Oneof != "" })
			if !isKey && !taken && other.MapKey == schema.NoKind {
				set(values, m, []string{other.Name}, 8)
				break
			}
		}
	}
	return object(values)
}

func object(values map[string]any) string {
	var members []string
	for name, v := range values {
		switch v := v.(type) {
		case string:
			members = append(members, fmt.Sprintf("%q:%s", name, v))
		case map[string]any:
			members = append(members, fmt.Sprintf("%q:%s", name, object(v)))
		}
	}
	slices.Sort(members)
	return "{" + strings.Join(members, ",") + "}"
}

func set(values map[string]any, m *schema.Message, path []string, n int) {
	f, ok := m.Field(path[0])
	if !ok {
		return
	}
	if len(path) > 1 {
		inner, _ := values[f.Name].(map[string]any)
		if inner == nil {
			inner = map[string]any{}
			values[f.Name] = inner
		}
		set(inner, f.Message(), path[1:], n)
		return
	}
	v := scalar(f, n)
	if f.Message() != nil {
		v = fill(f.Message(), n, 4)
	}
	if f.Repeated {
		v = "[" + v + "]"
	}
	values[f.Name] = v
}

// fill writes a message with its first field.
func fill(m *schema.Message, n, depth int) string {
	switch m.Form {
	case schema.AsWrapper:
		f, _ := m.Field("value")
		return scalar(f, n)
	case schema.AsDuration:
		return fmt.Sprintf(`"%ds"`, n)
	case schema.AsObject:
	default:
		return "{}"
	}
	for _, f := range m.Fields {
		if f.Kind != schema.MessageKind && f.Kind != schema.BoolKind && !f.Repeated && f.MapKey == schema.NoKind && (f.Kind != schema.EnumKind || len(m.Fields) == 1) {
			return fmt.Sprintf("{%q:%s}", f.Name, scalar(f, n))
		}
	}
	for _, f := range m.Fields {
		if inner := f.Message(); inner != nil && !f.Repeated && f.MapKey == schema.NoKind && depth > 0 {
			if v := fill(inner, n, depth-1); v != "{}" {
				return fmt.Sprintf("{%q:%s}", f.Name, v)
			}
		}
	}
	return "{}"
}

func scalar(f *schema.Field, n int) string {
	switch f.Kind {
	case schema.StringKind:
		return fmt.Sprintf(`"text%d"`, n)
	case schema.BytesKind:
		return `"AAAA"`
	case schema.BoolKind:
		return "true"
	case schema.EnumKind:
		values := f.Enum().Values
		return string(rawjson.Quote(nil, values[n%len(values)].Name))
	case schema.Int64Kind, schema.Uint64Kind:
		return fmt.Sprintf(`"%d"`, n)
	}
	return fmt.Sprint(n)
}
