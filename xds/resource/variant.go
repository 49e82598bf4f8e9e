package resource

import (
	"bytes"
	"slices"
	"sync/atomic"
	"weak"
)

// A variant is a text by what it differs in from that of another body, in one stretch. Resources of one name are mostly alike in all proxies, but for the
// order of the members of a map: each Envoy prints them in its own.
type variant struct {
	of            *Body  // which is no variant itself
	before, after int    // how much of its text this one begins and ends with
	between       []byte // what it has there
	text          atomic.Pointer[weak.Pointer[[]byte]]
}

// leastVariant is how long a text is at least for a variant to take less.
const leastVariant = 256

// newVariant gives nil where a text is not like a body's: when a quarter of it and more would have to be kept.
func newVariant(of *Body, text []byte) *variant {
	if of == nil || of.variant != nil || len(text) < leastVariant {
		return nil
	}
	v := &variant{of: of}
	raw := of.raw
	for v.before < min(len(raw), len(text)) && raw[v.before] == text[v.before] {
		v.before++
	}
	for v.after < min(len(raw), len(text))-v.before && raw[len(raw)-1-v.after] == text[len(text)-1-v.after] {
		v.after++
	}
	between := text[v.before : len(text)-v.after]
	if len(between) >= len(text)/4 {
		return nil
	}
	v.between = bytes.Clone(between)
	return v
}

// whole puts the text together. It is remembered as long as somebody uses it or the collector leaves it.
func (v *variant) whole() []byte {
	if p := v.text.Load(); p != nil {
		if text := p.Value(); text != nil {
			return *text
		}
	}
	begin, end := v.ends()
	text := slices.Concat(begin, v.between, end)
	p := weak.Make(&text)
	v.text.Store(&p)
	return text
}

// ends are the parts of the other text that this one has too.
func (v *variant) ends() (begin, end []byte) {
	raw := v.of.raw
	return raw[:v.before], raw[len(raw)-v.after:]
}

func (v *variant) is(text []byte) bool {
	begin, end := v.ends()
	text, begins := bytes.CutPrefix(text, begin)
	text, goesOn := bytes.CutPrefix(text, v.between)
	return begins && goesOn && bytes.Equal(text, end)
}
