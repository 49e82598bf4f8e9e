package mesh

import (
	"testing"
	"time"
)

// A memo belongs to one side and one generation, and grows old as what was read does.
func TestMemo(t *testing.T) {
	now := time.Unix(0, 0)
	m := New(nil, Options{TTL: time.Minute, Clock: func() time.Time { return now }})
	p := &Proxy{mesh: m}
	made := 0
	get := func(side Side) int {
		return Config{proxy: p, side: side}.Memo("index", func() any { made++; return made }).(int)
	}
	for _, step := range []struct {
		what   string
		before func()
		side   Side
		want   int
	}{
		{"first", func() {}, Actual, 1},
		{"again", func() { now = now.Add(time.Minute) }, Actual, 1},
		{"the other side", func() {}, Desired, 2},
		{"too old", func() { now = now.Add(time.Second) }, Actual, 3},
		{"another generation", m.Refresh, Actual, 4},
	} {
		step.before()
		if got := get(step.side); got != step.want {
			t.Errorf("%s: made %d times, want %d", step.what, got, step.want)
		}
	}
}
