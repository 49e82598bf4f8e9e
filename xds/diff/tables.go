package diff

import (
	"bytes"
	"math"

	"github.com/meshlark/meshlark/xds/rawjson"
	"github.com/meshlark/meshlark/xds/schema"
)

// A Rule is one entry of a table of what makes no difference.
type Rule struct {
	What string // a path with * and ** as in Options.Ignore, a field, or a form of words
	Why  string
}

// Ignored is the table of paths that are ignored unless Options.Exact is set. Those that begin with "entry" are not of the resource
// itself but of the entry of the dump in which it stands.
var Ignored = []Rule{
	{"entry.version_info", "a control plane counts its pushes; the same configuration has another version after each"},
	{"entry.last_updated", "it is when the proxy heard, not what"},
	{"entry.client_status", "only some clients fill it in"},
	{"entry.error_state.last_update_attempt", "it is when the proxy heard, not what"},
	{"entry.error_state.version_info", "see entry.version_info"},
	{"**.environment_variables.key_values.ISTIO_META_WASM_PLUGIN_RESOURCE_VERSION", "Kubernetes counts every touch of the WasmPlugin"},
	{"**.environment_variables.key_values.ISTIO_META_WASM_IMAGE_PULL_SECRET", "istiod replaces it in its dump, and the agent takes it out"},
	{"**.environment_variables.key_values.ISTIO_META_WASM_IMAGE_PULL_POLICY", "it is for the agent, which takes it out"},
}

// An Equivalent is a value of a field that has presence, or a default other than zero, and that Envoy treats as if it were absent.
type Equivalent struct {
	Field string        // full name of the message, a dot, and the name of the field
	Value rawjson.Value // {} stands for a message of which no field counts
	Why   string
}

// SameAsAbsent is the table of such values. Envoy makes the endpoints section of its dump from the hosts it has, and fills in what the
// control plane left out.
var SameAsAbsent = []Equivalent{
	{"envoy.config.endpoint.v3.ClusterLoadAssignment.Policy.overprovisioning_factor", rawjson.Value("140"), "the default"},
	{"envoy.config.endpoint.v3.ClusterLoadAssignment.policy", rawjson.Value("{}"), "it says nothing"},
	{"envoy.config.endpoint.v3.Endpoint.health_check_config", rawjson.Value("{}"), "it says nothing"},
	{"envoy.config.endpoint.v3.LocalityLbEndpoints.locality", rawjson.Value("{}"), "it says nothing"},
	{"envoy.config.endpoint.v3.LocalityLbEndpoints.load_balancing_weight", rawjson.Value("0"), "a locality without a weight gets none"},
	{"envoy.config.endpoint.v3.LbEndpoint.metadata", rawjson.Value("{}"), "it says nothing"},
	{"envoy.config.endpoint.v3.LbEndpoint.load_balancing_weight", rawjson.Value("1"), "the default"},
	{"envoy.config.endpoint.v3.LbEndpoint.health_status", rawjson.Value(`"HEALTHY"`), "UNKNOWN is treated as healthy"},
}

// Rewrites is the table of what istiod and its agent change on the way, and what is undone before a comparison unless Options.Exact is set.
var Rewrites = []Rule{
	{"a private key, password or token that was redacted", "Envoy and istiod put the word into different members of the data source: all are equal"},
	{"an extension whose body is a Wasm filter", "istiod's dump leaves out the TypedExtensionConfig around it: it is put back, with the name the other side has for it"},
	{
		"the remote source of Wasm code against a local one, with Options.Desired",
		"the agent of a proxy downloads the module and tells Envoy the name of the file",
	},
	{
		"the health of an endpoint, with Options.Desired",
		"Envoy's dump tells what Envoy found by itself, in three words: only an endpoint that should not be healthy and is makes a difference",
	},
	{"a fraction of another denominator, with Options.Desired", "Envoy's dump gives drop percentages in millionths"},
}

var equivalents = func() map[string]rawjson.Value {
	m := map[string]rawjson.Value{}
	for _, e := range SameAsAbsent {
		m[e.Field] = e.Value
	}
	return m
}()

// equivalentMessages are the messages that have a field in SameAsAbsent.
var equivalentMessages = func() map[string]bool {
	m := map[string]bool{}
	for _, e := range SameAsAbsent {
		m[e.Field[:bytes.LastIndexByte([]byte(e.Field), '.')]] = true
	}
	return m
}()

func sameAsAbsent(m *schema.Message, f *schema.Field, n *node) bool {
	if !equivalentMessages[m.Name] {
		return false
	}
	v, ok := equivalents[m.Name+"."+f.Name]
	if !ok {
		return false
	}
	if string(v) == "{}" {
		return n.kind == rawjson.Object && !n.whole && !n.hasKids()
	}
	same := *n
	same.text, same.kind = v, v.Kind()
	return n.kind != rawjson.Object && n.kind != rawjson.Array && bytes.Equal(normal(nil, n), normal(nil, &same))
}

const (
	dataSource      = "envoy.config.core.v3.DataSource"
	percent         = "envoy.type.v3.FractionalPercent"
	lbEndpoint      = "envoy.config.endpoint.v3.LbEndpoint"
	asyncDataSource = "envoy.config.core.v3.AsyncDataSource"
)

// isRedacted reports whether an object is a data source whose content somebody has taken out.
func isRedacted(n *node) bool {
	if n.msg == nil || n.msg.Name != dataSource {
		return false
	}
	var only *kid
	for i := range n.kids {
		if k := &n.kids[i]; k.counts() {
			if only != nil {
				return false
			}
			only = k
		}
	}
	if only == nil {
		return false
	}
	const word = "[redacted]"
	switch only.name {
	case "inline_bytes":
		b, _ := decodeBase64(only.node.text)
		return string(b) == word || only.node.text.Text() == word
	case "inline_string", "filename", "environment_variable":
		return only.node.text.Text() == word
	}
	return false
}

// downloaded reports whether a module that the left side tells to fetch is a file on the right.
func downloaded(left, right *node) bool {
	return left.msg != nil && left.msg == right.msg && left.msg.Name == asyncDataSource &&
		left.member("remote") != nil && right.member("local") != nil
}

// isHealth reports whether a field is the health of an endpoint.
func isHealth(m *schema.Message, name string) bool {
	return name == "health_status" && m != nil && m.Name == lbEndpoint
}

// sameFraction reports whether two objects are one fraction.
func sameFraction(left, right *node) bool {
	if left.msg == nil || left.msg != right.msg || left.msg.Name != percent {
		return false
	}
	l, ok := millionths(left)
	r, okRight := millionths(right)
	return ok && okRight && l == r
}

func millionths(n *node) (uint64, bool) {
	scale := uint64(10_000)
	if d := n.member("denominator"); d != nil && !d.zero {
		switch number, ok := enumNumber(d); {
		case ok && number == 1: // TEN_THOUSAND
			scale = 100
		case ok && number == 2: // MILLION
			scale = 1
		default:
			return 0, false
		}
	}
	numerator := n.member("numerator")
	if numerator == nil || numerator.zero {
		return 0, true
	}
	count, ok := numerator.text.Uint()
	return count * scale, ok && count <= math.MaxUint32
}
