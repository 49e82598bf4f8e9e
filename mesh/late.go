package mesh

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
)

// lateness is that one side of a proxy did not answer in time. Whoever hangs is not asked again within a generation: ten questions about a
// thousand proxies would wait for the one that is stopped ten times.
type lateness struct {
	stage string // what it was asked for
	err   error
}

// lateKey says which side of which proxy is late. It outlives the list of proxies, which is read anew meanwhile.
type lateKey struct {
	source, name string
	side         Side
}

func (p *Proxy) lateKey(side Side) lateKey { return lateKey{p.Source, p.Name, side} }

// isLate tells whether an error is that a source did not answer in time, as opposed to the time of the question being over.
func isLate(ctx context.Context, err error) bool {
	if err == nil || ctx.Err() != nil {
		return false
	}
	var timeout net.Error
	return errors.Is(err, context.DeadlineExceeded) || errors.Is(err, os.ErrDeadlineExceeded) || errors.As(err, &timeout) && timeout.Timeout()
}

// hung gives why the side is not asked; nil when it is. At a prompt, where somebody asks again on purpose, that is so only for questions about many
// proxies: one about this proxy alone finds out whether it answers again.
func (p *Proxy) hung(ctx context.Context, side Side) error {
	m := p.mesh
	m.mu.Lock()
	defer m.mu.Unlock()
	l, ok := m.late[p.lateKey(side)]
	prompt := m.options.TTL > 0
	if !ok || prompt && ctx.Value(fleetKey{}) == nil {
		return nil
	}
	return &hungError{l, prompt}
}

// hungError is that a proxy was not asked.
type hungError struct {
	before lateness
	prompt bool
}

func (e *hungError) Error() string {
	text := fmt.Sprintf("not asked for this, as it did not answer for its %s in time", e.before.stage)
	if e.prompt {
		text += "; :refresh forgets that, and so does an answer to a question about it alone"
	}
	return text
}

func (e *hungError) Unwrap() error { return e.before.err }

// keepLate remembers that a side did not answer in time, if that is what the error says, and forgets it when the side has answered.
func (p *Proxy) keepLate(ctx context.Context, side Side, gen int, err error) {
	late := isLate(ctx, err)
	if err != nil && !late {
		return
	}
	m := p.mesh
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.gen != gen {
		return
	}
	if !late {
		delete(m.late, p.lateKey(side))
		return
	}
	if m.late == nil {
		m.late = map[lateKey]lateness{}
	}
	task, _ := TaskOf(ctx)
	m.late[p.lateKey(side)] = lateness{task.Stage, err}
}

// fleetKey marks the contexts of questions about several proxies, and has the fleetPart.
type fleetKey struct{}
