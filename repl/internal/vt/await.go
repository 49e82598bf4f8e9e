package vt

import (
	"testing"
	"time"
)

// patience is how long a test waits for what the screen is to show. It is far
// longer than anything takes, so that a busy machine fails no test.
const patience = 20 * time.Second

// Await waits until a screen satisfies a condition.
func Await(t testing.TB, s *Screen, what string, ok func() bool) {
	t.Helper()
	deadline := time.After(patience)
	for {
		changed := s.Changed()
		if ok() {
			return
		}
		select {
		case <-changed:
		case <-deadline:
			t.Fatalf("the screen never had %s; it shows\n%s\nand the cursor is at %s", what, s.Text(), s.Line())
		}
	}
}
