package istiod

import (
	"context"
	"errors"
	"net/http"
	"slices"

	"github.com/meshlark/meshlark/mesh"
	"github.com/meshlark/meshlark/mesh/source/fetch"
)

// Examine tells whether the debug API answers, and with how much.
func (s *Source) Examine(ctx context.Context, e mesh.Examination) []mesh.Finding {
	const area, subject = "control plane", "debug API"
	ctx, cancel := e.Step(ctx)
	defer cancel()
	sv, err := s.Survey(ctx)
	if err != nil {
		f := mesh.Finding{Area: area, Subject: subject, Outcome: mesh.OutcomeUnreachable, Detail: mesh.Reason(err), Questions: []string{mesh.Everything}}
		var status *fetch.StatusError
		if errors.As(err, &status) {
			switch status.Code {
			case http.StatusUnauthorized, http.StatusForbidden:
				f.Outcome = mesh.OutcomeDenied
			}
		} else {
			f.Next = "is it the address of an istiod, with its monitoring port (15014) or debug port (8080)?"
		}
		return []mesh.Finding{f}
	}
	questions := slices.Concat([]string{"istiods()", "proxies()"}, mesh.DesiredQuestions(), mesh.SyncQuestions())
	var found []mesh.Finding
	for _, i := range sv.Istiods {
		version := i.Version
		if version == "" {
			version = "of an unknown version"
		}
		found = append(found, mesh.Finding{Area: area, Subject: i.Name, Outcome: mesh.OutcomeOK, Detail: "istiod " + version + ", " + mesh.Count(len(sv.Proxies), "proxy") + " connected", Questions: questions})
	}
	for _, failure := range sv.Failures {
		found = append(found, mesh.Finding{Area: area, Subject: "debug/" + failure.Stage, Outcome: mesh.OutcomeLimited, Detail: "what the proxies say of themselves is not known: " + mesh.Reason(failure.Err),
			Questions: []string{"p.metadata", "p.labels", "p.workload"}})
	}
	return found
}

var _ mesh.Examiner = (*Source)(nil)
