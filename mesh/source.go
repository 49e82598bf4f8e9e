package mesh

import (
	"context"
	"io"
	"time"

	"github.com/meshlark/meshlark/xds/dump"
	"github.com/meshlark/meshlark/xds/pattern"
	"github.com/meshlark/meshlark/xds/rawjson"
	"github.com/meshlark/meshlark/xds/resource"
	"github.com/meshlark/meshlark/xds/syncz"
)

// A Source is a place a mesh can be read from. Implementations are in the packages under mesh/source. They are opened when
// they are first asked, are safe for concurrent use, and read only.
type Source interface {
	// Spec is what the user named it by, without credentials.
	Spec() string
	// Live tells whether the source shows the mesh as it is now rather than a recording.
	Live() bool
	// Survey tells which proxies and control planes there are. An error means that the source could not be read at all.
	Survey(ctx context.Context) (*Survey, error)
}

// A Refresher is a source that keeps something between surveys and can let go of it.
type Refresher interface{ Refresh() }

// A Namespacer is a source of a Kubernetes cluster in which one namespace is the user's own: a name without a namespace means a proxy of that one
// first.
type Namespacer interface {
	// Namespace is "" as long as the source does not know.
	Namespace() string
}

// A ServiceFinder is a source that knows Kubernetes services.
type ServiceFinder interface {
	// ServiceSelector gives the labels of the pods that a service sends requests to. It fails with an error that wraps ErrNotAvailable for a
	// service without a selector.
	ServiceSelector(ctx context.Context, name, namespace string) (map[string]string, error)
}

// A Survey is what a source knows of its mesh.
type Survey struct {
	Proxies  []Record
	Istiods  []IstiodRecord
	Captured time.Time // of a recording: when it was taken, or the newest moment it speaks of
	Failures []Failure // parts of the source that could not be read
	Fetched  Fetched   // what was moved over the network for it
}

// A Record is what a source knows of one proxy.
type Record struct {
	Name      string        // "pod.namespace" of an Istio proxy, else the node id, else what the source calls it
	NodeID    string        // node.id as sent to the control plane
	Metadata  rawjson.Value // node.metadata
	BuildInfo string        // Envoy's version string, where the source knows it
	IP        string        // where it differs from the node id's
	Connected *bool         // to a control plane; nil when the source cannot tell
	Sync      *syncz.Client // the control plane's view of it; nil when the source is none
	Istiod    string        // the control plane instance it is connected to
	Revision  string        // of that instance, else of the one that its pod was made for; "" when the source cannot tell
	Since     time.Time     // when it connected; zero when the source cannot tell
	Ready     *bool         // whether its pod is ready for requests; nil when the source cannot tell
	Actual    Reader        // what Envoy runs; nil when the source cannot give it
	Desired   Reader        // what the control plane would send; nil when the source cannot give it
	NoDesired error         // why it cannot, where the source could give that of other proxies
	NoActual  error         // likewise of what Envoy runs: calls that name no side then fail with it, and never tell the desired side instead
	ADS       Reader        // what the control plane sends to who connects as this proxy; nil when the source cannot give it
}

// An IstiodRecord is what a source knows of one control plane instance.
type IstiodRecord struct {
	Name     string
	Version  string
	Revision string
	Tags     []string // names that stand for its revision; nil when the source cannot tell
	// Debug gets a path of the debug API. It refuses paths that are not in its allow-list of reading ones.
	Debug func(ctx context.Context, path string) ([]byte, error)
}

// A Request names the part of a configuration that a question needs.
type Request struct {
	Kind resource.Kind
	Name pattern.Pattern // only resources of these names are needed
}

// An Answer is a dump and how much of the configuration it covers.
type Answer struct {
	Dump   *dump.Dump
	Covers Coverage
	Bytes  int64 // that were moved to get it
}

// Coverage tells what else a dump that answered a request can answer.
type Coverage int

// What an answer covers: the request alone, all resources of the requested kind, or the whole configuration.
const (
	CoversRequest Coverage = iota
	CoversKind
	CoversAll
)

// A Reader reads one side of one proxy's configuration.
type Reader interface {
	// Read gives a dump that answers the request; it may hold more.
	Read(ctx context.Context, r Request) (Answer, error)
	// Admin gets one of Envoy's other admin answers, such as "clusters?format=json", and hands it to read as it comes. The size is that of the whole.
	// Errors wrap ErrNotAvailable where the source has none; one of read is wrapped.
	Admin(ctx context.Context, path string, read func(io.Reader) error) (size int64, err error)
}
