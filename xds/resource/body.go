package resource

import (
	"crypto/sha256"
	"sync"
	"sync/atomic"

	"github.com/meshlark/meshlark/xds/rawjson"
)

// A Body is the configuration itself: compact JSON, as sent but for white space and private material. The methods of a nil Body
// give zero values.
type Body struct {
	raw       []byte   // nil where variant is not
	variant   *variant // nil for most
	typeURL   string
	canonical atomic.Pointer[[sha256.Size]byte]
	decoded   decodedCache
	derived   rawjson.Derived
}

// Derived gives what make makes of the body, such as an index of it. It is made once for each key and kept as long as the body, for all proxies that
// have it; when several ask at once make may run more often, and all get the same. The value must be safe for concurrent use.
func (b *Body) Derived(key any, make func(rawjson.Value) any) any {
	return b.derived.Get(key, func() any { return make(b.Raw()) })
}

// Raw gives the text. It must not be changed.
func (b *Body) Raw() rawjson.Value {
	switch {
	case b == nil:
		return nil
	case b.variant == nil:
		return b.raw
	}
	return b.variant.whole()
}

// is tells whether a text is the body's.
func (b *Body) is(text []byte) bool {
	if b.variant != nil {
		return b.variant.is(text)
	}
	return string(b.raw) == string(text)
}

// TypeURL is the body's @type, such as "type.googleapis.com/envoy.config.cluster.v3.Cluster"; empty when it has none.
func (b *Body) TypeURL() string {
	if b == nil {
		return ""
	}
	return b.typeURL
}

// Canonical is a hash of the body's canonical form (rawjson.Canonical): two bodies mean the same JSON when theirs are equal.
func (b *Body) Canonical() [sha256.Size]byte {
	if b == nil {
		return [sha256.Size]byte{}
	}
	if sum := b.canonical.Load(); sum != nil {
		return *sum
	}
	buf := canonicalBuffers.Get().(*[]byte)
	*buf = rawjson.Canonical((*buf)[:0], b.Raw())
	sum := sha256.Sum256(*buf)
	if cap(*buf) <= mostBuffer {
		canonicalBuffers.Put(buf)
	}
	b.canonical.Store(&sum)
	return sum
}

var canonicalBuffers = sync.Pool{New: func() any { return new([]byte) }}

// Decoded gives the body as Go values for jq, see rawjson.Decode. They are shared and must not be changed.
func (b *Body) Decoded() (any, error) {
	if b == nil {
		return nil, nil
	}
	return b.decoded.get(b.Raw())
}
