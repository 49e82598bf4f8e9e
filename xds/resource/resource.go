// Package resource holds the resources of Envoy's configuration: what was sent, once, however many proxies have it.
//
// A [Resource] is one entry of one proxy's dump: a small reference that knows the entry's kind, name, state and version. What it
// says is a [Body], which lives in a [Store] and is shared by every reference to the same text. Private keys and other secrets
// are taken out before a body is stored.
//
// Resources and bodies are immutable and safe for concurrent use.
package resource

import (
	"sync/atomic"
	"time"

	"github.com/meshlark/meshlark/xds/rawjson"
)

// Kind says what a resource configures. A section of a dump that this package does not know has its @type as its kind.
type Kind string

// The kinds of resources in Envoy's config dump.
const (
	Cluster      Kind = "cluster"
	Listener     Kind = "listener"
	RouteConfig  Kind = "route_config"
	Endpoint     Kind = "endpoint" // a ClusterLoadAssignment
	Secret       Kind = "secret"
	Bootstrap    Kind = "bootstrap"
	ScopedRoutes Kind = "scoped_routes"
	Extension    Kind = "extension" // configuration of one filter, by extension configuration discovery (ECDS)
)

// Kinds lists the known kinds in the order in which they are shown.
var Kinds = [...]Kind{Bootstrap, Listener, RouteConfig, ScopedRoutes, Cluster, Endpoint, Secret, Extension}

// State is where in its life a resource is, by the place in the dump where it stands.
type State string

// The states of a resource.
const (
	Active   State = "active"   // in use
	Static   State = "static"   // from the bootstrap, in use
	Warming  State = "warming"  // accepted, waits for something it needs
	Draining State = "draining" // being replaced or removed, still serves old connections
	Error    State = "error"    // the last update was rejected
)

var states = [...]State{Active, Static, Warming, Draining, Error}

func stateIndex(s State) uint8 {
	for i, known := range states {
		if s == known {
			return uint8(i)
		}
	}
	return 0
}

// A Failure is an update that the proxy rejected (envoy.admin.v3.UpdateFailureState).
type Failure struct {
	Details     string    // why, in Envoy's words
	LastAttempt time.Time // when; zero when not said
	VersionInfo string    // of the rejected update
	Failed      *Body     // the rejected configuration; nil when it was not sent
}

// A Resource is one entry of one proxy's configuration.
type Resource struct {
	entry   atomic.Pointer[entry]
	meta    *meta
	updated int64 // nanoseconds since 1970, noTime when unknown
	state   uint8
}

// noTime stands for an unknown time of update.
const noTime = -1 << 63

// An entry is what references of several proxies share: a kind, a name and a body.
type entry struct {
	kind Kind
	name string
	body *Body
	lazy *lazy  // set until the body has been interned
	next *entry // in the store: another name or kind with the same text
}

// meta is what many references of one dump have in common.
type meta struct {
	version      string
	clientStatus string
	failure      *failure
}

// Kind says what the resource configures.
func (r *Resource) Kind() Kind { return r.entry.Load().kind }

// Name is the name the proxy knows the resource by. It is empty for a bootstrap, and for a rejected update that belongs to no listener.
func (r *Resource) Name() string { return r.entry.Load().name }

// State says in which list of the dump the resource stands.
func (r *Resource) State() State { return states[r.state] }

// VersionInfo is the version under which the control plane sent the resource; empty for static ones and where the dump does not say.
func (r *Resource) VersionInfo() string { return r.meta.version }

// ClientStatus is envoy.admin.v3.ClientResourceStatus (ACKED, NACKED...); Envoy's own dumps do not set it.
func (r *Resource) ClientStatus() string { return r.meta.clientStatus }

// LastUpdated is when the proxy took the resource over; zero when the dump does not say.
func (r *Resource) LastUpdated() time.Time {
	return fromNano(r.updated)
}

// Failure tells why an update was rejected; nil unless the state is Error.
func (r *Resource) Failure() *Failure {
	if r.meta.failure == nil {
		return nil
	}
	return r.meta.failure.get()
}

// Body gives what the resource says. It is read, checked and stored when it is first asked for; the error is a *TextError that says
// where the dump is not valid JSON. A rejected update whose configuration was not sent has neither body nor error.
func (r *Resource) Body() (*Body, error) {
	e := r.entry.Load()
	if e.lazy == nil {
		return e.body, nil
	}
	settled, err := e.lazy.batch.settle(e.kind, e.name, e.lazy.text)
	if err != nil {
		return nil, e.lazy.fault(err)
	}
	r.entry.Store(settled)
	return settled.body, nil
}

// Peek gives the body's text for a look at a few plain fields, such as a name or a type, of very many resources. Unlike Body it neither checks nor
// stores anything: the text may have white space, faults, and private material, so it must be neither kept nor shown.
func (r *Resource) Peek() rawjson.Value {
	e := r.entry.Load()
	if e.lazy == nil {
		return e.body.Raw()
	}
	return e.lazy.text
}

// Raw gives the text of the body.
func (r *Resource) Raw() (rawjson.Value, error) {
	b, err := r.Body()
	if err != nil {
		return nil, err
	}
	return b.Raw(), nil
}
