package lab

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"time"
)

// poll looks until something holds. It gives up after the limit, when the context ends, or when the process that should bring it about has ended
// (nil if there is none). what is the rest of the sentence "wait for ..."; look also says how it stands, for the error.
func poll(ctx context.Context, limit time.Duration, what string, p *process, look func() (done bool, state string)) error {
	ctx, cancel := context.WithTimeoutCause(ctx, limit, fmt.Errorf("not within %v", limit))
	defer cancel()
	for {
		done, state := look()
		if done {
			return nil
		}
		if p != nil {
			if err := p.ended(); err != nil {
				return fmt.Errorf("wait for %s: %w", what, err)
			}
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for %s: %w; at last: %.2000s", what, context.Cause(ctx), state)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// get fetches a URL, with a limit on how long it may take.
func get(ctx context.Context, client *http.Client, url string) (status int, body []byte, err error) {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return 0, nil, err
	}
	resp, err := client.Do(req)
	if err != nil {
		return 0, nil, err
	}
	defer resp.Body.Close()
	body, err = io.ReadAll(resp.Body)
	return resp.StatusCode, body, err
}
