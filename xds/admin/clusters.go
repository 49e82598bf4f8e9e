package admin

import (
	"errors"
	"io"
	"slices"
	"strings"
	"unique"

	"github.com/meshlark/meshlark/xds/rawjson"
	"github.com/meshlark/meshlark/xds/redact"
	"github.com/meshlark/meshlark/xds/resource"
)

const clustersPath = "/clusters?format=json"

// A ClusterStatus is one cluster as Envoy runs it. Only active clusters are there, in no particular order; one that is
// still warming is in the config dump alone.
//
// A fleet's proxies know the same clusters and hosts, so what they have in common is kept once, in the store ReadClusters
// was given; what is a proxy's own (counters, health, success rates) is kept apart.
type ClusterStatus struct {
	Name           string
	EDSServiceName string // what endpoints are asked for by, when it is not Name
	AddedViaAPI    bool   // by discovery, not the bootstrap
	Hosts          []Host
	Ejection       *Ejection // nil unless outlier detection goes by success rate and has enough hosts to

	config *resource.Body
}

// An Ejection is the success rates, in percent, below which outlier detection ejects hosts of a cluster.
type Ejection struct {
	SuccessRate            Number
	LocalOriginSuccessRate Number // where errors of the connection are told from answers
}

// A Limit is a cluster's circuit breaker thresholds for one priority. An empty Number means that Envoy did not say.
type Limit struct {
	Priority           string // DEFAULT or HIGH
	MaxConnections     Number
	MaxPendingRequests Number
	MaxRequests        Number
	MaxRetries         Number
	MaxConnectionPools Number
}

// ReadClusters reads the answer of /clusters?format=json, or the array of cluster statuses that
// `istioctl proxy-config endpoint -o json` makes of it, as it comes. What proxies have in common is kept in the store, and of the text no more than what is a
// proxy's own. Where the answer breaks off the error is that of src.
func ReadClusters(src io.Reader, store *resource.Store) ([]ClusterStatus, error) {
	f := rawjson.NewFeed(src)
	defer f.Close()
	r := clusterReader{Feed: f, store: store, states: make(map[string]*hostState)}
	err := r.document()
	if broken := f.Err(); broken != nil {
		return nil, broken
	}
	var syntax *rawjson.SyntaxError
	if errors.As(err, &syntax) {
		err = r.fault(int(syntax.Offset), "invalid JSON: "+syntax.Msg)
	}
	if err != nil {
		return nil, err
	}
	return r.clusters, nil
}

// A clusterReader keeps what hosts of one answer have in common. Most have never been asked anything, so their states are
// alike.
type clusterReader struct {
	*rawjson.Feed
	store    *resource.Store
	clusters []ClusterStatus
	states   map[string]*hostState
	compact  []byte // one cluster, reused
	shared   []byte // text being put together, reused
	own      []byte
	hosts    []Host // of one cluster, reused
}

func (r *clusterReader) fault(i int, reason string) error {
	return &Error{clustersPath, r.Position(i).Offset, reason}
}

// document reads the whole answer.
func (r *clusterReader) document() error {
	i := r.Space(0)
	var err error
	switch {
	case i == len(r.Text):
		return &Error{clustersPath, 0, "the body is empty"}
	case r.Is(i, '['):
		i, err = r.Elems(i, r.element)
	case r.Is(i, '{'):
		i, err = r.object(i)
	default:
		return r.fault(i, notJSON(clustersPath, redact.FirstLine(r.Text[i:])))
	}
	if err != nil {
		return err
	}
	if i = r.Space(i); i < len(r.Text) {
		return r.fault(i, "invalid JSON: something follows the end of the answer")
	}
	return nil
}

// object reads an answer of Envoy's. It leaves out an empty list, so that an object with no other members is an answer.
func (r *clusterReader) object(i int) (int, error) {
	var others []string
	listed := false
	end, err := r.Members(i, func(key string, at int) (int, error) {
		if snake(key) != "cluster_statuses" {
			if len(others) <= shownFields {
				others = append(others, strings.Clone(key))
			}
			return r.one(at, func(rawjson.Value) error { return nil })
		}
		listed = true
		if r.Is(at, '[') {
			return r.Elems(at, r.element)
		}
		return r.one(at, func(v rawjson.Value) error {
			if v.Exists() {
				return &Error{clustersPath, 0, "cluster_statuses is not an array"}
			}
			return nil
		})
	})
	if err == nil && !listed && len(others) > 0 {
		err = otherDocument(clustersPath, "cluster_statuses", others)
	}
	return end, err
}

// one checks the value at i and hands it over without white space.
func (r *clusterReader) one(i int, read func(rawjson.Value) error) (int, error) {
	text, end, err := r.Compact(r.compact[:0], i)
	if err != nil {
		return end, err
	}
	r.compact = text
	return end, read(text)
}

// element reads one cluster.
func (r *clusterReader) element(i int) (int, error) {
	return r.one(i, func(v rawjson.Value) error {
		c, err := r.cluster(v)
		if err == nil && c.Name == "" {
			err = &Error{clustersPath, 0, "an element that is no cluster status (it has no name): " + redact.FirstLine(v)}
		}
		r.clusters = append(r.clusters, c)
		return err
	})
}

func (r *clusterReader) cluster(v rawjson.Value) (ClusterStatus, error) {
	var c ClusterStatus
	var hosts rawjson.Value
	var ejection Ejection
	r.shared = append(r.shared[:0], '{')
	for key, val := range v.Members() {
		switch snake(key) {
		case "host_statuses":
			hosts = val
			continue
		case "success_rate_ejection_threshold":
			ejection.SuccessRate = percent(val)
			continue
		case "local_origin_success_rate_ejection_threshold":
			ejection.LocalOriginSuccessRate = percent(val)
			continue
		case "name":
			c.Name = shareString(val.Text())
		case "eds_service_name":
			c.EDSServiceName = shareString(val.Text())
		case "added_via_api":
			c.AddedViaAPI = val.IsTrue()
		}
		r.shared = appendMember(r.shared, key, val)
	}
	if ejection != (Ejection{}) {
		c.Ejection = &ejection
	}
	var err error
	if c.config, err = r.intern(append(r.shared, '}')); err != nil {
		return c, err
	}
	r.hosts = r.hosts[:0]
	for h := range hosts.Elems() {
		host, err := r.host(h)
		if err != nil {
			return c, err
		}
		r.hosts = append(r.hosts, host)
	}
	if len(r.hosts) > 0 {
		c.Hosts = slices.Clip(slices.Clone(r.hosts))
	}
	return c, nil
}

func (r *clusterReader) host(v rawjson.Value) (Host, error) {
	r.shared = append(r.shared[:0], '{')
	r.own = append(r.own[:0], '{')
	for key, val := range v.Members() {
		switch snake(key) {
		case "stats", "health_status", "success_rate", "local_origin_success_rate":
			r.own = appendMember(r.own, key, val)
		default:
			r.shared = appendMember(r.shared, key, val)
		}
	}
	config, err := r.intern(append(r.shared, '}'))
	if err != nil {
		return Host{}, err
	}
	r.own = append(r.own, '}')
	state, ok := r.states[string(r.own)]
	if !ok {
		text := string(r.own)
		state = &hostState{raw: rawjson.Value(text)}
		state.health = readHealth(state.raw.Get("health_status"))
		r.states[text] = state
	}
	return Host{config: config, state: state}, nil
}

func (r *clusterReader) intern(text []byte) (*resource.Body, error) {
	r.shared = text
	body, err := r.store.Intern(text)
	if err != nil {
		return nil, &Error{clustersPath, 0, "keep a cluster's configuration: " + err.Error()}
	}
	return body, nil
}

// appendMember adds a member to the text of an object that is still open.
func appendMember(dst []byte, key string, val rawjson.Value) []byte {
	if dst[len(dst)-1] != '{' {
		dst = append(dst, ',')
	}
	dst = append(rawjson.Quote(dst, key), ':')
	return append(dst, val...)
}

// shareString gives the one copy of a text that all proxies' clusters refer to.
func shareString(s string) string { return unique.Make(s).Value() }

// ObservabilityName is what the cluster is called in statistics and logs.
func (c ClusterStatus) ObservabilityName() string {
	if name := c.Config().Str("observability_name"); name != "" {
		return name
	}
	return c.Name
}

// Config is the cluster's part that proxies have in common, as JSON: everything but hosts and ejection thresholds.
func (c ClusterStatus) Config() rawjson.Value {
	if c.config == nil {
		return nil
	}
	return c.config.Raw()
}

// Raw is the whole cluster as JSON, with its hosts.
func (c ClusterStatus) Raw() rawjson.Value {
	own := rawjson.Value("{")
	if c.Ejection != nil {
		for _, rate := range [...]struct {
			name  string
			value Number
		}{
			{"success_rate_ejection_threshold", c.Ejection.SuccessRate},
			{"local_origin_success_rate_ejection_threshold", c.Ejection.LocalOriginSuccessRate},
		} {
			if rate.value != "" {
				own = appendMember(own, rate.name, percentJSON(rate.value))
			}
		}
	}
	if len(c.Hosts) > 0 {
		hosts := rawjson.Value("[")
		for i, h := range c.Hosts {
			if i > 0 {
				hosts = append(hosts, ',')
			}
			hosts = append(hosts, h.Raw()...)
		}
		own = appendMember(own, "host_statuses", append(hosts, ']'))
	}
	return merge(c.Config(), append(own, '}'))
}

// Limits are the cluster's circuit breakers, for priority DEFAULT and then HIGH as Envoy writes them.
func (c ClusterStatus) Limits() []Limit {
	var out []Limit
	for v := range c.Config().Get("circuit_breakers", "thresholds").Elems() {
		l := Limit{
			Priority:           v.Str("priority"),
			MaxConnections:     number(v.Get("max_connections")),
			MaxPendingRequests: number(v.Get("max_pending_requests")),
			MaxRequests:        number(v.Get("max_requests")),
			MaxRetries:         number(v.Get("max_retries")),
			MaxConnectionPools: number(v.Get("max_connection_pools")),
		}
		if l.Priority == "" {
			l.Priority = "DEFAULT"
		}
		out = append(out, l)
	}
	return out
}
