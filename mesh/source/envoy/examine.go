package envoy

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/meshlark/meshlark/mesh"
	"github.com/meshlark/meshlark/mesh/source/fetch"
	"github.com/meshlark/meshlark/xds/admin"
	"github.com/meshlark/meshlark/xds/naming"
)

// Version asks an Envoy for its version, which shows that its admin interface answers.
func Version(ctx context.Context, r mesh.Reader) (string, error) {
	b, err := document(ctx, r, "server_info")
	if err != nil {
		return "", err
	}
	info, err := admin.ReadServerInfo(b)
	if err != nil {
		return "", err
	}
	return naming.EnvoyVersion(info.Version), nil
}

// endpoints are the paths that questions need, each in its smallest form. An Envoy may be told to serve some only (admin.allow_paths), and so may
// whatever stands before it.
var endpoints = []struct {
	path      string
	questions []string
}{
	{"config_dump?mask=last_updated", mesh.ActualQuestions()},
	{"clusters?format=json&filter=^$", []string{"e.health", "e.live", "e.stats"}},
	{"certs", []string{"p.certs()"}},
	{"stats?format=json&filter=^$", []string{"p.stats()"}},
}

// Examine tells whether the admin interface answers, and which of its paths do.
func (s *Source) Examine(ctx context.Context, e mesh.Examination) []mesh.Finding {
	const area = "Envoy"
	first, cancel := e.Step(ctx)
	defer cancel()
	version, err := Version(first, s.reader)
	if err != nil {
		f := mesh.Finding{Area: area, Subject: "admin interface", Outcome: mesh.OutcomeUnreachable, Detail: mesh.Reason(err), Questions: []string{mesh.Everything},
			Next: "is it the address of an Envoy's admin interface, and does it listen there?"}
		return []mesh.Finding{f}
	}
	found := []mesh.Finding{{Area: area, Subject: "admin interface", Outcome: mesh.OutcomeOK, Detail: "Envoy " + version, Questions: []string{"p.server_info()"}}}
	ctx, cancel = e.Step(ctx)
	defer cancel()
	errs := make([]error, len(endpoints))
	var wg sync.WaitGroup
	for i, p := range endpoints {
		wg.Go(func() { errs[i] = s.serves(ctx, p.path) })
	}
	wg.Wait()
	var served, questions []string
	var missing []mesh.Finding
	for i, p := range endpoints {
		name, _, _ := strings.Cut(p.path, "?")
		if errs[i] == nil {
			served = append(served, "/"+name)
			questions = append(questions, p.questions...)
			continue
		}
		f := mesh.Finding{Area: area, Subject: "/" + name, Outcome: mesh.OutcomeUnreachable, Detail: mesh.Reason(errs[i]), Questions: p.questions}
		var status *fetch.StatusError
		if errors.As(errs[i], &status) {
			f.Outcome = mesh.OutcomeDenied
			f.Detail = fmt.Sprintf("it answers with HTTP status %d", status.Code)
			f.Next = "is there a proxy before the admin interface, or a list in admin.allow_paths of its bootstrap?"
		}
		missing = append(missing, f)
	}
	if len(served) > 0 {
		found = append(found, mesh.Finding{Area: area, Subject: "paths", Outcome: mesh.OutcomeOK, Detail: strings.Join(served, " "), Questions: questions})
	}
	return slices.Concat(found, missing)
}

// serves tells whether a path is answered. That a dump has nothing under a mask is an answer.
func (s *Source) serves(ctx context.Context, path string) error {
	_, err := s.reader.client.Get(ctx, path)
	if noSection(err) {
		return nil
	}
	return err
}

var _ mesh.Examiner = (*Source)(nil)
