package ads

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/meshlark/meshlark/mesh"
	protocol "github.com/meshlark/meshlark/xds/ads"
	"github.com/meshlark/meshlark/xds/resource"
)

// Examine tells whether the control plane answers: with what it sends to the node of the spec, or with what an istiod says of its proxies.
func (s *Source) Examine(ctx context.Context, e mesh.Examination) []mesh.Finding {
	ctx, cancel := e.Step(ctx)
	defer cancel()
	f := mesh.Finding{Area: "control plane", Subject: s.spec.Server(), Questions: []string{mesh.Everything}}
	sv, err := s.Survey(ctx)
	if err != nil {
		return []mesh.Finding{s.failed(f, err)}
	}
	if !s.spec.HasNode() {
		f.Outcome, f.Detail = mesh.OutcomeOK, mesh.Count(len(sv.Proxies), "proxy")+" connected; endpoints and statistics are not told over xDS"
		f.Questions = slices.Concat([]string{"istiods()", "proxies()"}, mesh.DesiredQuestions(), mesh.SyncQuestions())
		return []mesh.Finding{f}
	}
	p := sv.Proxies[0]
	a, err := p.Desired.Read(ctx, mesh.Request{Kind: resource.Cluster})
	if err != nil {
		return []mesh.Finding{s.failed(f, err)}
	}
	f.Outcome, f.Detail = mesh.OutcomeOK, "sends "+p.NodeID+" "+mesh.Count(len(a.Dump.Resources(resource.Cluster)), "cluster")+" and "+mesh.Count(len(a.Dump.Resources(resource.Listener)), "listener")
	f.Questions = mesh.DesiredQuestions()
	return []mesh.Finding{f}
}

// failed says why nothing is answered.
func (s *Source) failed(f mesh.Finding, err error) mesh.Finding {
	f.Outcome, f.Detail = mesh.OutcomeUnreachable, mesh.Reason(err)
	var own *protocol.Error
	if errors.As(err, &own) {
		if own.Code == "Unauthenticated" || own.Code == "PermissionDenied" {
			f.Outcome = mesh.OutcomeDenied
		}
		f.Next = own.Next
		f.Detail = strings.TrimSuffix(f.Detail, "; "+own.Next)
	}
	return f
}

var _ mesh.Examiner = (*Source)(nil)
