// Package dump reads Envoy's configuration dumps, whoever wrote them.
//
// [Split] finds where each resource of a dump begins and ends and what it is called, and leaves what it says for later: a body is
// read when it is first asked for. [Read] does so with a dump that arrives, and keeps no more of it than the bodies. Both accept what Envoy's /config_dump answers with any of its parameters, istiod's
// debug/config_dump in both forms, and what istioctl and egctl print with -o json.
package dump

import (
	"hash/maphash"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/meshlark/meshlark/xds/rawjson"
	"github.com/meshlark/meshlark/xds/resource"
)

// An Error says where and why a dump could not be read.
type Error = resource.TextError

// Options say what the text does not.
type Options struct {
	// Source is the name of the text in errors, such as a file name.
	Source string
}

// A Dump is the configuration of one proxy.
type Dump struct {
	batch    *resource.Batch
	kinds    map[resource.Kind]*group
	sections []string
}

// A group is the resources of one kind; it exists as soon as the dump has a section for them.
type group struct {
	resources []*resource.Resource

	// named has the resources by a hash of their names, so that it does not keep the text the names are from. It is made when it pays.
	named map[uint64][]*resource.Resource
	asked atomic.Int64
	once  sync.Once
	seed  maphash.Seed
}

func newDump(batch *resource.Batch) *Dump {
	return &Dump{batch: batch, kinds: map[resource.Kind]*group{}}
}

// Resources gives the resources of a kind in all states, in the order of the dump. It is nil when the dump has no section for the kind, and
// empty when it has one with nothing in it.
func (d *Dump) Resources(kind resource.Kind) []*resource.Resource {
	g := d.kinds[kind]
	if g == nil {
		return nil
	}
	if g.resources == nil {
		return []*resource.Resource{}
	}
	return g.resources
}

// Named gives the resources of a kind and a name, in the order of the dump.
func (d *Dump) Named(kind resource.Kind, name string) []*resource.Resource {
	g := d.kinds[kind]
	if g == nil {
		return nil
	}
	if g.asked.Add(1) <= few {
		return with(g.resources, name)
	}
	g.once.Do(func() {
		g.seed, g.named = maphash.MakeSeed(), make(map[uint64][]*resource.Resource, len(g.resources))
		for _, r := range g.resources {
			sum := maphash.String(g.seed, r.Name())
			g.named[sum] = append(g.named[sum], r)
		}
	})
	return with(g.named[maphash.String(g.seed, name)], name)
}

// few is how many questions for a name are answered by looking at all: an index pays for more only.
const few = 8

func with(all []*resource.Resource, name string) []*resource.Resource {
	var out []*resource.Resource
	for _, r := range all {
		if r.Name() == name {
			out = append(out, r)
		}
	}
	return out
}

// Has reports whether the dump has a section for a kind, be it empty. A plain /config_dump has none for endpoints.
func (d *Dump) Has(kind resource.Kind) bool { return d.kinds[kind] != nil }

// Sections gives the types of the sections in their order: the @type of each, without "type.googleapis.com/". Resources that stand in no
// section are listed by their own type.
func (d *Dump) Sections() []string { return d.sections }

// Bootstrap gives the proxy's bootstrap, nil when the dump has none.
func (d *Dump) Bootstrap() *resource.Resource {
	if g := d.kinds[resource.Bootstrap]; g != nil && len(g.resources) > 0 {
		return g.resources[0]
	}
	return nil
}

// Node gives the node id and node metadata of the bootstrap; both are empty when the dump does not say, as is istiod's view of a proxy.
func (d *Dump) Node() (id string, metadata rawjson.Value) {
	b := d.Bootstrap()
	if b == nil {
		return "", nil
	}
	raw, err := b.Raw()
	if err != nil {
		return "", nil
	}
	node := raw.Get("node")
	return node.Str("id"), node.Get("metadata")
}

// NewestUpdate is the newest time in the dump at which a resource was updated or an update was attempted; zero when it has none.
func (d *Dump) NewestUpdate() time.Time { return d.batch.Newest() }

// Prefetch interns the bodies of a kind, on all processors.
func (d *Dump) Prefetch(kind resource.Kind) error {
	if g := d.kinds[kind]; g != nil {
		return resource.Prefetch(g.resources)
	}
	return nil
}

// Settle interns every body and lets go of the text the dump was read from. The first fault in a body is the error; the
// resources whose bodies have faults keep their text.
func (d *Dump) Settle() error {
	var all []*resource.Resource
	for _, g := range d.kinds {
		all = append(all, g.resources...)
	}
	return d.batch.Settle(all)
}

func (d *Dump) group(kind resource.Kind) *group {
	g := d.kinds[kind]
	if g == nil {
		g = &group{}
		d.kinds[kind] = g
	}
	return g
}

// add adds a resource. The error is a fault in its text.
func (d *Dump) add(spec resource.Spec) error {
	r, err := d.batch.Add(spec)
	if err != nil {
		return err
	}
	g := d.group(spec.Kind)
	g.resources = append(g.resources, r)
	return nil
}

// shortType cuts a type URL to the name of the message.
func shortType(url string) string { return url[strings.LastIndexByte(url, '/')+1:] }
