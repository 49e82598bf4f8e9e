package session

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/meshlark/meshlark/builtins"
)

// The real language on the real host: what needs the two of them.
func TestLanguage(t *testing.T) {
	var out, notes strings.Builder
	var slept time.Duration
	s := New(Options{
		Predeclared: builtins.Predeclared(),
		Files:       memory{"/desk/data.txt": "text", "/desk/main.star": languageScript},
		WorkDir:     "/desk",
		Library:     shelf{"inner.star": "n = arg('n', type='int', positional=True)\ncheck('positive', n > 0, subject='n')\n"},
		Now:         func() time.Time { return time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC) },
		Sleep:       func(_ context.Context, d time.Duration) error { slept += d; return nil },
		Stdout:      &out,
		Notes:       &notes,
	})
	o := s.RunFile(context.Background(), "main.star", []string{"--grace", "2m", "p1"})
	if o.Err != nil {
		if e, ok := o.Err.(*Error); ok {
			t.Fatal(e.Detail())
		}
		t.Fatal(o.Err)
	}
	want := `p1 2m0s time.duration None
2026-01-02 03:04:05 +0000 UTC
text
waited True
[("positive", True)]
inner: argument n is required; its arguments: n
`
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Error(diff)
	}
	if slept != 4*time.Second {
		t.Errorf("wait slept %v", slept)
	}
	var got []string
	for _, c := range o.Checks {
		got = append(got, describe(c))
	}
	wantChecks := []string{"main.star:16:6: a ok p1", "main.star:17:6: b warning  late", "main.star:18:5: skip: nothing"}
	if diff := cmp.Diff(wantChecks, got); diff != "" {
		t.Error(diff)
	}
}

const languageScript = `"""The whole."""
name = arg("name", positional=True)
grace = arg("grace", default="30s", type="duration")
side = arg("side", default=None)
print(name, grace, type(grace), side)
print(time.now())
print(read_file("data.txt"))
tries = []
def ready():
    tries.append(1)
    return len(tries) == 3
print("waited", wait(ready, timeout="1m", every="2s"))
print([(c.id, c.ok) for c in run("inner", 3)])
got = attempt(run, "inner")
print(got.error.removeprefix("run "))
check("a", True, subject=name)
check("b", False, message="late", severity="warning")
skip("nothing")
`
