package route_test

import (
	"testing"

	"github.com/meshlark/meshlark/internal/viewtest"
	"github.com/meshlark/meshlark/xds/rawjson"
	"github.com/meshlark/meshlark/xds/route"
)

// Whatever the text is, nothing panics.
func FuzzRouteConfig(f *testing.F) {
	for _, r := range viewtest.Read(f, viewtest.EnvoyDump("../.."), viewtest.Routes) {
		f.Add([]byte(r.Body))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		viewtest.Call(route.New(rawjson.Value(text)))
	})
}
