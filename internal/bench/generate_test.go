//go:build unix

package main

import (
	"bytes"
	"testing"

	"github.com/meshlark/meshlark/xds/dump"
	"github.com/meshlark/meshlark/xds/resource"
)

// The generated dump is one that meshlark reads whole and has the size of the real one it stands for.
func TestWriteDump(t *testing.T) {
	var b bytes.Buffer
	if err := writeDump(&b); err != nil {
		t.Fatal(err)
	}
	if mb := b.Len() / 1e6; mb < 28 || mb > 38 {
		t.Errorf("the dump has %d MB, want about the 32.6 of a real one", mb)
	}
	d, err := dump.Split(resource.NewStore(), b.Bytes(), dump.Options{Source: "generated"})
	if err == nil {
		err = d.Settle()
	}
	if err != nil {
		t.Fatal(err)
	}
	for kind, want := range map[resource.Kind]int{resource.Cluster: 2 * services, resource.Listener: services + 2, resource.RouteConfig: 1, resource.Endpoint: 2 * services} {
		if got := len(d.Resources(kind)); got != want {
			t.Errorf("%s: %d, want %d", kind, got, want)
		}
	}
}
