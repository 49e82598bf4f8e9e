package routing

import (
	"slices"
	"strings"

	"github.com/meshlark/meshlark/xds/explain"
	"github.com/meshlark/meshlark/xds/match"
	"github.com/meshlark/meshlark/xds/rawjson"
	"github.com/meshlark/meshlark/xds/route"
)

// A Result is what becomes of a request. When the request's random number is not given and decides, the fields about the route are those
// of the route that most requests take, and Clusters says where all of them go.
type Result struct {
	VirtualHost string // name; "" when none fits the host
	HostFound   bool
	HostView    route.VirtualHost

	Found bool   // whether a route was found
	Route string // name of the route, often ""
	Where string // where the route is in the table: virtual_hosts[0].routes[2]
	View  route.Route
	// Routes are the routes requests like this one take, when their random number decides and is not given.
	Routes []explain.Share

	Action  string          // as route.Route.Action; "" when no route was found; Redirects for the redirect to https
	Cluster string          // where the request goes; "" when it goes nowhere, or when weights decide and the random number is not given
	Weights []explain.Share // the clusters of the route, by name, with their shares
	// Clusters are where requests like this one go, with the share of each. Shares of requests that are answered are left out.
	Clusters []explain.Share
	Mirrors  []explain.Share // where copies of them go
	// VirtualCluster is the one whose statistics count the request: the first of the virtual host's that fits it, "other" when it has some and none
	// does.
	VirtualCluster string
	// Criteria are the values by which a subset of the cluster's endpoints is chosen (metadata_match, filter envoy.lb).
	Criteria map[string]rawjson.Value

	Path string // with the query, after rewriting
	Host string // after rewriting
	// HostAuto says that the host becomes the name of the chosen endpoint.
	HostAuto bool

	Redirect string // the Location of a redirect
	Code     int    // of the answer, when Envoy answers by itself; 0 when a cluster does
	Body     string // of such an answer
	Flags    string // as in Envoy's access log: NR for no route
	Details  string // response code details, as route_not_found
	NotFound int    // status of the answer when the cluster does not exist

	RequestHeaders  match.Headers // as they leave for the cluster, those the connection manager adds apart
	ResponseHeaders match.Headers // that are set on the answer
	ResponseRemoved []string      // that are taken off the answer

	Reason     string
	Steps      []explain.Step
	Unmodelled []string

	resume func(*match.Request) Result // nil where no route was followed
}

// Rename gives the request, which is to have the name of its endpoint for its host (HostAuto), that name.
func (r *Result) Rename(host string) {
	if r.Host != "" {
		r.RequestHeaders = set(slices.Clone(r.RequestHeaders), match.Header{Name: "x-envoy-original-host", Value: r.Host})
		if r.View.Fields().Get("route", "append_x_forwarded_host").IsTrue() {
			r.RequestHeaders = appendForwardedHost(r.RequestHeaders, r.Host)
		}
	}
	r.Host = host
}

// Leaving are the headers of the request as it leaves for the cluster, pseudo-headers first; none when Envoy answers by itself.
func (r Result) Leaving(request *match.Request) match.Headers {
	if !r.Found || r.Code != 0 || r.Action == route.Redirects || r.Action == route.DirectResponse {
		return nil
	}
	method := request.Method
	if method == "" {
		method = "GET"
	}
	out := match.Headers{{Name: ":method", Value: method}, {Name: ":scheme", Value: request.SchemeOr()}}
	if r.Host != "" {
		out = append(out, match.Header{Name: ":authority", Value: r.Host})
	}
	if r.Path != "" {
		out = append(out, match.Header{Name: ":path", Value: r.Path})
	}
	for _, h := range r.RequestHeaders {
		if _, there := out.Get(h.Name); !there {
			out = append(out, match.Header{Name: h.Name, Value: strings.Join(r.RequestHeaders.Values(h.Name), ",")})
		}
	}
	return out
}
