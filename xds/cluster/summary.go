package cluster

import (
	"bytes"
	"iter"
	"strconv"

	"github.com/meshlark/meshlark/xds/naming"
	"github.com/meshlark/meshlark/xds/rawjson"
)

// A Summary is what a table of clusters shows of one. It is filled in one pass over the body.
type Summary struct {
	Name string
	// FQDN, Port, Subset and Direction are the parts of an Istio cluster name, in either of its forms. Any other name is
	// whole in FQDN.
	FQDN      string
	Port      uint32
	Subset    string
	Direction string // inbound, inbound-vip, outbound, as written; "" for a name that is not Istio's
	// Type is STATIC, STRICT_DNS, LOGICAL_DNS, EDS or ORIGINAL_DST, or the name of a custom cluster type, as
	// envoy.clusters.aggregate.
	Type string
	// Config is the reference in metadata istio.config to what shaped the cluster, a DestinationRule as a rule; take it apart
	// with naming.ConfigRef.
	Config string
	// DestinationRule is Config as istioctl prints it: name.namespace, "<unknown>" or "".
	DestinationRule string

	istioName bool
}

// Summary reads the columns of a table in one pass.
func (c Cluster) Summary() Summary {
	var s Summary
	var kind, custom, metadata rawjson.Value
	for key, v := range fields(c.body.Value()) {
		// Of repeated members the last one counts, as in Get.
		switch string(key) {
		case `"name"`:
			s.Name = v.Text()
		case `"type"`:
			kind = v
		case `"cluster_type"`, `"clusterType"`:
			custom = v
		case `"metadata"`:
			metadata = v
		}
	}
	s.setName(s.Name)
	s.Type = discoveryType(kind, custom)
	s.Config = metadata.Str("filter_metadata", "istio", "config")
	s.DestinationRule = naming.Cell(s.Config)
	return s
}

func (s *Summary) setName(name string) {
	parts, ok := naming.ParseClusterName(name)
	s.FQDN, s.Subset, s.Direction, s.istioName = parts.Host, parts.Subset, parts.Direction, ok
	if port, err := strconv.ParseUint(parts.Port, 10, 32); err == nil {
		s.Port = uint32(port)
	}
}

// Cells are the row istioctl prints: SERVICE FQDN, PORT, SUBSET, DIRECTION, TYPE, DESTINATION RULE. It differs from
// istioctl's in two points: a custom cluster type is named (istioctl says STATIC), and names of the form
// outbound_.80_.v1_.host are taken apart.
func (s Summary) Cells() [6]string {
	if !s.istioName {
		return [6]string{s.Name, "-", "-", "-", s.Type, s.DestinationRule}
	}
	subset := s.Subset
	if subset == "" {
		subset = "-"
	}
	return [6]string{s.FQDN, strconv.FormatUint(uint64(s.Port), 10), subset, s.Direction, s.Type, s.DestinationRule}
}

// fields iterates over an object's members with the key as quoted text, which unlike Members costs nothing.
func fields(v rawjson.Value) iter.Seq2[[]byte, rawjson.Value] {
	return func(yield func([]byte, rawjson.Value) bool) {
		if v.Kind() != rawjson.Object {
			return
		}
		for i := rawjson.SkipSpace(v, 1); i < len(v) && v[i] == '"'; {
			end, err := rawjson.SkipString(v, i)
			if err != nil {
				return
			}
			key := v[i:end]
			if bytes.IndexByte(key, '\\') >= 0 {
				key = rawjson.Quote(nil, key.Text())
			}
			if i = rawjson.SkipSpace(v, end); i >= len(v) || v[i] != ':' {
				return
			}
			i = rawjson.SkipSpace(v, i+1)
			if end, err = rawjson.Skip(v, i); err != nil {
				return
			}
			if !yield(key, v[i:end]) {
				return
			}
			if i = rawjson.SkipSpace(v, end); i >= len(v) || v[i] != ',' {
				return
			}
			i = rawjson.SkipSpace(v, i+1)
		}
	}
}
