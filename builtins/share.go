package builtins

import (
	"context"
	"errors"
	"math"
	"slices"
	"strconv"

	"github.com/meshlark/meshlark/mesh"
	"github.com/meshlark/meshlark/xds/endpoint"
	"github.com/meshlark/meshlark/xds/pattern"
	"github.com/meshlark/meshlark/xds/resource"
	"go.starlark.net/starlark"
)

// endpointShare is the share, 0 to 1, of the endpoints that the control plane
// would send that the proxy holds. It is nil when a side cannot be had from any
// source; a proxy that was sent no endpoints holds all of them.
func endpointShare(ctx context.Context, p *Proxy) (*float64, error) {
	if !p.p.Has(mesh.Desired) || !p.p.Has(mesh.Actual) {
		return nil, nil
	}
	sent, err := hostSet(ctx, p.on(mesh.Desired))
	if err != nil || sent == nil {
		return nil, err
	}
	held, err := hostSet(ctx, p.on(mesh.Actual))
	if err != nil || held == nil {
		return nil, err
	}
	n := 0
	for host := range sent {
		if held[host] {
			n++
		}
	}
	share := 1.0
	if len(sent) > 0 {
		share = float64(n) / float64(len(sent))
	}
	return &share, nil
}

// hostID is a host by the name its cluster finds it by and its addresses.
type hostID struct{ service, address string }

// hostSet gives the hosts of a side's discovered endpoints, nil when the side does not tell
// of endpoints.
func hostSet(ctx context.Context, p *Proxy) (map[hostID]bool, error) {
	config := p.Config()
	has, err := config.Has(ctx, resource.Endpoint)
	if errors.Is(err, mesh.ErrNotAvailable) {
		return nil, nil
	}
	if err != nil || !has {
		return nil, err
	}
	rs, err := config.Resources(ctx, resource.Endpoint, pattern.Pattern{})
	if err != nil {
		return nil, err
	}
	hosts := map[hostID]bool{}
	for _, r := range rs {
		raw, err := r.Raw()
		if err != nil {
			return nil, err
		}
		a := endpoint.New(raw)
		for _, e := range a.Endpoints() {
			hosts[hostID{a.ClusterName(), e.Cell()}] = true
		}
	}
	return hosts, nil
}

// findShares sets the shares of a collection of proxies. A proxy that cannot be
// read keeps none and is among the failures.
func findShares(ctx context.Context, proxies *Collection) error {
	values := map[*mesh.Proxy]*Proxy{}
	var both []*mesh.Proxy
	for _, v := range proxies.items {
		if p := v.(*Proxy); p.p.Has(mesh.Desired) && p.p.Has(mesh.Actual) {
			values[p.p] = p
			both = append(both, p.p)
		}
	}
	if len(both) == 0 {
		return nil
	}
	type found struct {
		p     *mesh.Proxy
		share *float64
	}
	res, err := mesh.Gather(ctx, both[0].Mesh(), both, "endpoints", func(ctx context.Context, p *mesh.Proxy) ([]found, error) {
		share, err := endpointShare(ctx, values[p])
		return []found{{p, share}}, err
	})
	if err != nil {
		return err
	}
	proxies.failures = slices.Concat(proxies.failures, res.Failures)
	for _, f := range res.Items {
		values[f.p].share = f.share
	}
	return nil
}

// percentText is a share as a percentage. Only what is whole is 100%.
func percentText(share float64) string {
	return strconv.Itoa(int(math.Floor(share*100))) + "%"
}

// proxyShare describes the share of Proxy.
func (b *builder) proxyShare() {
	b.method("eds_share", nil, "float | None",
		"The share of the endpoints that the control plane would send it now that its Envoy holds, 0 to 1: the SYNCED (100%) of older istioctl. None when no source tells of both sides. proxies(share=True) finds it for all and shows it.",
		`proxy("productpage-v1").eds_share()`, func(c *Call) (starlark.Value, error) {
			share, err := endpointShare(c.Context(), c.Recv.(*Proxy))
			if err != nil || share == nil {
				return starlark.None, err
			}
			return starlark.Float(*share), nil
		})
}
