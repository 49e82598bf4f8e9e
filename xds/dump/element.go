package dump

import (
	"strings"

	"github.com/meshlark/meshlark/xds/rawjson"
	"github.com/meshlark/meshlark/xds/resource"
)

// A value is a body found in the text.
type value struct {
	start, end int
	name       string
	typeURL    string
}

// A wrapper is what stands around a body: an element of a section's list, or one state of a listener.
type wrapper struct {
	typeURL, name, version, updated, status string

	body   value
	states [3]*wrapper // active, warming, draining
	failed *failed
}

// failed is an error_state.
type failed struct {
	details, attempt, version string
	body                      value
}

var stateOrder = [3]resource.State{resource.Active, resource.Warming, resource.Draining}

// element reads one element of a section's list and adds its resources.
func (s *splitter) element(i int, l list) (int, error) {
	if !s.at(i, '{') {
		if i >= len(s.src) {
			return i, syntaxf(i, "unexpected end, want an object")
		}
		return i, syntaxf(i, "unexpected %s, want an object in the list of a section", glimpse(s.src[i:]))
	}
	if !s.looked {
		s.looked, s.ahead = true, s.lookAhead(i)
	}
	w, end := s.ahead.at(i)
	if w == nil {
		var err error
		w = new(wrapper)
		if end, err = s.wrapper(i, w); err != nil {
			return end, err
		}
	}
	if l.kind == resource.ScopedRoutes {
		s.scoped(i, end, l, w)
		return end, nil
	}
	s.wrapped(l, w)
	return end, nil
}

// wrapped adds the resources of a wrapper.
func (s *splitter) wrapped(l list, w *wrapper) {
	if w.body.end > 0 {
		s.addBody(l, l.state, w, w.name)
	}
	for n, state := range w.states {
		if state != nil {
			state.status = w.status
			s.addBody(l, stateOrder[n], state, w.name)
		}
	}
	if f := w.failed; f != nil {
		spec := resource.Spec{
			Kind: l.kind, Name: w.name, State: resource.Error, VersionInfo: f.version, ClientStatus: w.status,
			Failure: &resource.FailureSpec{Details: f.details, LastAttempt: f.attempt, VersionInfo: f.version},
		}
		if f.body.end > 0 {
			spec.Text, spec.Offset = s.src[f.body.start:f.body.end], f.body.start
		}
		if spec.Name == "" {
			spec.Name = w.body.name // not that of the rejected body: Envoy lists a rejected listener once more without a name
		}
		s.dump.add(spec)
	}
	if w.body.end == 0 && w.states == [3]*wrapper{} && w.failed == nil {
		// A masked dump may leave no more than a name.
		s.addBody(l, l.state, w, w.name)
	}
}

func (s *splitter) addBody(l list, state resource.State, w *wrapper, name string) {
	spec := resource.Spec{
		Kind: l.kind, Name: name, State: state,
		VersionInfo: w.version, LastUpdated: w.updated, ClientStatus: w.status,
	}
	if w.body.end > 0 {
		spec.Text, spec.Offset = s.src[w.body.start:w.body.end], w.body.start
	}
	if spec.Name == "" {
		spec.Name = w.body.name
	}
	s.dump.add(spec)
}

// wrapper reads the object at i.
func (s *splitter) wrapper(i int, w *wrapper) (int, error) {
	return s.members(i, func(key string, at int) (end int, err error) {
		switch key {
		case "@type":
			w.typeURL, end, err = s.str(at)
		case "name":
			w.name, end, err = s.str(at)
		case "version_info", "versionInfo":
			w.version, end, err = s.str(at)
		case "last_updated", "lastUpdated":
			w.updated, end, err = s.str(at)
		case "client_status", "clientStatus":
			w.status, end, err = s.str(at)
		case "cluster", "listener", "route_config", "routeConfig", "secret", "endpoint_config", "endpointConfig", "ecds_filter", "ecdsFilter":
			w.body, end, err = s.body(at)
		case "active_state", "activeState":
			return s.state(at, &w.states[0])
		case "warming_state", "warmingState":
			return s.state(at, &w.states[1])
		case "draining_state", "drainingState":
			return s.state(at, &w.states[2])
		case "error_state", "errorState":
			if !s.at(at, '{') {
				return rawjson.Skip(s.src, at)
			}
			w.failed = &failed{}
			return s.failed(at, w.failed)
		default:
			return rawjson.Skip(s.src, at)
		}
		return end, err
	})
}

func (s *splitter) state(i int, w **wrapper) (int, error) {
	if !s.at(i, '{') {
		return rawjson.Skip(s.src, i)
	}
	*w = &wrapper{}
	return s.wrapper(i, *w)
}

func (s *splitter) failed(i int, f *failed) (int, error) {
	return s.members(i, func(key string, at int) (end int, err error) {
		switch key {
		case "details":
			f.details, end, err = s.str(at)
		case "last_update_attempt", "lastUpdateAttempt":
			f.attempt, end, err = s.str(at)
		case "version_info", "versionInfo":
			f.version, end, err = s.str(at)
		case "failed_configuration", "failedConfiguration":
			f.body, end, err = s.body(at)
		default:
			return rawjson.Skip(s.src, at)
		}
		return end, err
	})
}

// body finds the end, the name and the type of the resource at i. A value that is no object has neither name nor type.
func (s *splitter) body(i int) (value, int, error) {
	v := value{start: i}
	if !s.at(i, '{') {
		end, err := rawjson.Skip(s.src, i)
		if err == nil && string(s.src[i:end]) == "null" {
			return value{}, end, nil
		}
		v.end = end
		return v, end, err
	}
	plugin := ""
	end, err := s.members(i, func(key string, at int) (end int, err error) {
		switch key {
		case "@type":
			v.typeURL, end, err = s.str(at)
		case "name", "cluster_name", "clusterName":
			v.name, end, err = s.str(at)
		case "config":
			// istiod lists a Wasm filter without the TypedExtensionConfig that names it; the plugin's own name is inside.
			if end, err = rawjson.Skip(s.src, at); err == nil {
				plugin = rawjson.Value(s.src[at:end]).Str("name")
			}
		default:
			return rawjson.Skip(s.src, at)
		}
		return end, err
	})
	if v.name == "" {
		v.name = plugin
	}
	v.end = end
	return v, end, err
}

// scoped adds the scoped routes of one list. They have no Any of their own: the body is the wrapper without what differs from proxy
// to proxy, so that equal ones are equal.
func (s *splitter) scoped(i, end int, l list, w *wrapper) {
	text := []byte{'{'}
	for key, v := range rawjson.Value(s.src[i:end]).Members() {
		switch snake(key) {
		case "@type", "version_info", "last_updated", "error_state", "client_status":
			continue
		}
		if len(text) > 1 {
			text = append(text, ',')
		}
		text = rawjson.Quote(text, key)
		text = append(text, ':')
		text = append(text, v...)
	}
	text = append(text, '}')
	s.dump.add(resource.Spec{
		Kind: l.kind, Name: w.name, State: l.state, Text: text, Offset: -1,
		VersionInfo: w.version, LastUpdated: w.updated, ClientStatus: w.status,
	})
	w.body, w.states = value{}, [3]*wrapper{}
	if w.failed != nil {
		s.wrapped(l, w)
	}
}

// classify adds what item has read, once it is known what it is.
func (s *splitter) classify(i, end, depth int, typeURL, section string, found bool, guess resource.Kind) error {
	d := s.dump
	if found {
		if section == "" && typeURL == "" {
			return nil
		}
		if section == "" || typeURL != "" {
			section = shortType(typeURL)
		} else {
			section = "envoy.admin.v3." + section
		}
		if adminType(typeURL) != "ConfigDump" {
			d.sections = append(d.sections, strings.Clone(section))
		}
		return nil
	}
	admin := adminType(typeURL)
	if admin == "ConfigDump" {
		return nil
	}
	if kind, ok := sectionKinds[admin]; ok { // a section with nothing in it
		d.group(kind)
		d.sections = append(d.sections, strings.Clone(shortType(typeURL)))
		return nil
	}
	if l, ok := elements[admin]; ok {
		s.note(typeURL)
		d.group(l.kind)
		_, err := s.element(i, l)
		return err
	}
	kind, state := resource.Kind(strings.Clone(typeURL)), resource.Active
	if k, ok := messageKind(typeURL); ok {
		kind = k
	} else if strings.HasPrefix(shortType(typeURL), "envoy.service.") {
		return errUnknown{i} // an answer about clients, not what they have
	} else if typeURL == "" {
		if guess == "" {
			if depth == 0 && s.empty(i) {
				return nil
			}
			return errUnknown{i}
		}
		kind = guess
	}
	spec := resource.Spec{Kind: kind, State: state, Text: s.src[i:end], Offset: i}
	if kind == resource.Bootstrap {
		spec.State = resource.Static
	} else if v, _, err := s.body(i); err == nil {
		spec.Name = v.name
	}
	s.note(typeURL)
	d.add(spec)
	if kind == resource.Bootstrap {
		_, err := s.static(i)
		return err
	}
	return nil
}

// static adds the resources that a bootstrap has itself. In a dump they stand in the sections of their kinds too; a bootstrap alone, as Envoy is started
// with, is all there is.
func (s *splitter) static(i int) (int, error) {
	return s.members(i, func(key string, at int) (int, error) {
		if key = snake(key); key != "static_resources" || !s.at(at, '{') {
			return rawjson.Skip(s.src, at)
		}
		return s.members(at, func(key string, at int) (int, error) {
			l, ok := lists["static_"+key]
			if !ok || !s.at(at, '[') {
				return rawjson.Skip(s.src, at)
			}
			s.dump.group(l.kind)
			return s.elems(at, func(at int) (int, error) {
				v, end, err := s.body(at)
				if err == nil {
					s.dump.add(resource.Spec{Kind: l.kind, Name: v.name, State: resource.Static, Text: s.src[v.start:v.end], Offset: v.start})
				}
				return end, err
			})
		})
	})
}

// note lists the type of resources that stand in no section, once.
func (s *splitter) note(typeURL string) {
	t := shortType(typeURL)
	for _, known := range s.dump.sections {
		if known == t {
			return
		}
	}
	if t != "" {
		s.dump.sections = append(s.dump.sections, strings.Clone(t))
	}
}

// empty reports whether the object at i has no members.
func (s *splitter) empty(i int) bool { return s.at(rawjson.SkipSpace(s.src, i+1), '}') }

// errUnknown is an object that is neither a dump nor a resource.
type errUnknown struct{ offset int }

func (e errUnknown) Error() string { return "neither a config dump nor a resource" }
