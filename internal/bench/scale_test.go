//go:build unix

package main

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"io"
	"net/netip"
	"testing"

	"github.com/meshlark/meshlark/xds/trace"
)

// The scenes that are measured lead where the measurement says.
func TestScenes(t *testing.T) {
	const n = 7
	r := trace.Request{Path: "/x", Destination: netip.MustParseAddrPort("10.0.0.1:8080")}
	hosts := newScene(tableOfHosts(n))
	for i := range n {
		r.Host = host(i) + ":8080"
		if err := hosts.follow(r, outbound(host(i), 8080)); err != nil {
			t.Error(err)
		}
	}
	routes := newScene(tableOfRoutes(n))
	r.Host, r.Path = host(0)+":8080", fmt.Sprintf("/r%d/", n-1)
	if err := routes.follow(r, outbound(host(n-1), 8080)); err != nil {
		t.Error(err)
	}
	if err := routes.follow(r, "elsewhere"); err == nil {
		t.Error("a request that goes to another cluster is taken for right")
	}
}

func TestPlot(t *testing.T) {
	p := plot{title: "a < b", x: axis{"n", count}, y: axis{"t", seconds}, lines: []line{{"one", "#000000", []point{{10, 1e-5}, {1000, 2e-3}}}}}
	d := xml.NewDecoder(bytes.NewReader(p.svg()))
	texts := map[string]bool{}
	for {
		token, err := d.Token()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if c, ok := token.(xml.CharData); ok {
			texts[string(c)] = true
		}
	}
	for _, want := range []string{"a < b", "one", "10", "100", "1000", "10 µs", "100 µs", "1 ms", "10 ms"} {
		if !texts[want] {
			t.Errorf("the picture has no text %q: %v", want, texts)
		}
	}
}
