package syncz

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/meshlark/meshlark/xds/naming"
)

// A Status is how far a client is with one type of configuration.
type Status string

// The four states of a type that a client asked for. STALE is normal for the moment between sending and acknowledgement:
// only one that lasts is a fault.
const (
	Synced   Status = "SYNCED"   // the client has acknowledged what was sent last
	Stale    Status = "STALE"    // sent, and not acknowledged
	NotSent  Status = "NOT_SENT" // asked for, but istiod had nothing to send
	Rejected Status = "ERROR"    // the client rejected what was sent last
)

// A TypeStatus is the state of one type of configuration of one client. Fields that a form does not have are zero.
type TypeStatus struct {
	TypeURL    string
	Type       string // CDS, LDS... or the URL of a type that has no short name
	Status     Status
	SentNonce  string
	AckedNonce string
	SentAt     time.Time // when istiod last sent this type; not when it was acknowledged
	FailedAt   time.Time // of the attempt Error is about
	Error      string    // why the client rejected it, in the client's words
}

// A Client is one connection of a proxy to an istiod. A proxy that has just reconnected may be there twice.
type Client struct {
	ProxyID      string // pod.namespace
	NodeID       string // the whole node id, where the form has it
	Type         string // sidecar, router, waypoint, ztunnel...; "" where the form does not say
	Namespace    string
	ClusterID    string
	IstioVersion string       // of the proxy
	Istiod       string       // the istiod that says so; "" where the form does not say: who asked knows
	Types        []TypeStatus // those the client asked for: CDS LDS EDS RDS ECDS first, then by type URL
}

// Status gives the state of a type by its short name (CDS) or its URL. A type that is not there is one the client did not
// ask for.
func (c *Client) Status(short string) (TypeStatus, bool) {
	for _, t := range c.Types {
		if t.Type == short || t.TypeURL == short {
			return t, true
		}
	}
	return TypeStatus{}, false
}

// LastSent is when the istiod last sent the client anything; zero when it never did, or does not tell.
func (c *Client) LastSent() time.Time {
	var last time.Time
	for _, t := range c.Types {
		if t.SentAt.After(last) {
			last = t.SentAt
		}
	}
	return last
}

// statusOf is istiod's own rule (pilot/pkg/xds, debugSyncStatus).
func statusOf(t TypeStatus) Status {
	switch {
	case t.Error != "":
		return Rejected
	case t.SentNonce == "":
		return NotSent
	case t.AckedNonce == t.SentNonce:
		return Synced
	default:
		return Stale
	}
}

func sortTypes(types []TypeStatus) {
	rank := func(t TypeStatus) int {
		i := slices.Index([]string{"CDS", "LDS", "EDS", "RDS", "ECDS"}, t.Type)
		if i < 0 {
			return 5
		}
		return i
	}
	slices.SortStableFunc(types, func(a, b TypeStatus) int {
		return cmp.Or(cmp.Compare(rank(a), rank(b)), cmp.Compare(a.TypeURL, b.TypeURL))
	})
}

// setNode fills in what a node id says. The debug interface sends pod.namespace in its place.
func (c *Client) setNode(id string) {
	c.ProxyID = id
	if node, ok := naming.ParseNode(id); ok {
		c.NodeID, c.Type, c.Namespace = id, node.Type, node.Namespace
		c.ProxyID = node.Pod
		if node.Namespace != "" {
			c.ProxyID += "." + node.Namespace
		}
		return
	}
	if i := strings.LastIndexByte(id, '.'); i >= 0 {
		c.Namespace = id[i+1:]
	}
}
