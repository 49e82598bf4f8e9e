package builtins

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/meshlark/meshlark/mesh"
	"github.com/meshlark/meshlark/xds/dump"
	"github.com/meshlark/meshlark/xds/rawjson"
	"github.com/meshlark/meshlark/xds/redact"
	"github.com/meshlark/meshlark/xds/resource"
	"github.com/meshlark/meshlark/xds/schema"
	"github.com/meshlark/meshlark/xds/yamltext"
	"go.starlark.net/starlark"
)

// literals describes the functions that make values out of what a script
// writes or reads, with no proxy behind them.
func (b *builder) literals() {
	for _, l := range []struct{ name, typ, message, definition, example string }{
		{"listener", "Listener", "Listener", "envoy.config.listener.v3.Listener", `listener({"name": "web", "address": {"socket_address": {"address": "0.0.0.0", "port_value": 80}}}).port`},
		{"route_config", "RouteConfig", "RouteConfiguration", "envoy.config.route.v3.RouteConfiguration", `route_config({"name": "web", "virtual_hosts": [{"name": "all", "domains": ["*"]}]}).virtual_hosts`},
		{"cluster", "Cluster", "Cluster", "envoy.config.cluster.v3.Cluster", `cluster("{name: backend, type: STRICT_DNS}").type`},
	} {
		b.function(l.name, []Param{{Name: "x", Type: "any", Doc: "a dict, or JSON or YAML text, as Envoy's configuration has it"}}, l.typ,
			"A "+strings.ReplaceAll(KindName(l.typ), "_", " ")+" (envoy's "+l.message+") that no proxy has, from a dict or from JSON or YAML text. It is found in what tools print around it when it is the only one there: a list, an element of a config dump, a discovery response.", l.example,
			func(c *Call) (starlark.Value, error) {
				body, err := literalBody(c, c.Value("x"), l.definition)
				if err != nil {
					return nil, err
				}
				return &Object{typ: l.typ, made: body}, nil
			})
	}
	b.function("config_dump", []Param{{Name: "x", Type: "any", Doc: "a dict, or JSON or YAML text, as /config_dump gives it"}}, "Proxy",
		"A proxy with the configuration of a config dump; all calls work on it that need nothing more than the dump.",
		`config_dump({"configs": [{"@type": "type.googleapis.com/envoy.admin.v3.ClustersConfigDump", "static_clusters": [{"cluster": {"name": "one"}}]}]}).clusters().names`,
		func(c *Call) (starlark.Value, error) {
			text, err := literalText(c.Value("x"))
			if err != nil {
				return nil, err
			}
			return dumpProxy(c.Context(), literalStore(c), text)
		})
}

// literalText gives what a script wrote as JSON text: a string is JSON or
// YAML, any other value has its JSON form.
func literalText(x starlark.Value) ([]byte, error) {
	if x == nil {
		return nil, errors.New("got None, want a dict, or JSON or YAML text")
	}
	var src string
	switch x := x.(type) {
	case starlark.String:
		src = string(x)
	case starlark.Bytes:
		src = string(x)
	default:
		b, err := Body(x)
		if err == nil && rawjson.Value(b).Kind() != rawjson.Object && rawjson.Value(b).Kind() != rawjson.Array {
			err = fmt.Errorf("got a %s, want a dict, or JSON or YAML text", x.Type())
		}
		return b, err
	}
	if t := strings.TrimLeft(src, " \t\r\n"); strings.HasPrefix(t, "{") || strings.HasPrefix(t, "[") {
		if _, err := rawjson.Compact(nil, []byte(src)); err == nil {
			return []byte(src), nil
		} else if rest := strings.TrimLeft(t[1:], " \t\r\n"); t[0] == '[' || rest == "" || rest[0] == '"' {
			return nil, err // meant as JSON, so the fault is in the JSON
		}
	}
	b, err := yamltext.JSON([]byte(src))
	if err == nil && rawjson.Value(b).Kind() != rawjson.Object && rawjson.Value(b).Kind() != rawjson.Array {
		err = fmt.Errorf("the text %s is neither a JSON object nor a YAML mapping", clip(quoteText(redact.Text(src)), 80))
	}
	return b, err
}

// literalStore is where bodies that a script makes are kept: beside those of
// the session's mesh, so that equal ones are the same.
func literalStore(c *Call) *resource.Store {
	if m, err := c.mesh(); err == nil {
		return m.Store()
	}
	return resource.NewStore()
}

func literalBody(c *Call, x starlark.Value, definition string) (*resource.Body, error) {
	text, err := literalText(x)
	if err != nil {
		return nil, err
	}
	// The text has to be checked before it is taken apart.
	checked, err := rawjson.Compact(nil, text)
	if err != nil {
		return nil, err
	}
	message, _ := schema.LookupMessage(definition)
	one, err := wanted(checked, message)
	if err != nil {
		return nil, err
	}
	return literalStore(c).Intern(usualForm(nil, one, message, 0))
}

// dumpSource is a mesh of one proxy whose configuration a script wrote.
type dumpSource struct {
	dump *dump.Dump
}

func (s dumpSource) Spec() string { return "config_dump" }
func (s dumpSource) Live() bool   { return false }

func (s dumpSource) Survey(context.Context) (*mesh.Survey, error) {
	id, metadata := s.dump.Node()
	r := mesh.Record{NodeID: id, Metadata: metadata, Actual: s}
	if id == "" {
		r.Name = "config_dump"
	}
	return &mesh.Survey{Proxies: []mesh.Record{r}, Captured: s.dump.NewestUpdate()}, nil
}

func (s dumpSource) Read(context.Context, mesh.Request) (mesh.Answer, error) {
	return mesh.Answer{Dump: s.dump, Covers: mesh.CoversAll}, nil
}

func (s dumpSource) Admin(_ context.Context, path string, _ func(io.Reader) error) (int64, error) {
	return 0, fmt.Errorf("%s of a config dump: %w", path, mesh.ErrNotAvailable)
}

func dumpProxy(ctx context.Context, store *resource.Store, text []byte) (starlark.Value, error) {
	d, err := dump.Split(store, text, dump.Options{Source: "config_dump"})
	if err != nil {
		return nil, err
	}
	m := mesh.New([]mesh.Source{dumpSource{d}}, mesh.Options{Store: store})
	res, err := m.Proxies(ctx)
	if err != nil {
		return nil, err
	}
	return NewProxy(ctx, res.Items[0]), nil
}
