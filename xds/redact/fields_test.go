package redact

import (
	"encoding/json"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/cncf/xds/go/udpa/annotations"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/dynamicpb"

	// Every package of Envoy's protos that marks a field as sensitive; TestSensitivePackages holds the list to it.
	_ "github.com/envoyproxy/go-control-plane/envoy/api/v2/auth"
	_ "github.com/envoyproxy/go-control-plane/envoy/api/v2/core"
	_ "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/config/filter/network/redis_proxy/v2"
	_ "github.com/envoyproxy/go-control-plane/envoy/config/grpc_credential/v2alpha"
	_ "github.com/envoyproxy/go-control-plane/envoy/config/grpc_credential/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/config/trace/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/common/aws/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/api_key_auth/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/basic_auth/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/ext_authz/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/redis_proxy/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/grpc_service/call_credentials/file_based_metadata/v3"
	_ "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
)

const (
	protos  = "github.com/envoyproxy/go-control-plane/envoy"
	planted = "pl4nted-s3cret"
)

// sensitive lists the fields marked with udpa.annotations.sensitive in the linked protos.
func sensitive() []protoreflect.FieldDescriptor {
	var all []protoreflect.FieldDescriptor
	var walk func(protoreflect.MessageDescriptors)
	walk = func(messages protoreflect.MessageDescriptors) {
		for i := range messages.Len() {
			m := messages.Get(i)
			for j := range m.Fields().Len() {
				f := m.Fields().Get(j)
				if proto.GetExtension(f.Options(), annotations.E_Sensitive).(bool) {
					all = append(all, f)
				}
			}
			walk(m.Messages())
		}
	}
	protoregistry.GlobalFiles.RangeFiles(func(f protoreflect.FileDescriptor) bool {
		walk(f.Messages())
		return true
	})
	return all
}

// TestSensitiveFields fills every string and bytes field below every sensitive field of Envoy's protos and expects none to pass,
// in snake_case and in lowerCamelCase.
func TestSensitiveFields(t *testing.T) {
	fields := sensitive()
	if len(fields) < 30 {
		t.Fatalf("only %d sensitive fields found; are Envoy's protos linked?", len(fields))
	}
	for _, f := range fields {
		for _, text := range plant(f) {
			for _, names := range []bool{true, false} {
				m := dynamicpb.NewMessage(f.ContainingMessage())
				if err := (protojson.UnmarshalOptions{}).Unmarshal([]byte(text), m); err != nil {
					t.Fatalf("%s: the test made a wrong message %s: %v", f.FullName(), text, err)
				}
				doc, err := protojson.MarshalOptions{UseProtoNames: names}.Marshal(m)
				if err != nil {
					t.Fatal(err)
				}
				// As Envoy prints an extension, and as it prints a field; then the name of the member says what it is.
				any := `{"@type":"type.googleapis.com/` + string(f.ContainingMessage().FullName()) + `",` + string(doc[1:])
				holder := `{"` + holderName(f, names) + `":` + string(doc) + `}`
				for _, in := range []string{any, holder} {
					out, n, err := Compact(nil, []byte(in))
					if err != nil {
						t.Fatal(err)
					}
					if n == 0 || strings.Contains(string(out), planted) || strings.Contains(string(out), "cGw0bnRlZC1zM2NyZXQ") {
						t.Errorf("%s: secret survives:\nin  %s\nout %s", f.FullName(), in, out)
					}
				}
			}
		}
	}
}

// holderName is the name under which other messages have a message.
func holderName(f protoreflect.FieldDescriptor, snake bool) string {
	if f.ContainingMessage().Name() != "PrivateKeyProvider" {
		return "any"
	}
	if snake {
		return "private_key_provider"
	}
	return "privateKeyProvider"
}

// plant gives the JSON of messages that have only the field f, in each of its forms, with the planted secret.
func plant(f protoreflect.FieldDescriptor) []string {
	name := `{"` + string(f.Name()) + `":`
	var out []string
	for _, v := range plantValue(f, 0) {
		switch {
		case f.IsMap():
			v = `{"k":` + v + `}`
		case f.IsList():
			v = `[` + v + `]`
		}
		out = append(out, name+v+`}`)
	}
	return out
}

func plantValue(f protoreflect.FieldDescriptor, depth int) []string {
	if f.IsMap() {
		return plantValue(f.MapValue(), depth)
	}
	switch f.Kind() {
	case protoreflect.StringKind:
		return []string{`"` + planted + `"`}
	case protoreflect.BytesKind:
		return []string{`"cGw0bnRlZC1zM2NyZXQ="`}
	case protoreflect.MessageKind:
		switch f.Message().FullName() {
		case "google.protobuf.Struct":
			return []string{`{"a":{"b":["` + planted + `"]}}`}
		case "google.protobuf.Any":
			return []string{`{"@type":"type.googleapis.com/envoy.config.core.v3.DataSource","inline_string":"` + planted + `"}`}
		}
		if depth > 2 {
			return nil
		}
		var out []string
		for i := range f.Message().Fields().Len() {
			inner := f.Message().Fields().Get(i)
			for _, v := range plantValue(inner, depth+1) {
				if inner.IsList() {
					v = `[` + v + `]`
				}
				if inner.Name() == "watched_directory" {
					v = `{"path":"/etc/certs"},"inline_string":"` + planted + `"`
				}
				out = append(out, `{"`+string(inner.Name())+`":`+v+`}`)
			}
		}
		return out
	}
	return nil
}

// TestSensitivePackages looks through the source of the protos for packages that use the annotation and are not linked above.
func TestSensitivePackages(t *testing.T) {
	dir, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", protos).Output()
	if err != nil {
		t.Skipf("go list: %v", err)
	}
	linked := map[string]bool{}
	protoregistry.GlobalFiles.RangeFiles(func(f protoreflect.FileDescriptor) bool {
		linked[path.Dir(f.Path())] = true
		return true
	})
	uses := regexp.MustCompile(`udpa/annotations/sensitive\.proto`)
	root := strings.TrimSpace(string(dir))
	found := 0
	err = filepath.WalkDir(root, func(name string, entry os.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(name, ".pb.go") {
			return err
		}
		text, err := os.ReadFile(name)
		if err != nil || !uses.Match(text) {
			return err
		}
		found++
		rel, err := filepath.Rel(root, filepath.Dir(name))
		if err == nil && !linked["envoy/"+filepath.ToSlash(rel)] {
			t.Errorf("package %s marks fields as sensitive; import it in this test", rel)
		}
		return err
	})
	if err != nil || found == 0 {
		t.Fatalf("%d files with sensitive fields, %v", found, err)
	}
}

// TestKept holds redaction to text that has nothing private in it.
func TestKept(t *testing.T) {
	for _, doc := range []string{
		`{"keys":["version","stage"]}`,
		`{"lb_subset_config":{"subset_selectors":[{"keys":["version"],"fallback_policy":"NO_FALLBACK"}]}}`,
		`{"static_secrets":[{"name":"default","secret":{"@type":"type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret","name":"default"}}]}`,
		`{"secrets":[{"name":"default","validation_context":{"trusted_ca":{"filename":"/etc/ca.pem"}}}]}`,
		`{"credentials":{"token_secret":{"name":"token","sds_config":{"ads":{}}}}}`,
		`{"certificate_chain":{"inline_string":"[redacted]"}}`,
		`{"properties":{"password":{"type":"string","description":"the password of the user"}}}`,
		`{"inline_string":"function envoy_on_request(handle)\n  handle:logInfo(\"private key PRIVATE KEY here\")\nend\n-- and a comment that goes on and on without any punctuation in it at all"}`,
		`{"jwks":{"inline_string":"{\"keys\":[{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4\",\"y\":\"4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM\",\"use\":\"sig\",\"kid\":\"1\"}]}"}}`,
		`{"k":"v","d":"w","p":80}`,
		`{"name":"envoy.filters.http.router","typed_config":{"@type":"type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"}}`,
		`{"users":[{"name":"a"}],"config":{"typed_config":"x"}}`,
		`{"watermark":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"}`,
		`{"hash":"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"}`,
	} {
		out, n, err := Compact(nil, []byte(doc))
		if err != nil || n != 0 || string(out) != doc {
			t.Errorf("%d redacted, %v:\nin  %s\nout %s", n, err, doc, out)
		}
	}
}

// TestCertificates keeps chains and replaces only the key among them.
func TestCertificates(t *testing.T) {
	key := testKey(t)
	cert := certificate(t, key)
	for _, s := range secrets() {
		if s.jwk != "" {
			continue
		}
		block := pemBlock(s)
		in, _ := json.Marshal(map[string]any{"inline_string": cert + block + cert})
		want, _ := json.Marshal(map[string]any{"inline_string": cert + "[redacted]\n" + cert})
		out, n, err := Compact(nil, in)
		if err != nil || n != 1 || string(out) != string(want) {
			t.Errorf("%s: %d redacted, %v:\n%s", s.label, n, err, out)
		}
		in, _ = json.Marshal(map[string]any{"inline_bytes": []byte(cert + block + cert)})
		want, _ = json.Marshal(map[string]any{"inline_bytes": []byte(cert + "[redacted]\n" + cert)})
		out, n, err = Compact(nil, in)
		if err != nil || n != 1 || string(out) != string(want) {
			t.Errorf("%s: %d redacted, %v:\n%s", s.label, n, err, out)
		}
	}
	for _, text := range []any{cert, []byte(cert), cert + cert, strings.ReplaceAll(cert, "\n", "\r\n")} {
		in, _ := json.Marshal(text)
		out, n, err := Compact(nil, in)
		if err != nil || n != 0 || string(out) != string(in) {
			t.Errorf("%d redacted in a certificate, %v:\n%s", n, err, out)
		}
	}
}

// TestWipe shows what a redacted field looks like: as Envoy prints it.
func TestWipe(t *testing.T) {
	for _, test := range []struct{ in, want string }{
		{`{"private_key":{"inline_string":"secret"}}`, `{"private_key":{"inline_string":"[redacted]"}}`},
		{`{"private_key":{"inline_bytes":"c2VjcmV0"}}`, `{"private_key":{"inline_bytes":"W3JlZGFjdGVkXQ=="}}`},
		{`{"private_key":{"filename":"/etc/key.pem"}}`, `{"private_key":{"filename":"[redacted]"}}`},
		{`{"privateKey":{"inlineBytes":"c2VjcmV0"}}`, `{"privateKey":{"inlineBytes":"W3JlZGFjdGVkXQ=="}}`},
		{`{"private\u005fkey":"secret"}`, `{"private\u005fkey":"[redacted]"}`},
		{`{"private_key":"[redacted]","private_key":"secret"}`, `{"private_key":"[redacted]","private_key":"[redacted]"}`},
		{`{"private_key_provider":{"provider_name":"qat","typed_config":{"@type":"a/b","poll_delay":3,"key":["x",true,null]}}}`,
			`{"private_key_provider":{"provider_name":"qat","typed_config":{"@type":"a/b","poll_delay":0,"key":["[redacted]",false,null]}}}`},
		{`{"kty":"RSA","n":"AQAB","d":"x","oth":[{"r":"x"}]}`, `{"kty":"RSA","n":"AQAB","d":"[redacted]","oth":"[redacted]"}`},
		{`{"context_extensions":{"a":"b"}}`, `{"context_extensions":{"a":"[redacted]"}}`},
	} {
		out, _, err := Compact(nil, []byte(test.in))
		if err != nil || string(out) != test.want {
			t.Errorf("%s: %v\ngot  %s\nwant %s", test.in, err, out, test.want)
		}
	}
}
