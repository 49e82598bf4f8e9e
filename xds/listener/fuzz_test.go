package listener_test

import (
	"testing"

	"github.com/meshlark/meshlark/internal/viewtest"
	"github.com/meshlark/meshlark/xds/listener"
	"github.com/meshlark/meshlark/xds/rawjson"
)

// Whatever the text is, nothing panics.
func FuzzListener(f *testing.F) {
	for _, r := range viewtest.Read(f, viewtest.EnvoyDump("../.."), viewtest.Listeners) {
		f.Add([]byte(r.Body))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		viewtest.Call(listener.New(rawjson.Value(text)))
	})
}
