package diff_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/meshlark/meshlark/xds/diff"
)

const virtualHost = "envoy.config.route.v3.VirtualHost"

func route(name, prefix, cluster, timeout string) string {
	return fmt.Sprintf(`{"name":%q,"match":{"prefix":%q},"route":{"cluster":%q,"timeout":%q,"retry_policy":{"retry_on":"5xx","num_retries":2}}}`, name, prefix, cluster, timeout)
}

func routes(all []string) string { return `{"name":"v","routes":[` + strings.Join(all, ",") + `]}` }

// Routes are paired in their order, wherever some are inserted, removed and changed.
func TestRoutes(t *testing.T) {
	var all []string
	for i := range 10 {
		all = append(all, route("default", fmt.Sprintf("/%d", i), "c", "1s"))
	}
	changed := func(i int) string { return route("default", fmt.Sprintf("/%d", i), "c", "2s") }
	edited := func(f func(r []string) []string) string { return routes(f(slices.Clone(all))) }
	for _, test := range []struct {
		name, right string
		want        []string
	}{
		{"inserted at the top", edited(func(r []string) []string { return slices.Insert(r, 0, route("default", "/new", "n", "3s")) }), []string{"added routes[0]"}},
		{"a copy at the top", edited(func(r []string) []string { return slices.Insert(r, 0, r[0]) }), []string{"added routes[1]"}},
		{"inserted and changed", edited(func(r []string) []string {
			r[5] = changed(5)
			return slices.Insert(r, 0, route("x", "/new", "n", "3s"))
		}), []string{"added routes[0]", "changed routes[6].route.timeout"}},
		{"inserted before a changed one", edited(func(r []string) []string {
			r[5] = changed(5)
			return slices.Insert(r, 5, route("default", "/new", "n", "3s"))
		}), []string{"added routes[5]", "changed routes[6].route.timeout"}},
		{"removed", edited(func(r []string) []string { return slices.Delete(r, 3, 5) }), []string{"removed routes[3]", "removed routes[4]"}},
		{"all changed", edited(func(r []string) []string {
			for i := range r {
				r[i] = changed(i)
			}
			return r
		}), func() (want []string) {
			for i := range 10 {
				want = append(want, fmt.Sprintf("changed routes[%d].route.timeout", i))
			}
			return want
		}()},
		{"moved", edited(func(r []string) []string { return append(slices.Delete(r, 0, 1), r[0]) }), nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			var got []string
			for _, e := range edits(t, routes(all), test.right, virtualHost, diff.Options{}) {
				f := strings.Fields(e)
				got = append(got, f[0]+" "+f[1])
			}
			if test.name == "moved" {
				if len(got) != 2 {
					t.Errorf("a route that moved gives %q", got)
				}
				return
			}
			if d := cmp.Diff(test.want, got); d != "" {
				t.Errorf("-want +got:\n%s", d)
			}
		})
	}
}

// Long lists, beyond the limits of what is looked for exactly.
func TestLongLists(t *testing.T) {
	const n = 10_000
	plain := make([]string, n)
	for i := range plain {
		plain[i] = route("default", fmt.Sprintf("/%d", i), "c", "1s")
	}
	count := func(t *testing.T, left, right []string) map[string]int {
		t.Helper()
		counts := map[string]int{}
		for _, e := range edits(t, routes(left), routes(right), virtualHost, diff.Options{}) {
			counts[strings.Fields(e)[0]]++
		}
		return counts
	}
	t.Run("one at the top", func(t *testing.T) {
		if got := count(t, plain, slices.Insert(slices.Clone(plain), 0, route("x", "/x", "x", "9s"))); len(got) != 1 || got["added"] != 1 {
			t.Error(got)
		}
	})
	t.Run("all changed and one at the top", func(t *testing.T) {
		right := []string{route("x", "/x", "x", "9s")}
		for i := range plain {
			right = append(right, route("default", fmt.Sprintf("/%d", i), "c", "2s"))
		}
		if got := count(t, plain, right); len(got) != 2 || got["added"] != 1 || got["changed"] != n {
			t.Error(got)
		}
	})
	t.Run("every tenth changed", func(t *testing.T) {
		right := slices.Clone(plain)
		for i := 0; i < n; i += 10 {
			right[i] = route("default", fmt.Sprintf("/%d", i), "c", "2s")
		}
		if got := count(t, plain, right); len(got) != 1 || got["changed"] != n/10 {
			t.Error(got)
		}
	})
	t.Run("nothing tells them apart", func(t *testing.T) {
		var left, right []string
		for i := range 3000 {
			left = append(left, route("default", "/", fmt.Sprintf("a%d", i%7), fmt.Sprintf("%ds", i%3)))
			right = append(right, route("default", "/", fmt.Sprintf("b%d", i%5), fmt.Sprintf("%ds", i%4)))
		}
		count(t, left, right)
	})
	t.Run("shuffled", func(t *testing.T) {
		right := slices.Clone(plain)
		r := rand.New(rand.NewPCG(1, 2))
		r.Shuffle(len(right), func(i, j int) { right[i], right[j] = right[j], right[i] })
		count(t, plain, right)
	})
	t.Run("numbers", func(t *testing.T) {
		var left, right []string
		r := rand.New(rand.NewPCG(3, 4))
		for range 5000 {
			left, right = append(left, fmt.Sprint(r.IntN(50))), append(right, fmt.Sprint(r.IntN(50)))
		}
		edits(t, "["+strings.Join(left, ",")+"]", "["+strings.Join(right, ",")+"]", "", diff.Options{})
	})
}

// Short random lists: the fewest additions and removals, as many elements stay as the longest common subsequence has.
func TestShortest(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	list := func() (text string, values []int) {
		var words []string
		for range r.IntN(12) {
			v := r.IntN(6)
			values = append(values, v)
			words = append(words, fmt.Sprintf(`{"id":"%d","other":{"of":%d}}`, v, v))
		}
		return "[" + strings.Join(words, ",") + "]", values
	}
	for range 3000 {
		left, l := list()
		right, rr := list()
		touched := 0
		for _, e := range edits(t, left, right, "", diff.Options{}) {
			switch strings.Fields(e)[0] {
			case "added", "removed":
				touched++
			}
		}
		if most := len(l) + len(rr) - 2*lcs(l, rr); touched > most {
			t.Errorf("%s and %s: %d additions and removals, want at most %d", left, right, touched, most)
		}
	}
}

func lcs(a, b []int) int {
	if len(a) == 0 || len(b) == 0 {
		return 0
	}
	if a[0] == b[0] {
		return 1 + lcs(a[1:], b[1:])
	}
	row := make([][]int, len(a)+1)
	for i := range row {
		row[i] = make([]int, len(b)+1)
	}
	for i := len(a) - 1; i >= 0; i-- {
		for j := len(b) - 1; j >= 0; j-- {
			row[i][j] = max(row[i+1][j], row[i][j+1])
			if a[i] == b[j] {
				row[i][j] = row[i+1][j+1] + 1
			}
		}
	}
	return row[0][0]
}

// Elements of one key keep their order, the others need not.
func TestKeyedOrder(t *testing.T) {
	header := func(name, value string) string {
		return fmt.Sprintf(`{"header":{"key":%q,"value":%q}}`, name, value)
	}
	list := func(all ...string) string {
		return `{"name":"v","request_headers_to_add":[` + strings.Join(all, ",") + `]}`
	}
	x1, x2, y := header("x", "1"), header("x", "2"), header("y", "1")
	for _, test := range []struct {
		left, right string
		differs     bool
	}{
		{list(x1, x2, y), list(y, x1, x2), false},
		{list(x1, x2, y), list(x1, y, x2), false},
		{list(x1, x2, y), list(x2, x1, y), true},
	} {
		if got := edits(t, test.left, test.right, virtualHost, diff.Options{}); (len(got) > 0) != test.differs {
			t.Errorf("%s and %s: %q", test.left, test.right, got)
		}
	}
	r := rand.New(rand.NewPCG(7, 8))
	for range 3000 {
		random := func() string {
			var all []string
			for range r.IntN(6) {
				all = append(all, header(fmt.Sprint(r.IntN(3)), fmt.Sprint(r.IntN(3))))
			}
			return list(all...)
		}
		edits(t, random(), random(), virtualHost, diff.Options{})
	}
}
