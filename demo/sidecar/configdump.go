package sidecar

import (
	"fmt"
	"net/http"
	"time"

	adminv3 "github.com/envoyproxy/go-control-plane/envoy/admin/v3"
	"github.com/envoyproxy/go-control-plane/pkg/resource/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// configDump follows source/server/admin/config_dump_handler.cc: what its parameters select, how they combine, and what it says when
// they make no sense. A parameter without a value is one that is not there.
func (s *Sidecar) configDump(w http.ResponseWriter, req *http.Request) {
	query := req.URL.Query()
	match := func(string) bool { return true }
	if re := query.Get("name_regex"); re != "" {
		m, err := fullMatch(re)
		if err != nil {
			plain(w, http.StatusBadRequest, fmt.Sprintf("INVALID_ARGUMENT: Error while parsing name_regex from %s: %v", re, err))
			return
		}
		match = m
	}
	s.mu.Lock()
	sections := s.sections(match, query.Has("include_eds"))
	s.mu.Unlock()
	paths := maskPaths(query.Get("mask"))
	dump := &adminv3.ConfigDump{}
	var bad *fault
	if field := query.Get("resource"); field != "" {
		dump.Configs, bad = elements(sections, field, paths)
	} else {
		dump.Configs, bad = whole(sections, query.Get("mask"), paths)
	}
	if bad != nil {
		plain(w, bad.status, bad.text)
		return
	}
	show(w, dump, false)
}

// A fault is an answer that is no dump.
type fault struct {
	status int
	text   string
}

// whole gives the sections that have all fields of the mask, cut down to them.
func whole(sections []proto.Message, mask string, paths []string) ([]*anypb.Any, *fault) {
	var out []*anypb.Any
	for _, m := range sections {
		if len(paths) > 0 {
			if !validPaths(m.ProtoReflect().Descriptor(), paths) {
				continue
			}
			trim(m.ProtoReflect(), paths)
		}
		out = appendPacked(out, m)
	}
	if len(out) == 0 {
		return nil, &fault{http.StatusBadRequest, fmt.Sprintf("FieldMask %s could not be successfully applied to any configs.", mask)}
	}
	return out, nil
}

// elements gives the elements of a repeated field of the first section that has it, each cut down to the mask.
func elements(sections []proto.Message, field string, paths []string) ([]*anypb.Any, *fault) {
	for _, m := range sections {
		fd := m.ProtoReflect().Descriptor().Fields().ByName(protoreflect.Name(field))
		if fd == nil {
			continue
		}
		if !fd.IsList() {
			return nil, &fault{http.StatusBadRequest, fmt.Sprintf("%s is not a repeated field. Use ?mask=%s to get only this field", field, field)}
		}
		var out []*anypb.Any
		list := m.ProtoReflect().Get(fd).List()
		for i := range list.Len() {
			element := list.Get(i).Message()
			if len(paths) > 0 && !trimElement(element, paths) {
				return nil, &fault{http.StatusBadRequest, fmt.Sprintf("FieldMask %s could not be successfully used.", debugMask(paths))}
			}
			out = appendPacked(out, element.Interface())
		}
		return out, nil
	}
	return nil, &fault{http.StatusNotFound, fmt.Sprintf("%s not found in config dump", field)}
}

func appendPacked(list []*anypb.Any, m proto.Message) []*anypb.Any {
	a, err := anypb.New(m)
	if err != nil {
		return list
	}
	return append(list, a)
}

// sections renders what is held, in the order of Envoy's names for the sections. The lock is held.
func (s *Sidecar) sections(match func(string) bool, eds bool) []proto.Message {
	out := []proto.Message{
		&adminv3.BootstrapConfigDump{Bootstrap: s.options.Bootstrap, LastUpdated: stamp(s.started)},
		s.clusterSection(match),
	}
	if eds {
		out = append(out, s.endpointSection(match))
	}
	return append(out, s.listenerSection(match), &adminv3.ScopedRoutesConfigDump{}, s.routeSection(match), s.secretSection(match))
}

func (s *Sidecar) clusterSection(match func(string) bool) *adminv3.ClustersConfigDump {
	out := &adminv3.ClustersConfigDump{VersionInfo: s.state.versions[resource.ClusterType]}
	for _, c := range s.options.Bootstrap.GetStaticResources().GetClusters() {
		if match(c.GetName()) {
			out.StaticClusters = append(out.StaticClusters, &adminv3.ClustersConfigDump_StaticCluster{Cluster: pack(c), LastUpdated: stamp(s.started)})
		}
	}
	for _, name := range sortedKeys(s.state.clusters) {
		if !match(name) {
			continue
		}
		e := s.state.clusters[name]
		d := &adminv3.ClustersConfigDump_DynamicCluster{VersionInfo: e.version, Cluster: pack(e.message), LastUpdated: stamp(e.at)}
		if s.state.warm(e.message) {
			out.DynamicActiveClusters = append(out.DynamicActiveClusters, d)
		} else {
			out.DynamicWarmingClusters = append(out.DynamicWarmingClusters, d)
		}
	}
	return out
}

func (s *Sidecar) listenerSection(match func(string) bool) *adminv3.ListenersConfigDump {
	out := &adminv3.ListenersConfigDump{VersionInfo: s.state.versions[resource.ListenerType]}
	for _, l := range s.options.Bootstrap.GetStaticResources().GetListeners() {
		if match(l.GetName()) {
			out.StaticListeners = append(out.StaticListeners, &adminv3.ListenersConfigDump_StaticListener{Listener: pack(l), LastUpdated: stamp(s.started)})
		}
	}
	dynamic := map[string]*adminv3.ListenersConfigDump_DynamicListener{}
	named := func(name string) *adminv3.ListenersConfigDump_DynamicListener {
		if dynamic[name] == nil {
			dynamic[name] = &adminv3.ListenersConfigDump_DynamicListener{Name: name}
			out.DynamicListeners = append(out.DynamicListeners, dynamic[name])
		}
		return dynamic[name]
	}
	for _, name := range sortedKeys(s.state.listeners) {
		if !match(name) {
			continue
		}
		e := s.state.listeners[name]
		if s.state.ready(e.message) {
			named(name).ActiveState = listenerState(e)
		} else {
			named(name).WarmingState = listenerState(e)
		}
	}
	for _, name := range s.drainingNames() {
		if match(name) {
			named(name).DrainingState = listenerState(s.state.draining[name].entry)
		}
	}
	// Envoy does not select these by name, and has each twice: by its name, and once more without name and time.
	for _, name := range sortedKeys(s.state.refused) {
		r := s.state.refused[name]
		failed := pack(r.listener)
		named(name).ErrorState = &adminv3.UpdateFailureState{FailedConfiguration: failed, LastUpdateAttempt: stamp(r.at), Details: r.reason}
		out.DynamicListeners = append(out.DynamicListeners, &adminv3.ListenersConfigDump_DynamicListener{
			ErrorState: &adminv3.UpdateFailureState{FailedConfiguration: failed, Details: r.reason},
		})
	}
	return out
}

func listenerState[M proto.Message](e entry[M]) *adminv3.ListenersConfigDump_DynamicListenerState {
	return &adminv3.ListenersConfigDump_DynamicListenerState{VersionInfo: e.version, Listener: pack(e.message), LastUpdated: stamp(e.at)}
}

// drainingNames are the removed listeners whose drain time is not over.
func (s *Sidecar) drainingNames() []string {
	var out []string
	for _, name := range sortedKeys(s.state.draining) {
		if s.options.Now().Before(s.state.draining[name].since.Add(s.options.DrainTime)) {
			out = append(out, name)
		}
	}
	return out
}

func (s *Sidecar) routeSection(match func(string) bool) *adminv3.RoutesConfigDump {
	out := &adminv3.RoutesConfigDump{}
	static := func(m proto.Message, name string, at time.Time) {
		if match(name) {
			out.StaticRouteConfigs = append(out.StaticRouteConfigs, &adminv3.RoutesConfigDump_StaticRouteConfig{RouteConfig: pack(m), LastUpdated: stamp(at)})
		}
	}
	for _, l := range s.options.Bootstrap.GetStaticResources().GetListeners() {
		for _, m := range managers(l) {
			static(m.GetRouteConfig(), m.GetRouteConfig().GetName(), s.started)
		}
	}
	for _, name := range sortedKeys(s.state.listeners) {
		for _, m := range managers(s.state.listeners[name].message) {
			if rc := m.GetRouteConfig(); rc != nil {
				static(rc, rc.GetName(), s.state.listeners[name].at)
			}
		}
	}
	wanted := s.state.routeNames()
	for _, name := range wanted {
		if e, ok := s.state.routes[name]; ok && match(name) {
			out.DynamicRouteConfigs = append(out.DynamicRouteConfigs, &adminv3.RoutesConfigDump_DynamicRouteConfig{
				VersionInfo: e.version, RouteConfig: pack(e.message), LastUpdated: stamp(e.at),
			})
		}
	}
	return out
}

func (s *Sidecar) secretSection(match func(string) bool) *adminv3.SecretsConfigDump {
	out := &adminv3.SecretsConfigDump{}
	for _, secret := range s.options.Secrets {
		if match(secret.GetName()) {
			out.DynamicActiveSecrets = append(out.DynamicActiveSecrets, &adminv3.SecretsConfigDump_DynamicSecret{
				Name: secret.GetName(), VersionInfo: s.started.UTC().Format(time.RFC3339), LastUpdated: stamp(s.started), Secret: pack(secret),
			})
		}
	}
	return out
}

// stamp is a time as Envoy keeps it, in milliseconds.
func stamp(t time.Time) *timestamppb.Timestamp {
	return timestamppb.New(t.Truncate(time.Millisecond))
}

func pack(m proto.Message) *anypb.Any {
	a, err := anypb.New(m)
	if err != nil {
		return nil
	}
	return a
}
