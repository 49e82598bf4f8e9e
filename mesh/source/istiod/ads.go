package istiod

import (
	"context"
	"net"
	"net/url"

	"github.com/meshlark/meshlark/mesh"
	"github.com/meshlark/meshlark/mesh/source/ads"
	protocol "github.com/meshlark/meshlark/xds/ads"
	"github.com/meshlark/meshlark/xds/rawjson"
	"github.com/meshlark/meshlark/xds/syncz"
)

// xdsPort is where an istiod serves ADS in plain text.
const xdsPort = "15010"

// UseADS lets the configuration of connected proxies be asked for by ADS as well: in the way that is given, else in plain text at port 15010 of the
// same host.
func (s *Source) UseADS(way *ads.Way, o ads.Options) {
	if way == nil {
		host := s.host
		if u, err := url.Parse(s.client.URL("")); err == nil && u.Host != "" {
			host = u.Hostname()
		}
		address := net.JoinHostPort(host, xdsPort)
		way = &ads.Way{Name: ads.Scheme + "://" + address, Endpoint: func() (protocol.Endpoint, error) { return protocol.Endpoint{Address: address}, nil }}
	}
	s.ads = func(c *syncz.Client, conn syncz.Connection) mesh.Reader {
		if len(conn.Metadata) == 0 {
			return nil // nothing tells who it is
		}
		ip, _, err := net.SplitHostPort(conn.Address)
		if err != nil {
			ip = conn.Address
		}
		node := func(context.Context) (rawjson.Value, error) {
			return ads.ConnectedNode(c.Type, ip, c.ProxyID, c.Namespace, conn.Metadata, conn.Locality), nil
		}
		r := ads.NewReader([]ads.Way{*way}, c.ProxyID, node, protocol.SotW, o)
		r.UseStore(s.store)
		return r
	}
}

// byADS is how to ask as a proxy; nil where nobody said how.
func (s *Source) byADS(c *syncz.Client, conn syncz.Connection) mesh.Reader {
	if s.ads == nil {
		return nil
	}
	return s.ads(c, conn)
}
