package schema

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestLooksCamel(t *testing.T) {
	for text, want := range map[string]bool{
		``: false, `{}`: false, `{"typed_config":{}}`: false, `{"typedConfig":{}}`: true, "{\n  \"a\\\"\": [ \"lbPolicy\" ]": true,
		`{"a":"\"typedConfig\""}`: false, `{"typedConfigs":{}}`: false, `{"a": "never ends, typedConfig`: false, `{"a":"typedConf`: false,
		`{"a":"` + strings.Repeat("x", Telling) + `","typedConfig":{}}`: false,
	} {
		if got := LooksCamel([]byte(text)); got != want {
			t.Errorf("%.60s: %v, want %v", text, got, want)
		}
	}
}

// BenchmarkLooksCamel looks at what an Envoy sent, which is not.
func BenchmarkLooksCamel(b *testing.B) {
	text, err := os.ReadFile(filepath.Join("..", "dump", "testdata", "envoy-1.40", "config_dump.json"))
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(min(len(text), Telling)))
	for b.Loop() {
		if LooksCamel(text) {
			b.Fatal("it is no lowerCamelCase")
		}
	}
}
