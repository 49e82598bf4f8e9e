package match

import (
	"maps"
	"slices"
	"strings"
)

// A Query is the parameters of a path as Envoy takes them apart to change them: decoded, and sorted by their names when they are put together again.
type Query map[string][]string

// ParseQuery reads the query of a path.
func ParseQuery(path string) Query {
	q := Query{}
	_, query, found := strings.Cut(path, "?")
	for found && query != "" {
		var field string
		field, query, _ = strings.Cut(query, "&")
		name, value, _ := strings.Cut(field, "=")
		q.Add(PercentDecode(name), PercentDecode(value))
	}
	return q
}

// Add adds a value to a parameter.
func (q Query) Add(name, value string) { q[name] = append(q[name], value) }

// Put puts the parameters in the place of a path's query. They are not encoded again.
func (q Query) Put(path string) string {
	out, _, _ := strings.Cut(path, "?")
	separator := "?"
	for _, name := range slices.Sorted(maps.Keys(q)) {
		for _, value := range q[name] {
			out += separator + name + "=" + value
			separator = "&"
		}
	}
	return out
}
