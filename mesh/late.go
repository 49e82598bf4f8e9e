package mesh

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"time"
)

// lateness is that one side of a proxy did not answer in time. Whoever hangs is not asked again within a generation: a script with ten questions about a
// thousand proxies would wait for the one that is stopped ten times.
type lateness struct {
	at    time.Time
	stage string // what it was asked for
	err   error
}

// isLate tells whether an error is that a source did not answer in time, as opposed to the time of the question being over.
func isLate(ctx context.Context, err error) bool {
	if err == nil || ctx.Err() != nil {
		return false
	}
	var timeout net.Error
	return errors.Is(err, context.DeadlineExceeded) || errors.Is(err, os.ErrDeadlineExceeded) || errors.As(err, &timeout) && timeout.Timeout()
}

// hung gives why the side is not asked; nil when it is. At a prompt, where somebody asks again on purpose, that is so only for questions about many
// proxies. The caller holds p.mu.
func (p *Proxy) hung(ctx context.Context, side Side) error {
	l, ok := p.late[side]
	ttl := p.mesh.options.TTL
	if !ok || ttl > 0 && (ctx.Value(fleetKey{}) == nil || p.mesh.options.Clock().Sub(l.at) > ttl) {
		return nil
	}
	return &hungError{l}
}

// hungError is that a proxy was not asked.
type hungError struct{ before lateness }

func (e *hungError) Error() string {
	return fmt.Sprintf("not asked for this, as it did not answer for its %s in time", e.before.stage)
}

func (e *hungError) Unwrap() error { return e.before.err }

// keepLate remembers that a side did not answer in time, if that is what the error says.
func (p *Proxy) keepLate(ctx context.Context, side Side, gen int, err error) {
	if !isLate(ctx, err) {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.gen != gen {
		return
	}
	if p.late == nil {
		p.late = map[Side]lateness{}
	}
	task, _ := TaskOf(ctx)
	p.late[side] = lateness{p.mesh.options.Clock(), task.Stage, err}
}

// fleetKey marks the contexts of questions about several proxies.
type fleetKey struct{}
