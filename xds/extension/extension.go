// Package extension reads the pieces of configuration by which Envoy is extended: filters, transport sockets, custom cluster
// types, load balancing policies, ECDS resources. Each is an object with a name and a typed_config that says of which protobuf
// type it is.
//
// Nothing needs to be known about the type. A configuration sent as TypedStruct, the form control planes use for types they
// do not link, reads like any other.
package extension

import (
	"strings"

	"github.com/meshlark/meshlark/xds/rawjson"
)

// A Config is one named, typed piece of configuration.
type Config struct {
	// Name is what the configuration calls it. Names are free text: two filters of one type, or filters of different types, may
	// have the same name, and well-known names are only a habit.
	Name string
	// Type is the full name of the protobuf message, as envoy.extensions.filters.http.router.v3.Router; "" when it is not
	// said. For a discovered configuration it is the first type that is allowed.
	Type string
	// Value is the configuration itself. In an Any it still has its "@type" member. It is absent for a discovered
	// configuration without a default.
	Value rawjson.Value
	// Discovered reports that the configuration is the ECDS resource of this name and not written here.
	Discovered bool
}

// New reads an object with a name and a typed_config, or with config_discovery in its place. Text of another shape gives a
// Config with what could be read.
func New(v rawjson.Value) Config {
	c := Config{Name: v.Str("name")}
	if typed := v.Get("typed_config"); typed.Exists() {
		c.Type, c.Value = Any(typed)
		return c
	}
	if discovery := v.Get("config_discovery"); discovery.Exists() {
		c.Discovered = true
		if c.Type, c.Value = Any(discovery.Get("default_config")); c.Type == "" {
			for url := range discovery.Get("type_urls").Elems() {
				c.Type = message(url.Text())
				break
			}
		}
	}
	return c
}

// Any takes the content out of a google.protobuf.Any as JSON writes it: the full name of its message and the
// message. A TypedStruct is looked through.
func Any(v rawjson.Value) (typ string, value rawjson.Value) {
	typ = message(v.Str("@type"))
	if typ == "xds.type.v3.TypedStruct" || typ == "udpa.type.v1.TypedStruct" {
		return message(v.Str("type_url")), v.Get("value")
	}
	return typ, v
}

// Is reports whether the type is the message of this name, whatever its package and version: "TcpProxy" is
// envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy and its v2 predecessor.
func (c Config) Is(name string) bool { return c.ShortType() == name }

// ShortType is the type without its package: TcpProxy.
func (c Config) ShortType() string { return c.Type[strings.LastIndexByte(c.Type, '.')+1:] }

// message cuts the host off a type URL.
func message(url string) string { return url[strings.LastIndexByte(url, '/')+1:] }
