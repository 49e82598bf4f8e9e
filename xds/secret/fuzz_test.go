package secret_test

import (
	"testing"

	"github.com/meshlark/meshlark/internal/viewtest"
	"github.com/meshlark/meshlark/xds/rawjson"
	"github.com/meshlark/meshlark/xds/secret"
)

// Whatever the text is, nothing panics.
func FuzzSecret(f *testing.F) {
	for _, r := range viewtest.Read(f, viewtest.EnvoyDump("../.."), viewtest.Secrets) {
		f.Add([]byte(r.Body))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		viewtest.Call(secret.New(rawjson.Value(text)))
	})
}
