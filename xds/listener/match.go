package listener

import (
	"slices"
	"strconv"
	"strings"

	"github.com/meshlark/meshlark/xds/endpoint"
	"github.com/meshlark/meshlark/xds/rawjson"
)

// A Match is what a connection has to be for a filter chain to be taken (envoy.config.listener.v3.FilterChainMatch). A field
// that is empty puts no condition. Address ranges are prefix/length as written.
type Match struct {
	DestinationPort    *uint32
	PrefixRanges       []string // of the destination address
	AddressSuffix      string   // Envoy refuses listeners with a suffix
	SuffixLen          *uint32
	ServerNames        []string // SNI; *.example.com is a suffix
	TransportProtocol  string   // tls, raw_buffer, quic
	Protocols          []string // application protocols: ALPN, or what the HTTP inspector saw
	DirectSourceRanges []string // of the peer, before PROXY protocol
	SourceType         string   // ANY, SAME_IP_OR_LOOPBACK, EXTERNAL
	SourceRanges       []string
	SourcePorts        []uint32
}

// Match is the chain's condition. The default chain has none: it takes what no other chain does.
func (c Chain) Match() Match { return NewMatch(c.body.Get("filter_chain_match")) }

// NewMatch reads a FilterChainMatch.
func NewMatch(v rawjson.Value) Match {
	m := Match{
		DestinationPort:    number(v.Get("destination_port")),
		PrefixRanges:       ranges(v.Get("prefix_ranges")),
		AddressSuffix:      v.Str("address_suffix"),
		SuffixLen:          number(v.Get("suffix_len")),
		ServerNames:        texts(v.Get("server_names")),
		TransportProtocol:  v.Str("transport_protocol"),
		Protocols:          texts(v.Get("application_protocols")),
		DirectSourceRanges: ranges(v.Get("direct_source_prefix_ranges")),
		SourceRanges:       ranges(v.Get("source_prefix_ranges")),
		SourceType:         "ANY",
	}
	switch text := v.Str("source_type"); text {
	case "", "0":
	case "1":
		m.SourceType = "SAME_IP_OR_LOOPBACK"
	case "2":
		m.SourceType = "EXTERNAL"
	default:
		m.SourceType = text
	}
	for port := range v.Get("source_ports").Elems() {
		if n := number(port); n != nil {
			m.SourcePorts = append(m.SourcePorts, *n)
		}
	}
	return m
}

// Cell is istioctl's MATCH column: server names, transport protocol, application protocols (well-known lists by a short
// name), destination addresses and port; "ALL" for none of them. Other conditions it leaves out; see String.
func (m Match) Cell() string {
	parts := m.cellParts()
	if len(parts) == 0 {
		return "ALL"
	}
	return strings.Join(parts, "; ")
}

func (m Match) cellParts() []string {
	var parts []string
	if len(m.ServerNames) > 0 {
		parts = append(parts, "SNI: "+strings.Join(m.ServerNames, ","))
	}
	if m.TransportProtocol != "" {
		parts = append(parts, "Trans: "+m.TransportProtocol)
	}
	if len(m.Protocols) > 0 {
		parts = append(parts, "App: "+protocolsText(m.Protocols))
	}
	port := ""
	if m.DestinationPort != nil {
		port = ":" + strconv.FormatUint(uint64(*m.DestinationPort), 10)
	}
	if len(m.PrefixRanges) > 0 {
		parts = append(parts, "Addr: "+strings.Join(m.PrefixRanges, ",")+port)
	} else if port != "" {
		parts = append(parts, "Addr: *"+port)
	}
	return parts
}

// protocolsText gives the lists Istio writes, in their order, a short name.
func protocolsText(protocols []string) string {
	switch strings.Join(protocols, ",") {
	case "http/1.0,http/1.1,h2c,istio-http/1.0,istio-http/1.1,istio-h2":
		return "HTTP TLS"
	case "istio,istio-http/1.0,istio-http/1.1,istio-h2":
		return "Istio HTTP Plain"
	case "istio-peer-exchange,istio":
		return "TCP TLS"
	case "http/1.0,http/1.1,h2c":
		return "HTTP"
	}
	return strings.Join(protocols, ",")
}

// String is the whole match in one line: the words of Cell and then what istioctl leaves out. Matches with equal text
// are equal.
func (m Match) String() string {
	parts := m.cellParts()
	if m.AddressSuffix != "" || m.SuffixLen != nil {
		text := "Suffix: " + m.AddressSuffix
		if m.SuffixLen != nil {
			text += "/" + strconv.FormatUint(uint64(*m.SuffixLen), 10)
		}
		parts = append(parts, text)
	}
	if len(m.DirectSourceRanges) > 0 {
		parts = append(parts, "Direct source: "+strings.Join(m.DirectSourceRanges, ","))
	}
	if m.SourceType != "ANY" {
		parts = append(parts, "Source type: "+m.SourceType)
	}
	if len(m.SourceRanges) > 0 {
		parts = append(parts, "Source: "+strings.Join(m.SourceRanges, ","))
	}
	if len(m.SourcePorts) > 0 {
		ports := make([]string, len(m.SourcePorts))
		for i, n := range m.SourcePorts {
			ports[i] = strconv.FormatUint(uint64(n), 10)
		}
		parts = append(parts, "Source port: "+strings.Join(ports, ","))
	}
	if len(parts) == 0 {
		return "ALL"
	}
	return strings.Join(parts, "; ")
}

// IsAll reports whether every connection matches.
func (m Match) IsAll() bool { return m.String() == "ALL" }

func number(v rawjson.Value) *uint32 {
	n, ok := v.Uint()
	if !ok {
		return nil
	}
	small := uint32(min(n, 1<<32-1))
	return &small
}

func ranges(list rawjson.Value) []string {
	var out []string
	for v := range list.Elems() {
		out = append(out, endpoint.CIDR(v))
	}
	return slices.Clip(out)
}

func texts(list rawjson.Value) []string {
	var out []string
	for v := range list.Elems() {
		out = append(out, v.Text())
	}
	return out
}
