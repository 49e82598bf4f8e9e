package endpoint_test

import (
	"testing"

	"github.com/meshlark/meshlark/internal/viewtest"
	"github.com/meshlark/meshlark/xds/endpoint"
	"github.com/meshlark/meshlark/xds/rawjson"
)

// Whatever the text is, nothing panics.
func FuzzEndpoint(f *testing.F) {
	for _, r := range viewtest.Read(f, viewtest.EnvoyDump("../.."), viewtest.Endpoints) {
		f.Add([]byte(r.Body))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		viewtest.Call(endpoint.New(rawjson.Value(text)))
	})
}
