package ads

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strings"

	protocol "github.com/meshlark/meshlark/xds/ads"
)

// The schemes of specs: in plain text, and with TLS.
const (
	Scheme    = "xds"
	SchemeTLS = "xds+tls"
)

// A Spec is a source as the user names it: xds://HOST:15010?node=ID&metadata=FILE.
type Spec struct {
	Text    string // the whole
	Address string // host:port
	TLS     bool
	// NodeID is the id to be asked as; "" is the one that Metadata tells.
	NodeID string
	// Metadata names what tells of the node: a file with its metadata, a node, a bootstrap or a config dump, or the address of an Envoy's admin
	// interface; "" is nothing.
	Metadata string
	Mode     protocol.Mode
	Token    string // the name of a file with a bearer token; "" sends none
}

// HasNode tells whether the spec says as whom the control plane is asked.
func (s Spec) HasNode() bool { return s.NodeID != "" || s.Metadata != "" }

// Server is the spec without the node.
func (s Spec) Server() string {
	if s.TLS {
		return SchemeTLS + "://" + s.Address
	}
	return Scheme + "://" + s.Address
}

// ParseSpec reads a spec. The error says what is wrong with it.
func ParseSpec(text string) (Spec, error) {
	u, err := url.Parse(text)
	if err != nil {
		return Spec{}, errors.New("it is no URL: " + strings.TrimPrefix(err.Error(), "parse "))
	}
	s := Spec{Text: text, TLS: u.Scheme == SchemeTLS, Mode: protocol.SotW}
	if u.Scheme != Scheme && !s.TLS {
		return Spec{}, fmt.Errorf("there is no source with the scheme %q", u.Scheme)
	}
	if u.Hostname() == "" {
		return Spec{}, errors.New("it names no host")
	}
	if u.User != nil || u.Fragment != "" || u.Path != "" && u.Path != "/" {
		return Spec{}, errors.New("it must have nothing but a host, a port and a query")
	}
	port := u.Port()
	if port == "" {
		port = "15010"
		if s.TLS {
			port = "15012"
		}
	}
	s.Address = net.JoinHostPort(u.Hostname(), port)
	query, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return Spec{}, fmt.Errorf("its query: %w", err)
	}
	for name, values := range query {
		if len(values) > 1 {
			return Spec{}, fmt.Errorf("its query has %s twice", name)
		}
		switch name {
		case "node":
			s.NodeID = values[0]
		case "metadata":
			s.Metadata = values[0]
		case "token":
			s.Token = values[0]
		case "mode":
			s.Mode = protocol.Mode(values[0])
			if !slices.Contains([]protocol.Mode{protocol.SotW, protocol.Delta}, s.Mode) {
				return Spec{}, fmt.Errorf("mode %q: there are %s and %s", values[0], protocol.SotW, protocol.Delta)
			}
		default:
			return Spec{}, fmt.Errorf("its query has %q; there are node, metadata, mode and token", name)
		}
	}
	if s.Token != "" && !s.TLS {
		return Spec{}, errors.New("a token is sent over TLS only; write " + SchemeTLS + "://")
	}
	return s, nil
}
