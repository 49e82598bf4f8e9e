package kubernetes

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/meshlark/meshlark/kube"
	"github.com/meshlark/meshlark/mesh"
	"github.com/meshlark/meshlark/mesh/source/istiod"
)

// follower reads what the control plane would send a proxy. The istiod that was asked first may have restarted, or the proxy connected to another one, since
// the survey: then all istiods there are by now are asked where the proxy is.
type follower struct {
	source    *Source
	proxy, id string // pod.namespace, and the id of its cluster

	mu     sync.Mutex
	reader mesh.Reader
	istiod string // whose reader it is
}

func (f *follower) Read(ctx context.Context, r mesh.Request) (mesh.Answer, error) {
	f.mu.Lock()
	reader, at := f.reader, f.istiod
	f.mu.Unlock()
	a, err := reader.Read(ctx, r)
	if !isGone(err) || ctx.Err() != nil {
		return a, err
	}
	moved, err := f.find(ctx, at, err)
	if err != nil {
		return mesh.Answer{}, err
	}
	return moved.Read(ctx, r)
}

func (f *follower) Admin(ctx context.Context, path string, read func(io.Reader) error) (int64, error) {
	f.mu.Lock()
	reader := f.reader
	f.mu.Unlock()
	return reader.Admin(ctx, path, read)
}

// isGone tells errors that mean that the proxy is connected elsewhere by now, or nowhere.
func isGone(err error) bool {
	return errors.Is(err, istiod.ErrNotConnected) || errors.Is(err, kube.NotFound) || errors.Is(err, kube.NotListening) || errors.Is(err, kube.Lost)
}

// find asks all istiods for the proxy and keeps the one it connected to last.
func (f *follower) find(ctx context.Context, was string, why error) (mesh.Reader, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.istiod != was {
		return f.reader, nil // somebody else found it meanwhile
	}
	cluster, err := f.source.Cluster()
	if err != nil {
		return nil, err
	}
	pods, err := f.source.istiodPods(ctx, cluster)
	if err != nil {
		return nil, fmt.Errorf("desired configuration of %s: %w; and where it is now cannot be found out: %v", f.proxy, reason(why), err)
	}
	type place struct {
		reader mesh.Reader
		since  time.Time
		err    error
	}
	places := make([]place, len(pods))
	var wg sync.WaitGroup
	for i := range pods {
		wg.Go(func() {
			p := &places[i]
			p.reader, p.since, p.err = f.source.istiod(&pods[i]).Moved(ctx, f.proxy, f.id)
		})
	}
	wg.Wait()
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	best := -1
	var without, silent []string
	for i, p := range places {
		switch {
		case p.err == nil:
			if best < 0 || p.since.After(places[best].since) {
				best = i
			}
		case pods[i].Name == was: // why says it
		case errors.Is(p.err, istiod.ErrNotConnected):
			without = append(without, pods[i].Name)
		default:
			silent = append(silent, fmt.Sprintf("; %s does not answer: %v", pods[i].Name, reason(p.err)))
		}
	}
	if best >= 0 {
		f.reader, f.istiod = places[best].reader, pods[best].Name
		return f.reader, nil
	}
	text := fmt.Sprintf("it was connected to %s, and is not any more", was)
	if !errors.Is(why, istiod.ErrNotConnected) {
		text = fmt.Sprintf("it was connected to %s, which has ended or restarts (%v)", was, reason(why))
	}
	if len(without) > 0 {
		text += "; nor is it connected to " + strings.Join(without, ", ")
	}
	text += strings.Join(silent, "")
	return nil, fmt.Errorf("desired configuration of %s: %w", f.proxy, &goneError{text + "; it connects anew within a minute or so: refresh and ask again", why})
}

// goneError is that a proxy is connected to no istiod that answers.
type goneError struct {
	text string
	why  error
}

func (e *goneError) Error() string { return e.text }
func (e *goneError) Unwrap() error { return e.why }
