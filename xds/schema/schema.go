// Package schema is what the Envoy API's definitions say about the fields of a message.
//
// It knows every message and enum of the Envoy and xDS APIs, of Istio's own Envoy filters and of what else istiod
// serves, without linking their generated Go packages: a table of 0.5 MB takes the place of some 500 packages. Looking
// something up decodes that one message or enum; nothing is decoded when the program starts.
//
// Control planes written in Go print protobuf messages as JSON with lowerCamelCase names, Envoy prints the names of the
// definitions. [Snake] turns the first form into the second.
//
// Names of messages and enums are full names, such as "envoy.config.cluster.v3.Cluster", nested ones
// "envoy.config.cluster.v3.Cluster.LbPolicy". A type the definitions do not have is not an error: it is not found, and [Snake] keeps
// what it holds as it was sent.
package schema

import "strings"

//go:generate go run ./gen

// LookupMessage finds a message by its full name.
func LookupMessage(fullName string) (*Message, bool) {
	m := envoy().message(fullName)
	return m, m != nil
}

// LookupEnum finds an enum by its full name.
func LookupEnum(fullName string) (*Enum, bool) {
	e := envoy().enum(fullName)
	return e, e != nil
}

// TypeOfAny gives the full name of the message in an Any whose "@type" (or type_url) is typeURL: what follows the last
// slash. The message need not be a known one.
func TypeOfAny(typeURL string) string {
	return typeURL[strings.LastIndexByte(typeURL, '/')+1:]
}
