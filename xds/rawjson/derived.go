package rawjson

import "sync/atomic"

// Derived is what was made of a text, such as an index of it, and is kept as long as the text is. There are few things of one text. The zero
// value has none. It is safe for concurrent use.
type Derived struct{ first atomic.Pointer[derivation] }

type derivation struct {
	key   any
	value any
	next  *derivation
}

func (d *derivation) find(key any) (any, bool) {
	for ; d != nil; d = d.next {
		if d.key == key {
			return d.value, true
		}
	}
	return nil, false
}

// Get gives what is kept under a key, or makes and keeps it. When several ask at once make may run more often, and all get the same. The value must be
// safe for concurrent use.
func (d *Derived) Get(key any, make func() any) any {
	if v, ok := d.first.Load().find(key); ok {
		return v
	}
	made := &derivation{key: key, value: make()}
	for {
		made.next = d.first.Load()
		if v, ok := made.next.find(key); ok {
			return v
		}
		if d.first.CompareAndSwap(made.next, made) {
			return made.value
		}
	}
}
