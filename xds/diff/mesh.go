package diff

import (
	"cmp"
	"slices"
)

// A Mesh is the difference between two sets of proxies.
type Mesh struct {
	Left, Right string   // names of the sides
	Added       []string // names of proxies that only the right side has
	Removed     []string // names of proxies that only the left side has
	Changed     []*Diff  // of proxies that differ, in the order of their names
	Same        int      // how many proxies do not differ
}

// Empty reports whether there is no difference.
func (m *Mesh) Empty() bool { return len(m.Added)+len(m.Removed)+len(m.Changed) == 0 }

// Meshes compares two sets of proxies: first which there are, by name, then the resources of each. Proxies that share bodies, as they
// do in one resource.Store, cost little more than one. The error is as for Compare.
func Meshes(left, right []Config, o Options) (*Mesh, error) {
	e, err := newEngine(o)
	if err != nil {
		return nil, err
	}
	byName := func(a, b Config) int { return cmp.Compare(a.Name, b.Name) }
	left, right = slices.Clone(left), slices.Clone(right)
	slices.SortStableFunc(left, byName)
	slices.SortStableFunc(right, byName)
	m := &Mesh{}
	for len(left)+len(right) > 0 {
		switch {
		case len(right) == 0 || len(left) > 0 && left[0].Name < right[0].Name:
			m.Removed = append(m.Removed, left[0].Name)
			left = left[1:]
		case len(left) == 0 || right[0].Name < left[0].Name:
			m.Added = append(m.Added, right[0].Name)
			right = right[1:]
		default:
			d, err := e.configs(left[0], right[0])
			if err != nil {
				return nil, err
			}
			d.Name = left[0].Name
			if d.Empty() {
				m.Same++
			} else {
				m.Changed = append(m.Changed, d)
			}
			left, right = left[1:], right[1:]
		}
	}
	return m, nil
}
