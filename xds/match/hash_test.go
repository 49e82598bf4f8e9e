package match

import "testing"

func TestHash(t *testing.T) {
	for text, want := range map[string]uint64{"": 0xEF46DB3751D8E999, "a": 0xD24EC4F1A98C6E5B, "abc": 0x44BC2CF5AD770999} {
		if got := hash(text, 0); got != want {
			t.Errorf("hash of %q: %X, want %X", text, got, want)
		}
	}
}
