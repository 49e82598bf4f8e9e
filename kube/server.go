package kube

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"
)

// A Server is what an API server says of itself.
type Server struct {
	Version string    // v1.34.1
	Now     time.Time // by its clock, to the second; zero when it does not say
}

// Server asks the API server which version it is. It answers that to users who may do nothing else; one whose credentials it does not accept learns so.
func (c *Cluster) Server(ctx context.Context) (Server, error) {
	const doing = "ask the API server for its version"
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	// The client for documents does not show the header with the time.
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, c.docs.Get().AbsPath("/version").URL().String(), nil)
	if err != nil {
		return Server{}, c.explain(doing, err)
	}
	answer, err := c.docs.Client.Do(r)
	if err != nil {
		return Server{}, c.explain(doing, err)
	}
	defer answer.Body.Close()
	const most = 64 << 10
	body, err := io.ReadAll(io.LimitReader(answer.Body, most))
	switch {
	case err != nil:
		return Server{}, c.explain(doing, err)
	case answer.StatusCode != http.StatusOK:
		return Server{}, c.explain(doing, readStatus(answer.StatusCode, body))
	}
	var version struct {
		GitVersion string `json:"gitVersion"`
	}
	if err = json.Unmarshal(body, &version); err != nil {
		err = fmt.Errorf("the answer is not JSON: %w", err)
	} else if version.GitVersion == "" {
		err = errors.New("the answer names no version")
	}
	if err != nil {
		return Server{}, &Error{Doing: doing, Where: c.config.where(), Problem: Unreachable, Reason: err.Error(), Next: "is it really a Kubernetes API server that answers there, and no proxy before it?", Err: err}
	}
	s := Server{Version: version.GitVersion}
	if now, err := http.ParseTime(answer.Header.Get("Date")); err == nil {
		s.Now = now
	}
	return s, nil
}
