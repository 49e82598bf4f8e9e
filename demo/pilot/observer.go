package pilot

import (
	"context"
	"fmt"
	"slices"

	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	discoveryv3 "github.com/envoyproxy/go-control-plane/envoy/service/discovery/v3"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"
)

// An observer writes down what happens on the streams. The ADS server calls it.
type observer struct{ istiod *Istiod }

// OnStreamOpen notes who connects. The node is not known before the first request.
func (o *observer) OnStreamOpen(ctx context.Context, stream int64, _ string) error {
	c := &connection{at: o.istiod.options.Now(), watches: map[string]*watch{}}
	if p, ok := peer.FromContext(ctx); ok {
		c.address = p.Addr.String()
	}
	o.istiod.mu.Lock()
	defer o.istiod.mu.Unlock()
	o.istiod.streams[stream] = c
	return nil
}

// OnStreamClosed forgets the connection, as istiod does.
func (o *observer) OnStreamClosed(stream int64, _ *corev3.Node) {
	o.istiod.mu.Lock()
	defer o.istiod.mu.Unlock()
	delete(o.istiod.streams, stream)
	o.istiod.progressed()
}

// OnStreamRequest notes a subscription, an acknowledgement or a refusal.
func (o *observer) OnStreamRequest(stream int64, req *discoveryv3.DiscoveryRequest) error {
	o.istiod.mu.Lock()
	defer o.istiod.mu.Unlock()
	c := o.istiod.streams[stream]
	if c.node == nil {
		if req.GetNode().GetId() == "" {
			return status.Error(codes.InvalidArgument, "missing node information")
		}
		c.node = req.GetNode()
		c.id = fmt.Sprintf("%s-%d", proxyID(c.node.GetId()), o.istiod.client(c.node.GetId()).number)
	}
	w := c.watches[req.GetTypeUrl()]
	if w == nil {
		w = &watch{}
		c.watches[req.GetTypeUrl()] = w
	}
	w.names = slices.Clone(req.GetResourceNames())
	switch {
	case req.GetResponseNonce() == "":
	case req.GetErrorDetail() != nil:
		w.lastError = req.GetErrorDetail().GetMessage()
	case req.GetResponseNonce() == w.sent:
		w.acked, w.lastError = w.sent, ""
	}
	o.istiod.progressed()
	return nil
}

// OnStreamResponse notes what is about to be sent.
func (o *observer) OnStreamResponse(_ context.Context, stream int64, _ *discoveryv3.DiscoveryRequest, resp *discoveryv3.DiscoveryResponse) {
	o.istiod.mu.Lock()
	defer o.istiod.mu.Unlock()
	w := o.istiod.streams[stream].watches[resp.GetTypeUrl()]
	w.sent, w.sentAt, w.version = resp.GetNonce(), o.istiod.options.Now(), resp.GetVersionInfo()
	o.istiod.progressed()
}

// progressed wakes who waits. The lock is held.
func (i *Istiod) progressed() {
	close(i.changed)
	i.changed = make(chan struct{})
}
