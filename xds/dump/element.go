package dump

import (
	"errors"
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
	if !s.Is(i, '{') {
		return i, s.want(i, " in the list of a section")
	}
	if !s.looked {
		s.looked, s.ahead = true, s.lookAhead(i)
	}
	w, end := s.ahead.at(i)
	if w == nil {
		w = &s.own
		var err error
		if i, end, err = s.Step(i, func(i int) (int, error) {
			*w = wrapper{}
			return s.wrapper(i, w)
		}); err != nil {
			return end, err
		}
	}
	if l.kind == resource.ScopedRoutes {
		return end, s.scoped(i, end, l, w)
	}
	return end, s.wrapped(l, w)
}

// wrapped adds the resources of a wrapper.
func (s *splitter) wrapped(l list, w *wrapper) error {
	if w.body.end > 0 {
		if err := s.addBody(l, l.state, w, w.name); err != nil {
			return err
		}
	}
	for n, state := range w.states {
		if state != nil {
			state.status = w.status
			if err := s.addBody(l, stateOrder[n], state, w.name); err != nil {
				return err
			}
		}
	}
	if f := w.failed; f != nil {
		spec := resource.Spec{
			Kind: l.kind, Name: w.name, State: resource.Error, VersionInfo: f.version, ClientStatus: w.status,
			Failure: &resource.FailureSpec{Details: f.details, LastAttempt: f.attempt, VersionInfo: f.version},
		}
		if f.body.end > 0 {
			spec.Text, spec.Offset = s.Text[f.body.start:f.body.end], f.body.start
		}
		if spec.Name == "" {
			spec.Name = w.body.name // not that of the rejected body: Envoy lists a rejected listener once more without a name
		}
		return s.add(spec)
	}
	if w.body.end == 0 && w.states == [3]*wrapper{} {
		// A masked dump may leave no more than a name.
		return s.addBody(l, l.state, w, w.name)
	}
	return nil
}

func (s *splitter) addBody(l list, state resource.State, w *wrapper, name string) error {
	spec := resource.Spec{
		Kind: l.kind, Name: name, State: state,
		VersionInfo: w.version, LastUpdated: w.updated, ClientStatus: w.status,
	}
	if w.body.end > 0 {
		spec.Text, spec.Offset = s.Text[w.body.start:w.body.end], w.body.start
	}
	if spec.Name == "" {
		spec.Name = w.body.name
	}
	return s.add(spec)
}

// bare adds a resource that has nothing around it.
func (s *splitter) bare(kind resource.Kind, name string, state resource.State, v value) error {
	spec := resource.Spec{Kind: kind, Name: name, State: state}
	if v.end > 0 {
		spec.Text, spec.Offset = s.Text[v.start:v.end], v.start
	}
	return s.add(spec)
}

// add adds a resource to the dump. Only a text that arrives is looked into for faults.
func (s *splitter) add(spec resource.Spec) error {
	err := s.dump.add(spec)
	if err == nil {
		return nil
	}
	var syntax *rawjson.SyntaxError
	switch {
	case !errors.As(err, &syntax):
		return err
	case spec.Offset < 0: // it is no part of the text
		return &Error{Source: s.source, Offset: syntax.Offset, Reason: syntax.Msg}
	}
	return syntaxf(spec.Offset+int(syntax.Offset), "%s", syntax.Msg)
}

// wrapper reads the object at i.
func (s *splitter) wrapper(i int, w *wrapper) (int, error) {
	return s.Members(i, func(key string, at int) (end int, err error) {
		switch key {
		case "@type":
			w.typeURL, end, err = s.String(at)
		case "name":
			w.name, end, err = s.String(at)
		case "version_info", "versionInfo":
			w.version, end, err = s.String(at)
		case "last_updated", "lastUpdated":
			w.updated, end, err = s.String(at)
		case "client_status", "clientStatus":
			w.status, end, err = s.String(at)
		case "cluster", "listener", "route_config", "routeConfig", "secret", "endpoint_config", "endpointConfig", "ecds_filter", "ecdsFilter":
			w.body, end, err = s.body(at)
		case "active_state", "activeState":
			return s.state(at, &w.states[0])
		case "warming_state", "warmingState":
			return s.state(at, &w.states[1])
		case "draining_state", "drainingState":
			return s.state(at, &w.states[2])
		case "error_state", "errorState":
			if !s.Is(at, '{') {
				return rawjson.Skip(s.Text, at)
			}
			w.failed = &failed{}
			return s.failed(at, w.failed)
		default:
			return rawjson.Skip(s.Text, at)
		}
		return end, err
	})
}

func (s *splitter) state(i int, w **wrapper) (int, error) {
	if !s.Is(i, '{') {
		return rawjson.Skip(s.Text, i)
	}
	*w = &wrapper{}
	return s.wrapper(i, *w)
}

func (s *splitter) failed(i int, f *failed) (int, error) {
	return s.Members(i, func(key string, at int) (end int, err error) {
		switch key {
		case "details":
			f.details, end, err = s.String(at)
		case "last_update_attempt", "lastUpdateAttempt":
			f.attempt, end, err = s.String(at)
		case "version_info", "versionInfo":
			f.version, end, err = s.String(at)
		case "failed_configuration", "failedConfiguration":
			f.body, end, err = s.body(at)
		default:
			return rawjson.Skip(s.Text, at)
		}
		return end, err
	})
}

// body finds the end, the name and the type of the resource at i. A value that is no object has neither name nor type.
func (s *splitter) body(i int) (value, int, error) {
	v := value{start: i}
	if !s.Is(i, '{') {
		end, err := rawjson.Skip(s.Text, i)
		if err == nil && string(s.Text[i:end]) == "null" {
			return value{}, end, nil
		}
		v.end = end
		return v, end, err
	}
	plugin := ""
	end, err := s.Members(i, func(key string, at int) (end int, err error) {
		switch key {
		case "@type":
			v.typeURL, end, err = s.String(at)
		case "name", "cluster_name", "clusterName":
			v.name, end, err = s.String(at)
		case "config":
			// istiod lists a Wasm filter without the TypedExtensionConfig that names it; the plugin's own name is inside.
			if end, err = rawjson.Skip(s.Text, at); err == nil {
				plugin = rawjson.Value(s.Text[at:end]).Str("name")
			}
		default:
			return rawjson.Skip(s.Text, at)
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
func (s *splitter) scoped(i, end int, l list, w *wrapper) error {
	text := []byte{'{'}
	for key, v := range rawjson.Value(s.Text[i:end]).Members() {
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
	if err := s.add(resource.Spec{
		Kind: l.kind, Name: w.name, State: l.state, Text: text, Offset: -1,
		VersionInfo: w.version, LastUpdated: w.updated, ClientStatus: w.status,
	}); err != nil {
		return err
	}
	w.body, w.states = value{}, [3]*wrapper{}
	if w.failed != nil {
		return s.wrapped(l, w)
	}
	return nil
}

// section lists a section that item has read.
func (s *splitter) section(typeURL, name string) {
	switch {
	case typeURL != "":
		name = shortType(typeURL)
	case name == "":
		return
	default:
		name = "envoy.admin.v3." + name
	}
	if adminType(typeURL) != "ConfigDump" {
		s.dump.sections = append(s.dump.sections, strings.Clone(name))
	}
}

// classify adds what item has read and found no lists in, once it is known what it is.
func (s *splitter) classify(i, end, depth int, typeURL string, guess resource.Kind) error {
	d := s.dump
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
		return errUnknown{s.Position(i)} // an answer about clients, not what they have
	} else if typeURL == "" {
		if guess == "" {
			if depth == 0 && s.empty(i) {
				return nil
			}
			return errUnknown{s.Position(i)}
		}
		kind = guess
	}
	spec := resource.Spec{Kind: kind, State: state, Text: s.Text[i:end], Offset: i}
	if kind == resource.Bootstrap {
		spec.State = resource.Static
	} else if v, _, err := s.body(i); err == nil {
		spec.Name = v.name
	}
	s.note(typeURL)
	if err := s.add(spec); err != nil || kind != resource.Bootstrap {
		return err
	}
	_, err := s.static(i)
	return err
}

// static adds the resources that a bootstrap has itself. In a dump they stand in the sections of their kinds too; a bootstrap alone, as Envoy is started
// with, is all there is.
func (s *splitter) static(i int) (int, error) {
	return s.Members(i, func(key string, at int) (int, error) {
		if key = snake(key); key != "static_resources" || !s.Is(at, '{') {
			return s.skip(at)
		}
		return s.Members(at, func(key string, at int) (int, error) {
			l, ok := lists["static_"+key]
			if !ok || !s.Is(at, '[') {
				return s.skip(at)
			}
			s.dump.group(l.kind)
			return s.Elems(at, func(at int) (int, error) {
				v, end, err := s.body(at)
				if err == nil {
					err = s.bare(l.kind, v.name, resource.Static, v)
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
func (s *splitter) empty(i int) bool { return s.Is(rawjson.SkipSpace(s.Text, i+1), '}') }

// errUnknown is an object that is neither a dump nor a resource.
type errUnknown struct{ at rawjson.Position }

func (e errUnknown) Error() string { return "neither a config dump nor a resource" }
