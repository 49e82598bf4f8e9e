package resource

import (
	"bytes"
	"fmt"
	"runtime"
	"strings"
	"testing"
)

// One cluster with the members of a map in the orders that Envoys print them in.
func orders(name string) []string {
	filler := strings.Repeat(`"x-y",`, 200)
	var texts []string
	for _, services := range []string{
		`{"name":"n","namespace":"s","host":"h"}`, `{"namespace":"s","name":"n","host":"h"}`, `{"host":"h","namespace":"s","name":"n"}`, `{"host":"h"}`, `{}`,
	} {
		texts = append(texts, fmt.Sprintf(`{"name":%q,"filler":[%s1],"metadata":{"services":[%s]},"end":[%s1]}`, name, filler, services, filler))
	}
	return texts
}

func settled(t testing.TB, s *Store, kind Kind, name, text string) *Body {
	t.Helper()
	b := NewInterning(s, []byte(text))
	r, err := b.Add(Spec{Kind: kind, Name: name, Text: []byte(text)})
	if err != nil {
		t.Fatal(err)
	}
	body, err := r.Body()
	if err != nil {
		t.Fatal(err)
	}
	return body
}

// What differs in little from a resource of the same name takes little more, and says to the byte what was sent.
func TestVariants(t *testing.T) {
	s := NewStore()
	texts := orders("a")
	var bodies []*Body
	for _, text := range texts {
		bodies = append(bodies, settled(t, s, Cluster, "a", text))
	}
	if n, size := s.Stats(); n != len(texts) || size > int64(len(texts[0])+len(texts)*100) {
		t.Errorf("%d bodies of %d bytes each take %d", n, len(texts[0]), size)
	}
	for range 2 {
		for i, b := range bodies {
			if string(b.Raw()) != texts[i] {
				t.Errorf("%d: got %s, want %s", i, b.Raw(), texts[i])
			}
			if again := settled(t, s, Cluster, "a", texts[i]); again != b {
				t.Errorf("%d: the same text is another body", i)
			}
			if v, err := b.Decoded(); err != nil || v.(map[string]any)["name"] != "a" {
				t.Errorf("%d: decoded %v, %v", i, v, err)
			}
		}
		runtime.GC() // which may take what was put together
		runtime.GC()
	}
	if a, b, c := bodies[0].Canonical(), bodies[1].Canonical(), bodies[3].Canonical(); a != b || a == c {
		t.Error("the order of keys is a difference, or a missing one is none")
	}
}

// What is nothing like the first resource of its name is kept whole, and what has no name in common with another one too.
func TestNoVariants(t *testing.T) {
	s := NewStore()
	texts := orders("a")
	want := int64(0)
	for i, x := range []struct {
		kind       Kind
		name, text string
	}{
		{Cluster, "a", texts[0]}, {Cluster, "b", texts[1]}, {Listener, "a", texts[2]},
		{Cluster, "a", `{"name":"a"}`}, {Cluster, "a", `[]`}, {Cluster, "a", strings.Repeat(" ", 9) + `{"name":"a","metadata":{}}`},
	} {
		b := settled(t, s, x.kind, x.name, x.text)
		want += int64(len(b.Raw()))
		if _, size := s.Stats(); size != want || string(b.Raw()) != strings.TrimSpace(x.text) {
			t.Errorf("%d: %d bytes are kept, want %d: %s", i, size, want, b.Raw())
		}
	}
}

func FuzzVariant(f *testing.F) {
	for _, text := range orders("a") {
		f.Add([]byte(orders("a")[0]), []byte(text))
	}
	for _, n := range []int{leastVariant, 1000} {
		f.Add(bytes.Repeat([]byte("a"), n), bytes.Repeat([]byte("a"), n+1))
		f.Add(bytes.Repeat([]byte("a"), n+1), bytes.Repeat([]byte("a"), n))
	}
	f.Fuzz(func(t *testing.T, a, b []byte) {
		v := newVariant(&Body{raw: a}, b)
		if v == nil {
			return
		}
		if got := v.whole(); !bytes.Equal(got, b) || !v.is(b) {
			t.Errorf("%q beside %q became %q", b, a, got)
		}
		if !bytes.Equal(a, b) && v.is(a) {
			t.Errorf("%q is taken for %q", a, b)
		}
	})
}
