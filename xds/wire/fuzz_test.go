package wire_test

import (
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/meshlark/meshlark/xds/rawjson"
	"github.com/meshlark/meshlark/xds/wire"

	clusterv3 "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/structpb"
)

// Whatever an Any holds becomes JSON that says its type, and what the protobuf library accepts is not kept as bytes.
func FuzzAny(f *testing.F) {
	fields, err := structpb.NewStruct(map[string]any{"a": []any{1.5, nil, map[string]any{"b": true}}})
	if err != nil {
		f.Fatal(err)
	}
	for _, m := range []proto.Message{&clusterv3.Cluster{Name: "a", ClusterDiscoveryType: &clusterv3.Cluster_Type{}}, fields, &anypb.Any{TypeUrl: "x"}} {
		held, err := anypb.New(m)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(held.TypeUrl, held.Value)
	}
	f.Add("type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret", []byte("\x12\x09\x12\x07\x1a\x05xxxxx"))
	f.Fuzz(func(t *testing.T, url string, value []byte) {
		var p wire.Printer
		got := p.Any(nil, url, value)
		compact, err := rawjson.Compact(nil, got)
		if err != nil {
			t.Fatalf("%q of %q: %v: %s", value, url, err, got)
		}
		if (url != "" || len(value) > 0) && !rawjson.Value(compact).Get("@type").Exists() {
			t.Fatalf("%s has no @type", got)
		}
	})
}
