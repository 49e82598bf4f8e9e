package bootstrap_test

import (
	"testing"

	"github.com/meshlark/meshlark/internal/viewtest"
	"github.com/meshlark/meshlark/xds/bootstrap"
	"github.com/meshlark/meshlark/xds/rawjson"
)

// Whatever the text is, nothing panics.
func FuzzBootstrap(f *testing.F) {
	f.Add([]byte(body))
	f.Fuzz(func(t *testing.T, text []byte) {
		viewtest.Call(bootstrap.New(rawjson.Value(text)))
	})
}
