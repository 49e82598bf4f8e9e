package resource

import (
	"hash/maphash"
	"strings"
	"sync"

	"github.com/meshlark/meshlark/xds/rawjson"
	"github.com/meshlark/meshlark/xds/redact"
	"github.com/meshlark/meshlark/xds/schema"
)

// A Store keeps bodies, each once. The zero Store is not usable; see [NewStore].
type Store struct {
	seeds [2]maphash.Seed

	mu       sync.RWMutex
	bodies   map[sum]*Body    // by compacted, redacted text
	texts    map[sum]*entry   // by text as sent, for all that was read from the same text
	firsts   map[uint64]*Body // the first body of each kind and name, which others may be variants of
	typeURLs map[string]string
	size     int64
}

// A sum is a keyed 128-bit hash. The keys are random, so nobody can construct two texts of one sum.
type sum [2]uint64

// NewStore gives an empty store.
func NewStore() *Store {
	return &Store{
		seeds:    [2]maphash.Seed{maphash.MakeSeed(), maphash.MakeSeed()},
		bodies:   map[sum]*Body{},
		texts:    map[sum]*entry{},
		firsts:   map[uint64]*Body{},
		typeURLs: map[string]string{},
	}
}

// id stands for a kind and a name. Others may have the same one.
func (s *Store) id(kind Kind, name string) uint64 {
	var h maphash.Hash
	h.SetSeed(s.seeds[0])
	h.WriteString(string(kind))
	h.WriteByte(0)
	h.WriteString(name)
	return h.Sum64()
}

func (s *Store) sum(text []byte) sum {
	return sum{maphash.Bytes(s.seeds[0], text), maphash.Bytes(s.seeds[1], text)}
}

// Intern gives the body of a JSON text: white space and private material are dropped, and if the store has a body of the same
// bytes that one is given. The text is not kept. The error is a *rawjson.SyntaxError.
func (s *Store) Intern(text []byte) (*Body, error) { return s.internAs(text, false, "", nil) }

// internAs interns a text that may spell fields in lowerCamelCase: those that the Envoy API knows get the names that Envoy prints. The
// message is that of a text without @type; like is a body that it is probably like, or nil.
func (s *Store) internAs(text []byte, camel bool, message string, like *Body) (*Body, error) {
	buf := compactBuffers.Get().(*[]byte)
	defer func() {
		if cap(*buf) <= mostBuffer {
			compactBuffers.Put(buf)
		}
	}()
	compact, _, err := redact.Compact((*buf)[:0], text)
	if err != nil {
		return nil, err
	}
	*buf = compact
	if camel {
		if typeURL(compact) != "" {
			message = ""
		}
		if snake, changed := schema.Snake(nil, compact, message); changed {
			compact = snake
		}
	}
	return s.intern(compact, like), nil
}

// mostBuffer is how large a buffer may be and still be kept for the next body.
const mostBuffer = 4 << 20

var compactBuffers = sync.Pool{New: func() any { return new([]byte) }}

// intern gives the body of compacted, redacted text, of which it keeps a copy at most, or what it does not share with that of like.
func (s *Store) intern(compact []byte, like *Body) *Body {
	key := s.sum(compact)
	s.mu.RLock()
	b := s.bodies[key]
	s.mu.RUnlock()
	if b != nil && b.is(compact) {
		return b
	}
	url := typeURL(compact)
	s.mu.Lock()
	defer s.mu.Unlock()
	if b := s.bodies[key]; b != nil && b.is(compact) {
		return b
	}
	shared, ok := s.typeURLs[url]
	if !ok {
		shared = strings.Clone(url)
		s.typeURLs[shared] = shared
	}
	b = &Body{typeURL: shared}
	if v := newVariant(like, compact); v != nil {
		b.variant = v
		s.size += int64(len(v.between))
	} else {
		b.raw = append(make([]byte, 0, len(compact)), compact...)
		s.size += int64(len(compact))
	}
	s.bodies[key] = b
	return b
}

// typeURL reads @type, which whoever prints an Any writes first.
func typeURL(compact []byte) string {
	for key, v := range rawjson.Value(compact).Members() {
		if key == "@type" {
			return v.Text()
		}
		break
	}
	return rawjson.Value(compact).Str("@type")
}

// Stats counts the bodies and the bytes that are kept of them.
func (s *Store) Stats() (bodies int, bytes int64) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return len(s.bodies), s.size
}
