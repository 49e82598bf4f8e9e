package tracing_test

import (
	"context"
	"testing"

	"github.com/meshlark/meshlark/mesh"
	"github.com/meshlark/meshlark/mesh/tracing"
)

// BenchmarkFollow follows a request through a client and a server: the first time, when their dumps are read, and further times.
func BenchmarkFollow(b *testing.B) {
	q := tracing.Question{URL: "http://cart"}
	follow := func(p *mesh.Proxy) {
		if a, err := tracing.Follow(context.Background(), p, mesh.Any, q); err != nil || !a.OK() {
			b.Fatalf("%v, %v", a, err)
		}
	}
	b.Run("first", func(b *testing.B) {
		for b.Loop() {
			follow(newMesh(b, &source{})("web"))
		}
	})
	b.Run("further", func(b *testing.B) {
		p := newMesh(b, &source{})("web")
		follow(p)
		b.ReportAllocs()
		for b.Loop() {
			follow(p)
		}
	})
}
