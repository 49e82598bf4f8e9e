package builtins

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.starlark.net/starlark"
)

var update = flag.Bool("update", false, "write the golden files")

// TestTables compares the tables of collections of the fixture with
// testdata/tables.txt.
func TestTables(t *testing.T) {
	thread, _, env := newThread(t, context.Background(), io.Discard)
	var b strings.Builder
	for _, src := range []string{
		`proxies()`,
		`istiods()`,
		`proxy("productpage-v1").clusters(fqdn="reviews")`,
		`proxy("productpage-v1").clusters("*warming*", state="*")`,
		`clusters("zipkin", proxy="*")`,
		`proxy("productpage-v1").listeners(port=9080)`,
		`proxy("productpage-v1").listeners(state="error", port=7070)`,
		`proxy("productpage-v1").listeners("virtualOutbound")[0].filter_chains`,
		`proxy("productpage-v1").routes("9080")`,
		`proxy("productpage-v1").routes("9080").virtual_hosts`,
		`proxy("productpage-v1").routes("9080").routes`,
		`proxy("productpage-v1").endpoints("outbound|9080|v1|*")`,
		`proxy("reviews-v1-x1").endpoints("outbound|9080|v1|*")`,
		`proxy("productpage-v1").extensions()`,
		`proxy("productpage-v1").scoped_routes()`,
		`run("stale")`,
		`table([("a", 1), ("b", 20)], columns=["service", "hosts"])`,
		`diff(proxy("productpage-v1").clusters(fqdn="reviews", subset="v1"), proxy("productpage-v1").clusters(fqdn="reviews", subset="v2")).changes`,
		`diff(proxy("productpage-v1").clusters(fqdn="reviews", subset="v1")[0], proxy("productpage-v1").clusters(fqdn="reviews", subset="v2")[0]).changes`,
		`objects("vs")`, `objects("dr")`, `objects("svc")`, `objects("po")`, `objects("ns")`, `objects("secret")`, `mesh.object_kinds().where(name="*Rule*")`,
		`proxy("productpage-v1").clusters(fqdn="reviews")[1].origins()`, `objects("vs", "reviews", namespace="default")[0].touches()`,
		`proxies(proxy("productpage-v1").name, share=True)`,
	} {
		v, err := starlark.EvalOptions(dialect, thread, "table.star", src, env)
		if err != nil {
			t.Fatalf("%s: %v", src, err)
		}
		tab := v.(Tabular).Table(false)
		fmt.Fprintf(&b, ">>> %s\n", src)
		var heads []string
		for _, c := range tab.Columns {
			heads = append(heads, c.Name)
		}
		fmt.Fprintln(&b, strings.Join(heads, " ¦ "))
		for _, row := range tab.Rows {
			if len(row) != len(tab.Columns) {
				t.Errorf("%s: a row of %d cells under %d columns", src, len(row), len(tab.Columns))
			}
			fmt.Fprintln(&b, strings.Join(row, " ¦ "))
		}
		for _, n := range tab.Notes {
			fmt.Fprintln(&b, "note:", n)
		}
		if wide := v.(Tabular).Table(true); len(wide.Columns) < len(tab.Columns) {
			t.Errorf("%s: the wide table has fewer columns", src)
		}
		fmt.Fprintln(&b)
	}
	const file = "testdata/tables.txt"
	if *update {
		if err := os.WriteFile(file, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(strings.Split(string(want), "\n"), strings.Split(b.String(), "\n")); diff != "" {
		t.Errorf("tables differ from %s (-want +got):\n%s", file, diff)
	}
}

func TestAgeText(t *testing.T) {
	for _, c := range []struct{ seconds, want string }{
		{"0", "0s"}, {"45", "45s"}, {"60", "1m"}, {"130", "2m10s"}, {"3600", "1h"}, {"90061", "1d1h"}, {"-5", "-5s"},
	} {
		d := mustDuration(t, c.seconds+"s")
		if got := AgeText(d); got != c.want {
			t.Errorf("AgeText(%s) = %s, want %s", d, got, c.want)
		}
	}
}
