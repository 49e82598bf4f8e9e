package lab

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strconv"
)

// StandIn adds a pod with a sidecar, of a workload such as "huge-v1", in whose place a handler answers at the port of Envoy's admin interface: for what
// no Envoy does. No istiod knows it. Undo deletes the pod, whatever is under way with it.
func (l *Lab) StandIn(ctx context.Context, workload string, handler http.Handler) (*Pod, Undo, error) {
	number, err := l.nextNumber()
	if err != nil {
		return nil, nil, err
	}
	p := l.extraPod(workload, number)
	listener, err := net.Listen("tcp", net.JoinHostPort(p.Address, strconv.Itoa(p.AdminPort)))
	if err != nil {
		return nil, nil, fmt.Errorf("stand in for the Envoy of %s: %w", p.ID(), err)
	}
	server := &http.Server{Handler: handler}
	go server.Serve(listener)
	undo := func(ctx context.Context) error {
		return errors.Join(l.removePod(ctx, p), server.Close())
	}
	if err := l.addPod(ctx, p); err != nil {
		return nil, nil, errors.Join(err, undo(ctx))
	}
	return p, undo, nil
}
