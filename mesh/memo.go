package mesh

import "time"

type memoKey struct {
	side Side
	key  any
}

// A memo is something made of a configuration, of one generation.
type memo struct {
	gen   int
	made  time.Time
	value any
}

// Memo gives what make made under a key, such as an index of the configuration. It is made anew in a generation of its own, and when it is older than
// what was read may be.
func (c Config) Memo(key any, make func() any) any {
	p := c.proxy
	p.mu.Lock()
	defer p.mu.Unlock()
	p.freshen()
	k := memoKey{c.side, key}
	now, ttl := p.mesh.options.Clock(), p.mesh.options.TTL
	if m, ok := p.memos[k]; ok && m.gen == p.gen && (ttl == 0 || now.Sub(m.made) <= ttl) {
		return m.value
	}
	if p.memos == nil {
		p.memos = map[memoKey]memo{}
	}
	m := memo{p.gen, now, make()}
	p.memos[k] = m
	return m.value
}
