package mesh

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strings"

	"github.com/meshlark/meshlark/xds/admin"
	"github.com/meshlark/meshlark/xds/pattern"
	"github.com/meshlark/meshlark/xds/rawjson"
	"github.com/meshlark/meshlark/xds/resource"
)

// Config is one side of one proxy's configuration. Within a generation each part is read once.
type Config struct {
	proxy *Proxy
	side  Side
}

// Proxy is whose configuration it is.
func (c Config) Proxy() *Proxy { return c.proxy }

// Side is Actual or Desired.
func (c Config) Side() Side {
	if c.side == ByADS {
		return Desired
	}
	return c.side
}

// partKey names a part of a configuration that was read on its own: everything (kind ""), a kind, or the resources of a kind that a pattern
// names.
type partKey struct {
	side Side
	kind resource.Kind
	name string
}

type adminKey struct {
	side Side
	path string
}

// part is what a read gave, and what else it can answer.
type part struct {
	answer Answer
}

func (c Config) reader() (Reader, error) {
	r := c.proxy.actual
	switch c.side {
	case Desired:
		r = c.proxy.desired
	case ByADS:
		r = c.proxy.ads
	}
	if r == nil {
		if err := c.proxy.Lacks(c.side); !errors.Is(err, ErrNotAvailable) {
			return nil, err // it says whose it is
		}
		return nil, fmt.Errorf("%s configuration of %s: %w", c.side, c.proxy.Name, c.proxy.Lacks(c.side))
	}
	return r, nil
}

// Resources gives the resources of a kind in all states whose name the pattern matches, in the order they were sent. The pattern is
// handed to the source, which may send less for it. A kind that the configuration has no section for gives none.
func (c Config) Resources(ctx context.Context, kind resource.Kind, name pattern.Pattern) ([]*resource.Resource, error) {
	a, err := c.answer(ctx, kind, name)
	if err != nil {
		return nil, err
	}
	if text, ok := name.Literal(); ok {
		return a.Dump.Named(kind, text), nil
	}
	all := a.Dump.Resources(kind)
	if name.IsAll() {
		return all, nil
	}
	var named []*resource.Resource
	for _, res := range all {
		if name.Match(res.Name()) {
			named = append(named, res)
		}
	}
	return named, nil
}

// Candidates is Resources for one who looks at each of them anyway: there may be others among them, of names that the pattern does not match.
func (c Config) Candidates(ctx context.Context, kind resource.Kind, name pattern.Pattern) ([]*resource.Resource, error) {
	a, err := c.answer(ctx, kind, name)
	if err != nil {
		return nil, err
	}
	return a.Dump.Resources(kind), nil
}

// answer is what was read, or is read now, of the resources a pattern names.
func (c Config) answer(ctx context.Context, kind resource.Kind, name pattern.Pattern) (Answer, error) {
	r, err := c.reader()
	if err != nil {
		return Answer{}, err
	}
	return c.part(ctx, r, Request{Kind: kind, Name: name})
}

// Has tells whether the configuration tells of a kind at all, which tells "none" from "not recorded". A source that was asked for the kind
// itself has told, whatever it answered; a whole dump has where it has the kind's section.
func (c Config) Has(ctx context.Context, kind resource.Kind) (bool, error) {
	return c.HasNamed(ctx, kind, pattern.Pattern{})
}

// HasNamed is Has for one who wants resources of a name only, of which less has to be read.
func (c Config) HasNamed(ctx context.Context, kind resource.Kind, name pattern.Pattern) (bool, error) {
	a, err := c.answer(ctx, kind, name)
	if err != nil {
		return false, err
	}
	return a.Covers != CoversAll || a.Dump.Has(kind), nil
}

// part finds what was read already that answers the request, or reads it.
func (c Config) part(ctx context.Context, r Reader, req Request) (Answer, error) {
	p := c.proxy
	keys := []partKey{{c.side, "", ""}, {c.side, req.Kind, ""}}
	if !req.Name.IsAll() {
		keys = append(keys, partKey{c.side, req.Kind, req.Name.String()})
	}
	if c.side == ByADS {
		keys = keys[:1] // it is read as a whole only
	}
	p.mu.Lock()
	p.freshen()
	for _, k := range keys {
		if f := p.parts[k]; f != nil && f.finished() {
			p.mu.Unlock()
			v, err := f.do(ctx, nil)
			return v.answer, err
		}
	}
	if err := p.hung(ctx, c.side); err != nil {
		p.mu.Unlock()
		return Answer{}, err
	}
	key := keys[len(keys)-1]
	f := p.parts[key]
	if f == nil {
		f = newFlight[part](p.mesh.options.Clock())
		p.parts[key] = f
	}
	gen := p.gen
	p.mu.Unlock()

	v, err := f.do(ctx, func(ctx context.Context) (part, error) {
		ctx = withTask(ctx, Task{p.Name, stageOf(req.Kind)})
		leave, err := p.turns.take(ctx, c.side)
		if err != nil {
			return part{}, err
		}
		defer leave()
		kind := answerKind{c.side, string(req.Kind), req.Name.String()}
		ctx, t, err := p.mesh.begin(ctx, stageOf(req.Kind), 1, kind, func(other *Proxy) bool { return other.holds(keys) })
		if err != nil {
			return part{}, err
		}
		a, err := r.Read(ctx, req)
		p.keepLate(ctx, c.side, gen, err)
		if err := t.end(a.Bytes, err); err != nil {
			return part{}, err
		}
		recordFetch(ctx, a.Bytes)
		return part{a}, nil
	})
	if err != nil {
		return Answer{}, err
	}
	wider := partKey{}
	switch v.answer.Covers {
	case CoversAll:
		wider = partKey{c.side, "", ""}
	case CoversKind:
		wider = partKey{c.side, req.Kind, ""}
	default:
		return v.answer, nil
	}
	p.mu.Lock()
	if p.gen == gen {
		p.parts[wider] = f
	}
	p.mu.Unlock()
	return v.answer, nil
}

// freshen drops what an older generation read, and what is past its time. The caller holds p.mu.
func (p *Proxy) freshen() {
	p.mesh.mu.Lock()
	gen := p.mesh.gen
	p.mesh.mu.Unlock()
	if p.parts == nil || p.gen != gen {
		p.gen = gen
		p.parts = map[partKey]*flight[part]{}
		p.admins = map[adminKey]*flight[any]{}
		return
	}
	now, ttl := p.mesh.options.Clock(), p.mesh.options.TTL
	for k, f := range p.parts {
		if f.stale(now, ttl) {
			delete(p.parts, k)
		}
	}
	for k, f := range p.admins {
		if f.stale(now, ttl) {
			delete(p.admins, k)
		}
	}
}

// askAdmin gets one of Envoy's other admin answers and keeps what read makes of it, once per generation. Whoever asks for a path makes the same of it.
func askAdmin[T any](ctx context.Context, c Config, path string, read func(io.Reader) (T, error)) (T, error) {
	var none T
	r, err := c.reader()
	if err != nil {
		return none, err
	}
	p := c.proxy
	p.mu.Lock()
	p.freshen()
	key := adminKey{c.side, path}
	f := p.admins[key]
	if f == nil {
		f = newFlight[any](p.mesh.options.Clock())
		p.admins[key] = f
	}
	gen := p.gen
	if err := p.hung(ctx, c.side); err != nil && !f.finished() {
		p.mu.Unlock()
		return none, err
	}
	p.mu.Unlock()
	v, err := f.do(ctx, func(ctx context.Context) (any, error) {
		bare, _, _ := strings.Cut(path, "?")
		ctx = withTask(ctx, Task{p.Name, bare})
		kind := answerKind{c.side, path, ""}
		ctx, t, err := p.mesh.begin(ctx, bare, 1, kind, func(other *Proxy) bool { return other.holdsAdmin(key) })
		if err != nil {
			return nil, err
		}
		var made T
		size, err := r.Admin(ctx, path, func(from io.Reader) (err error) {
			made, err = read(from)
			return err
		})
		p.keepLate(ctx, c.side, gen, err)
		moved := size
		if !p.live {
			moved = 0 // it is of a file
		}
		if err := t.end(moved, err); err != nil {
			return nil, err
		}
		recordFetch(ctx, size)
		return made, nil
	})
	if err != nil {
		return none, err
	}
	return v.(T), nil
}

// holds tells whether an answer that one of the keys names was read already.
func (p *Proxy) holds(keys []partKey) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.freshen()
	for _, k := range keys {
		if f := p.parts[k]; f != nil && f.finished() {
			return true
		}
	}
	return false
}

func (p *Proxy) holdsAdmin(key adminKey) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.freshen()
	f := p.admins[key]
	return f != nil && f.finished()
}

// LiveClusters gives what Envoy's /clusters says of the clusters that the pattern names: their hosts with health, weights and counters.
// Warming clusters are not among them. Errors wrap ErrNotAvailable where the source has no such answer.
func (c Config) LiveClusters(ctx context.Context, name pattern.Pattern) ([]admin.ClusterStatus, error) {
	path := "clusters?format=json"
	if !name.IsAll() {
		path += "&filter=" + url.QueryEscape("^(?:"+name.Regexp()+")$")
	}
	all, err := askAdmin(ctx, c, path, func(from io.Reader) ([]admin.ClusterStatus, error) {
		return admin.ReadClusters(from, c.proxy.mesh.store)
	})
	if err != nil || name.IsAll() {
		return all, err
	}
	var named []admin.ClusterStatus
	for _, s := range all {
		if name.Match(s.Name) {
			named = append(named, s)
		}
	}
	return named, nil
}

// ServerInfo gives Envoy's /server_info.
func (c Config) ServerInfo(ctx context.Context) (*admin.ServerInfo, error) {
	return askAdmin(ctx, c, "server_info", func(from io.Reader) (*admin.ServerInfo, error) {
		text, err := c.document(from)
		if err != nil {
			return nil, err
		}
		return admin.ReadServerInfo(text)
	})
}

// Certs gives Envoy's /certs: the certificates of every TLS context in use.
func (c Config) Certs(ctx context.Context) ([]admin.TLSContext, error) {
	return askAdmin(ctx, c, "certs", func(from io.Reader) ([]admin.TLSContext, error) {
		text, err := c.document(from)
		if err != nil {
			return nil, err
		}
		return admin.ReadCerts(text)
	})
}

// Stats gives Envoy's statistics whose name the RE2 filter finds a match in; "" gives all.
func (c Config) Stats(ctx context.Context, filter string) (*admin.Stats, error) {
	path := "stats?format=json"
	if filter != "" {
		path += "&filter=" + url.QueryEscape(filter)
	}
	return askAdmin(ctx, c, path, func(from io.Reader) (*admin.Stats, error) {
		text, err := io.ReadAll(from)
		if err != nil {
			return nil, err
		}
		return admin.ReadStats(text)
	})
}

// document is an admin answer as checked, redacted JSON.
func (c Config) document(from io.Reader) (rawjson.Value, error) {
	text, err := io.ReadAll(from)
	if err != nil {
		return nil, err
	}
	body, err := c.proxy.mesh.store.Intern(text)
	if err != nil {
		return nil, err
	}
	return body.Raw(), nil
}
