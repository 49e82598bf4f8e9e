package pilot

import (
	"cmp"
	"net/http"
	"slices"
	"strings"

	adminv3 "github.com/envoyproxy/go-control-plane/envoy/admin/v3"
	"github.com/envoyproxy/go-control-plane/pkg/cache/v3"
	"github.com/envoyproxy/go-control-plane/pkg/resource/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
)

// shortTypes are the names that the parameter types takes. The simulation has no resources of the others.
var shortTypes = []string{"cds", "lds", "rds", "eds", "sds", "ecds", "nds", "pcds", "wds", "wads"}

func (i *Istiod) configDump(w http.ResponseWriter, req *http.Request) {
	var kinds []string
	if types := req.URL.Query().Get("types"); types != "" {
		kinds = strings.Split(types, ",")
		for _, kind := range kinds {
			if !slices.Contains(shortTypes, kind) {
				http.Error(w, "unknown type "+kind, http.StatusBadRequest)
				return
			}
		}
	}
	i.dump(w, req, kinds)
}

func (i *Istiod) edsz(w http.ResponseWriter, req *http.Request) { i.dump(w, req, []string{"eds"}) }

// dump answers with what a push would send to the client that the parameter proxyID is a part of the connection's id of. As istiod does,
// it leaves out what the client does not ask for.
func (i *Istiod) dump(w http.ResponseWriter, req *http.Request, kinds []string) {
	id := req.URL.Query().Get("proxyID")
	if id == "" {
		http.Error(w, "You must provide a proxyID in the query string", http.StatusBadRequest)
		return
	}
	i.mu.Lock()
	held := i.held(id)
	i.mu.Unlock()
	if held == nil {
		http.Error(w, "Proxy not connected to this Pilot instance. It may be connected to another instance.", http.StatusNotFound)
		return
	}
	answer := &adminv3.ConfigDump{}
	if len(kinds) > 0 {
		for _, kind := range kinds {
			answer.Configs = append(answer.Configs, held.resources[kind]...)
		}
	} else {
		answer.Configs = held.sections(req.URL.Query().Has("include_eds"))
	}
	body := compactJSON(answer)
	if body == nil {
		http.Error(w, "could not marshal the configuration", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(body)
}

// A holding is what the control plane has for one client, by short type.
type holding struct {
	push      string
	resources map[string][]*anypb.Any
	names     map[string][]string
}

// held gives the configuration of the first connection whose id contains the text. The lock is held.
func (i *Istiod) held(id string) *holding {
	for _, c := range i.connected() {
		if !strings.Contains(c.id, id) {
			continue
		}
		would := i.client(c.node.GetId()).would
		h := &holding{push: i.push, resources: map[string][]*anypb.Any{}, names: map[string][]string{}}
		add(h, "cds", would.Clusters, c.watches[resource.ClusterType], true)
		add(h, "lds", would.Listeners, c.watches[resource.ListenerType], true)
		add(h, "rds", would.Routes, c.watches[resource.RouteType], false)
		add(h, "eds", would.Endpoints, c.watches[resource.EndpointType], false)
		return h
	}
	return nil
}

func add[M proto.Message](h *holding, kind string, messages []M, w *watch, wildcard bool) {
	if w == nil {
		return
	}
	sorted := slices.SortedFunc(slices.Values(messages), func(a, b M) int { return cmp.Compare(cache.GetResourceName(a), cache.GetResourceName(b)) })
	for _, m := range sorted {
		name := cache.GetResourceName(m)
		if !wildcard && !slices.Contains(w.names, name) {
			continue
		}
		if a, err := anypb.New(m); err == nil {
			h.resources[kind] = append(h.resources[kind], a)
			h.names[kind] = append(h.names[kind], name)
		}
	}
}

// sections wraps the resources as an Envoy would, in istiod's order.
func (h *holding) sections(eds bool) []*anypb.Any {
	clusters := &adminv3.ClustersConfigDump{VersionInfo: h.push}
	for _, a := range h.resources["cds"] {
		clusters.DynamicActiveClusters = append(clusters.DynamicActiveClusters, &adminv3.ClustersConfigDump_DynamicCluster{VersionInfo: h.push, Cluster: a})
	}
	endpoints := &adminv3.EndpointsConfigDump{}
	for _, a := range h.resources["eds"] {
		endpoints.DynamicEndpointConfigs = append(endpoints.DynamicEndpointConfigs, &adminv3.EndpointsConfigDump_DynamicEndpointConfig{VersionInfo: h.push, EndpointConfig: a})
	}
	listeners := &adminv3.ListenersConfigDump{VersionInfo: h.push}
	for n, a := range h.resources["lds"] {
		listeners.DynamicListeners = append(listeners.DynamicListeners, &adminv3.ListenersConfigDump_DynamicListener{
			Name:        h.names["lds"][n],
			ActiveState: &adminv3.ListenersConfigDump_DynamicListenerState{VersionInfo: h.push, Listener: a},
		})
	}
	routes := &adminv3.RoutesConfigDump{}
	for _, a := range h.resources["rds"] {
		routes.DynamicRouteConfigs = append(routes.DynamicRouteConfigs, &adminv3.RoutesConfigDump_DynamicRouteConfig{VersionInfo: h.push, RouteConfig: a})
	}
	messages := []proto.Message{&adminv3.BootstrapConfigDump{}, clusters}
	if eds {
		messages = append(messages, endpoints)
	}
	messages = append(messages, listeners, &adminv3.ScopedRoutesConfigDump{}, routes, &adminv3.SecretsConfigDump{}, &adminv3.EcdsConfigDump{})
	var out []*anypb.Any
	for _, m := range messages {
		if a, err := anypb.New(m); err == nil {
			out = append(out, a)
		}
	}
	return out
}
