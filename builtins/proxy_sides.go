package builtins

import (
	"cmp"
	"fmt"

	"github.com/meshlark/meshlark/mesh"
	"go.starlark.net/starlark"
)

// viaADS is the way to the desired configuration by which the control plane is
// asked as the proxy.
const viaADS = "ads"

// proxySides describes the methods that choose a side of a proxy's configuration.
func (b *builder) proxySides() {
	b.method("actual", nil, "Proxy", "The proxy as its Envoy is configured now; all calls read that side.",
		`proxy("productpage-v1").actual().clusters()`, func(c *Call) (starlark.Value, error) { return c.Recv.(*Proxy).sided(mesh.Actual) })
	b.method("desired", []Param{{Name: "via", Type: "string", Default: "None", Enum: []string{viaADS},
		Doc: "how to learn it: None asks the control plane what it would send; \"ads\" connects to it as the proxy and takes what it sends, which works for any control plane. The proxy appears connected once more for that moment"}},
		"Proxy", "The proxy as the control plane would configure it now; all calls read that side.",
		`proxy("productpage-v1").desired().clusters()`, func(c *Call) (starlark.Value, error) {
			if c.Text("via") == viaADS {
				return c.Recv.(*Proxy).sided(mesh.ByADS)
			}
			return c.Recv.(*Proxy).sided(mesh.Desired)
		})
}

// sided gives the proxy with its calls reading a side.
func (p *Proxy) sided(side mesh.Side) (starlark.Value, error) {
	switch {
	case p.p.Has(side):
		return p.on(side), nil
	case side == mesh.ByADS:
		return nil, fmt.Errorf("the configuration of %s by ADS: %w: %s tells of no control plane that serves it, or not as whom to ask; name one with -s xds://HOST:15010?node=%s",
			p.p.Name, mesh.ErrNotAvailable, p.p.Source, cmp.Or(p.p.NodeID, "ID"))
	}
	return nil, fmt.Errorf("the %s configuration of %s: %w", side, p.p.Name, p.p.Lacks(side))
}
