package ads

import (
	"slices"
	"strings"

	"github.com/meshlark/meshlark/xds/rawjson"
)

// A Config is what a control plane sent to a node.
type Config struct {
	Resources []Resource // by type, in the order in which they came
	Scopes    []string   // the names under which listeners have the resources of type SRDS, each all of them
	Missing   []Name     // referred to, and not sent: an Envoy would wait for them
	Silent    []string   // types that were asked for, and that the control plane did not say anything about
	Unknown   []string   // fields that were left out as meshlark does not know them: message and number
	Faults    []Fault    // resources that could not be read
	Control   string     // what the control plane calls itself, "" when it does not say
	Bytes     int64      // of the answers, in protobuf's binary form
}

// A Resource is one resource as the control plane sent it.
type Resource struct {
	Type    string // CDS, LDS, EDS, RDS, SRDS, SDS, ECDS
	Name    string
	Version string
	TypeURL string
	Body    rawjson.Value // as Envoy's config dump would show it, without "@type"
}

// A Name is a name of a type.
type Name struct{ Type, Name string }

// A Fault is a resource that is no message of its type.
type Fault struct {
	Type string
	Name string // "" where the control plane leaves it to the resource
	Err  error
}

// sections are the parts of a config dump, in Envoy's order: their lists, and the member of an element that holds the resource.
var sections = []struct{ short, message, list, member string }{
	{"CDS", "ClustersConfigDump", "dynamic_active_clusters", "cluster"},
	{"EDS", "EndpointsConfigDump", "dynamic_endpoint_configs", "endpoint_config"},
	{"LDS", "ListenersConfigDump", "dynamic_listeners", "listener"},
	{srds, "ScopedRoutesConfigDump", "dynamic_scoped_route_configs", "scoped_route_configs"},
	{"RDS", "RoutesConfigDump", "dynamic_route_configs", "route_config"},
	{"SDS", "SecretsConfigDump", "dynamic_active_secrets", "secret"},
	{"ECDS", "EcdsConfigDump", "ecds_filters", "ecds_filter"},
}

// Dump writes the configuration as an Envoy's config dump that took all of it: every resource is active, and there is a section for every type but those
// that the control plane said nothing about.
func (c *Config) Dump() []byte {
	size := 1 << 10
	for i := range c.Resources {
		size += len(c.Resources[i].Body) + 256
	}
	out := append(make([]byte, 0, size), `{"configs":[`...)
	first := true
	for _, section := range sections {
		if slices.Contains(c.Silent, section.short) {
			continue
		}
		if !first {
			out = append(out, ',')
		}
		first = false
		out = append(out, `{"@type":"type.googleapis.com/envoy.admin.v3.`+section.message+`","`+section.list+`":[`...)
		if section.short == srds {
			out = c.scopes(out, section.member)
		} else {
			out = c.list(out, section.short, section.member)
		}
		out = append(out, `]}`...)
	}
	return append(out, `]}`...)
}

// list appends the elements of a list.
func (c *Config) list(out []byte, short, member string) []byte {
	start := len(out)
	for i := range c.Resources {
		r := &c.Resources[i]
		if r.Type != short {
			continue
		}
		if len(out) > start {
			out = append(out, ',')
		}
		out = append(out, '{')
		if short == "LDS" || short == "SDS" {
			out = append(rawjson.Quote(append(out, `"name":`...), r.Name), ',')
		}
		if short == "LDS" {
			out = append(out, `"active_state":{`...)
		}
		out = rawjson.Quote(append(out, `"version_info":`...), r.Version)
		out = r.any(append(out, `,"`+member+`":`...))
		if short == "LDS" {
			out = append(out, '}')
		}
		out = append(out, '}')
	}
	return out
}

// scopes appends the sets of scopes, each of which is a name with all of them, sorted by their names as Envoy does.
func (c *Config) scopes(out []byte, member string) []byte {
	var scopes []*Resource
	for i := range c.Resources {
		if r := &c.Resources[i]; r.Type == srds {
			scopes = append(scopes, r)
		}
	}
	slices.SortFunc(scopes, func(a, b *Resource) int { return strings.Compare(a.Name, b.Name) })
	for i, name := range c.Scopes {
		if i > 0 {
			out = append(out, ',')
		}
		out = rawjson.Quote(append(out, `{"name":`...), name)
		version, list := "", []byte{}
		for _, r := range scopes {
			if version = r.Version; len(list) > 0 {
				list = append(list, ',')
			}
			list = r.any(list)
		}
		out = rawjson.Quote(append(out, `,"version_info":`...), version)
		out = append(append(append(out, `,"`+member+`":[`...), list...), `]}`...)
	}
	return out
}

// any appends the resource with its type.
func (r *Resource) any(out []byte) []byte {
	out = rawjson.Quote(append(out, `{"@type":`...), r.TypeURL)
	if len(r.Body) > len(`{}`) {
		out = append(out, ',')
	}
	return append(out, r.Body[1:]...)
}
