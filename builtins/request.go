package builtins

import (
	"fmt"
	"math/big"
	"net/netip"

	"github.com/meshlark/meshlark/xds/match"
	"go.starlark.net/starlark"
)

// The parameters that describe a request, shared by the calls that follow one.
var (
	headersParam = Param{Name: "headers", Type: "dict|list", Default: "{}",
		Doc: "its headers: a dict of texts, or of lists of texts for headers that come several times; or a list of pairs"}
	sourceIPParam    = Param{Name: "source_ip", Type: "string", Default: `""`, Doc: "the client's IP address"}
	randomParam      = Param{Name: "random", Type: "int", Default: "None", Doc: "the request's random number, which decides fractions and weights; without it shares are given"}
	runtimeParam     = Param{Name: "runtime", Type: "dict", Default: "{}", Doc: "runtime values by key"}
	filterStateParam = Param{Name: "filter_state", Type: "dict", Default: "{}", Doc: "objects of the filter state by key, as texts"}
	metadataParam    = Param{Name: "metadata", Type: "dict", Default: "{}", Doc: "dynamic metadata, a dict by the name of each filter"}
	principalParam   = Param{Name: "principal", Type: "string", Default: `""`,
		Doc: "the identity in the client's certificate, as spiffe://cluster.local/ns/default/sa/web; \"\" for no certificate"}
)

// noneIsLeftOut lets None stand for leaving an optional parameter out, as the rows of a table of cases have it.
func noneIsLeftOut(params []Param) []Param {
	for i := range params {
		params[i].OrNone = !params[i].Required()
	}
	return params
}

// requestOf reads the arguments of a call that describe a request. Pseudo-headers among the headers stand for method, path and host where
// these are not given.
func requestOf(c *Call) (*match.Request, error) {
	r := &match.Request{Method: c.Text("method"), Host: c.Text("host"), Path: c.Text("path")}
	err := eachHeader(c.Value("headers"), func(name, value string) {
		set := func(param string, into *string) {
			if !c.Given(param) {
				*into = value
			}
		}
		switch name = match.Lower(name); name {
		case ":method":
			set("method", &r.Method)
		case ":path":
			set("path", &r.Path)
		case ":authority", "host":
			set("host", &r.Host)
		case ":scheme":
			r.Scheme = value
		default:
			r.Headers = append(r.Headers, match.Header{Name: name, Value: value})
		}
	})
	if err != nil {
		return nil, err
	}
	if r.Random, err = randomOf(c); err != nil {
		return nil, err
	}
	if r.Runtime, err = decodedDict(c, "runtime"); err != nil {
		return nil, err
	}
	if r.Metadata, err = decodedDict(c, "metadata"); err != nil {
		return nil, err
	}
	ip, err := addressOf(c, "source_ip")
	if err != nil {
		return nil, err
	}
	if ip.IsValid() {
		r.Connection.Source = netip.AddrPortFrom(ip, 0)
	}
	r.Connection.Peer = peerOf(c.Text("principal"))
	return r, nil
}

// peerOf is a client that presents a certificate of an identity, or none.
func peerOf(principal string) match.Peer {
	if principal == "" {
		return match.Peer{}
	}
	return match.Peer{Presented: true, Validated: true, URISANs: []string{principal}}
}

// eachHeader goes over headers as a script writes them.
func eachHeader(headers starlark.Value, add func(name, value string)) error {
	line := func(k, v starlark.Value) error {
		name, ok := starlark.AsString(k)
		if !ok || name == "" {
			return fmt.Errorf("headers: got %s for the name of a header, want a text", k)
		}
		values := []starlark.Value{v}
		if list, ok := v.(starlark.Iterable); ok {
			values = nil
			for x := range starlark.Elements(list) {
				values = append(values, x)
			}
		}
		for _, x := range values {
			switch x := x.(type) {
			case starlark.String:
				add(name, string(x))
			case starlark.Int, starlark.Float:
				add(name, x.String())
			default:
				return fmt.Errorf("headers: %s is a %s, want a text or a list of texts", name, x.Type())
			}
		}
		return nil
	}
	switch headers := headers.(type) {
	case starlark.IterableMapping:
		for k, v := range starlark.Entries(headers) {
			if err := line(k, v); err != nil {
				return err
			}
		}
	case starlark.Iterable:
		for x := range starlark.Elements(headers) {
			pair, ok := x.(starlark.Indexable)
			if !ok || pair.Len() != 2 {
				return fmt.Errorf("headers: got a list with %s, want pairs of name and value", x)
			}
			if err := line(pair.Index(0), pair.Index(1)); err != nil {
				return err
			}
		}
	}
	return nil
}

func randomOf(c *Call) (*uint64, error) {
	n, ok := c.Int("random")
	if !ok {
		return nil, nil
	}
	if !n.IsUint64() {
		return nil, fmt.Errorf("random: %s is not a number from 0 to 2^64-1", n)
	}
	random := n.Uint64()
	return &random, nil
}

// decodedDict gives a dict as values decoded from JSON.
func decodedDict(c *Call, name string) (map[string]any, error) {
	v := c.Value(name)
	if v == nil {
		return nil, nil
	}
	decoded, err := decode(v, 0)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	out, _ := decoded.(map[string]any)
	return out, nil
}

// stateOf reads objects of the filter state.
func stateOf(c *Call) (map[string]string, error) {
	objects, ok := c.Value("filter_state").(starlark.IterableMapping)
	if !ok {
		return nil, nil
	}
	state := map[string]string{}
	for k, v := range starlark.Entries(objects) {
		key, isKey := starlark.AsString(k)
		value, isText := starlark.AsString(v)
		if !isKey || !isText {
			return nil, fmt.Errorf("filter_state: got a %s with the key %s, want texts", v.Type(), k)
		}
		state[key] = value
	}
	return state, nil
}

// addressOf reads an argument that is an IP address; "" is none.
func addressOf(c *Call, name string) (netip.Addr, error) {
	s := c.Text(name)
	if s == "" {
		return netip.Addr{}, nil
	}
	ip, err := netip.ParseAddr(s)
	if err != nil {
		return netip.Addr{}, fmt.Errorf("%s: %s is no IP address", name, quoteText(clip(s, 80)))
	}
	return ip.Unmap(), nil
}

// portOf reads an argument that is a port; 0 is none.
func portOf(c *Call, name string) (uint16, error) {
	n, ok := c.Int(name)
	if !ok {
		return 0, nil
	}
	if n.Sign() < 0 || n.Cmp(big.NewInt(1<<16-1)) > 0 {
		return 0, fmt.Errorf("%s: %s is no port: ports are 0 to 65535", name, n)
	}
	return uint16(n.Uint64()), nil
}

// boolOf reads an argument that may be left open: nil where it is.
func boolOf(c *Call, name string) *bool {
	if c.Value(name) == nil {
		return nil
	}
	b := c.Bool(name)
	return &b
}

// textsOf reads an argument that is one text or a list of them.
func textsOf(c *Call, name string) ([]string, error) {
	switch v := c.Value(name).(type) {
	case starlark.String:
		if v == "" {
			return nil, nil
		}
		return []string{string(v)}, nil
	case starlark.Iterable:
		var out []string
		for x := range starlark.Elements(v) {
			s, ok := starlark.AsString(x)
			if !ok {
				return nil, fmt.Errorf("%s: got a list with a %s, want texts", name, x.Type())
			}
			out = append(out, s)
		}
		return out, nil
	}
	return nil, nil
}
