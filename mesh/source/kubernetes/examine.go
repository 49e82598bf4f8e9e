package kubernetes

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/meshlark/meshlark/kube"
	"github.com/meshlark/meshlark/mesh"
	"github.com/meshlark/meshlark/mesh/source/envoy"
)

// The areas of what is examined.
const (
	areaConfig  = "kubeconfig"
	areaServer  = "API server"
	areaPlane   = "control plane"
	areaProxies = "Envoys"
)

// examiner is one examination of a cluster.
type examiner struct {
	mesh.Examination
	source  *Source
	cluster *kube.Cluster

	noIstiods, noPods bool // they cannot be listed
}

// Examine tells who asks which cluster, whether it answers, what this user may do in it, and whether its istiods and Envoys answer.
func (s *Source) Examine(ctx context.Context, e mesh.Examination) []mesh.Finding {
	cluster, err := s.Cluster()
	if err != nil {
		f := mesh.Finding{Area: areaConfig, Subject: s.spec, Outcome: mesh.OutcomeAbsent, Detail: mesh.Reason(err), Questions: []string{mesh.Everything}}
		f.Next = "name another context with --context, or another file with --kubeconfig"
		return []mesh.Finding{f}
	}
	x := &examiner{Examination: e, source: s, cluster: cluster}
	found := append([]mesh.Finding{x.identity()}, x.server(ctx)...)
	if slices.ContainsFunc(found, mesh.Finding.Fatal) {
		return found // of the rest each part would say the same
	}
	ctx, cancel := e.Step(ctx)
	defer cancel()
	parts := make([][]mesh.Finding, 4)
	var wg sync.WaitGroup
	for i, part := range []func(context.Context) []mesh.Finding{x.permissions, x.objects, x.planes, x.proxies} {
		wg.Go(func() { parts[i] = part(ctx) })
	}
	wg.Wait()
	switch {
	case slices.ContainsFunc(parts[0], mesh.Finding.Fatal):
		parts = parts[:2] // no pod can be found: nothing more to say of those that are not
	case x.noIstiods && x.noPods:
		parts[2][0].Questions = []string{mesh.Everything}
	}
	found = append(found, slices.Concat(parts...)...)
	order := []string{areaConfig, areaServer, areaAccess, areaPlane, areaProxies}
	slices.SortStableFunc(found, func(a, b mesh.Finding) int { return slices.Index(order, a.Area) - slices.Index(order, b.Area) })
	return found
}

// identity is who asks which cluster.
func (x *examiner) identity() mesh.Finding {
	c := x.cluster.Config()
	f := mesh.Finding{Area: areaConfig, Subject: "context " + c.Context, Outcome: mesh.OutcomeOK}
	if c.Context == "" {
		f.Subject = "no context"
	}
	user := cmp.Or(c.User, "without a name")
	if as := x.source.options.Kube.As; as != "" {
		user += " as " + as
	}
	f.Detail = fmt.Sprintf("user %s, API server %s, namespace %s", user, c.Server, c.Namespace)
	return f
}

// tolerable is how far clocks may be apart: ages are shown in seconds, and nobody minds a few.
const tolerable = 10 * time.Second

// server tells whether the API server answers, and whether its clock agrees.
func (x *examiner) server(ctx context.Context) []mesh.Finding {
	ctx, cancel := x.Step(ctx)
	defer cancel()
	asked := x.Now()
	server, err := x.cluster.Server(ctx)
	now := x.Now()
	f := mesh.Finding{Area: areaServer, Subject: x.cluster.Config().Server, Outcome: mesh.OutcomeOK, Detail: "Kubernetes " + server.Version}
	if errors.Is(err, kube.Forbidden) {
		f.Detail = "it answers, and lets this user not ask for its version"
		return []mesh.Finding{f}
	}
	if err != nil {
		failed := x.failed(areaServer, f.Subject, err, mesh.Everything)
		return []mesh.Finding{failed}
	}
	if server.Now.IsZero() {
		return []mesh.Finding{f}
	}
	clock := mesh.Finding{Area: areaServer, Subject: "clock", Outcome: mesh.OutcomeOK, Detail: "agrees with that of this machine"}
	apart := asked.Add(now.Sub(asked) / 2).Sub(server.Now)
	if apart.Abs() > tolerable {
		way := "ahead of"
		if apart < 0 {
			way = "behind"
		}
		clock.Outcome = mesh.OutcomeLimited
		clock.Detail = fmt.Sprintf("this machine's is %s %s that of the API server; ages and days left are off by that", apart.Abs().Round(time.Second), way)
		clock.Questions = []string{"p.sync", "s.days_left", "mesh.now"}
		clock.Next = "set this machine's clock, or give the time with --now"
	}
	return []mesh.Finding{f, clock}
}

// failed is what an error of a part says.
func (x *examiner) failed(area, subject string, err error, questions ...string) mesh.Finding {
	f := mesh.Finding{Area: area, Subject: subject, Outcome: mesh.OutcomeUnreachable, Detail: mesh.Reason(err), Questions: questions}
	if errors.Is(err, context.Canceled) { // the end of a step, as client-go tells it
		f.Detail = "no answer within " + x.Wait.Round(time.Millisecond).String()
	}
	var known *kube.Error
	if errors.As(err, &known) {
		f.Detail, f.Next = known.Reason, known.Next
		switch known.Problem {
		case kube.Forbidden, kube.Unauthorized:
			f.Outcome = mesh.OutcomeDenied
		case kube.NotFound:
			f.Outcome = mesh.OutcomeAbsent
		}
	}
	return f
}

// planes tells which istiods there are, and whether they answer.
func (x *examiner) planes(ctx context.Context) []mesh.Finding {
	questions := slices.Concat([]string{"istiods()"}, mesh.DesiredQuestions(), mesh.SyncQuestions())
	pods, err := x.source.istiodPods(ctx, x.cluster)
	if err != nil {
		x.noIstiods = true
		return []mesh.Finding{x.failed(areaPlane, "istiods", err, questions...)}
	}
	if len(pods) == 0 && x.source.options.XDS == nil {
		return []mesh.Finding{{Area: areaPlane, Subject: "istiods", Outcome: mesh.OutcomeAbsent, Detail: x.source.noControlPlane(ctx, x.cluster).Reason, Questions: questions}}
	}
	surveys := make([]*mesh.Survey, len(pods))
	errs := make([]error, len(pods))
	var wg sync.WaitGroup
	for i := range pods {
		wg.Go(func() {
			surveys[i], errs[i] = x.source.overXDS(ctx, x.cluster, &pods[i], x.source.istiod(&pods[i]).Survey)
		})
	}
	var found []mesh.Finding
	if x.source.options.XDS != nil {
		found = append(found, x.outside(ctx, questions))
	}
	wg.Wait()
	for i := range pods {
		p := &pods[i]
		subject := fmt.Sprintf("%s in %s", p.Name, p.Namespace)
		if revision := p.Labels[revisionLabel]; revision != "" {
			subject += ", revision " + revision
		}
		if errs[i] != nil {
			f := x.failed(areaPlane, subject, errs[i], questions...)
			if !p.Ready && f.Outcome == mesh.OutcomeUnreachable {
				f.Detail = starting(p, errs[i])
			}
			found = append(found, f)
			continue
		}
		f := mesh.Finding{Area: areaPlane, Subject: subject, Outcome: mesh.OutcomeOK, Questions: questions}
		version := "of an unknown version"
		for _, record := range surveys[i].Istiods {
			if record.Version != "" {
				version = "version " + record.Version
			}
		}
		f.Detail = fmt.Sprintf("%s, %s connected", version, mesh.Count(len(surveys[i].Proxies), "proxy"))
		for _, failure := range surveys[i].Failures {
			f.Outcome, f.Detail = mesh.OutcomeLimited, failure.Stage+": "+failure.Reason
		}
		found = append(found, f)
	}
	return found
}

// outside tells whether the control plane that the options name answers.
func (x *examiner) outside(ctx context.Context, questions []string) mesh.Finding {
	subject := x.source.options.XDS.Address
	sv, err := x.source.outsideStatus(ctx, x.cluster)
	if err != nil {
		return x.failed(areaPlane, subject, err, questions...)
	}
	return mesh.Finding{Area: areaPlane, Subject: subject, Outcome: mesh.OutcomeOK, Detail: "over xDS, " + mesh.Count(len(sv.Proxies), "proxy") + " connected", Questions: questions}
}

// sampled is how many Envoys are asked at most.
const sampled = 5

// proxies asks a few Envoys, of as many namespaces as can be, whether they answer: what a user may do often differs from namespace to namespace.
func (x *examiner) proxies(ctx context.Context) []mesh.Finding {
	const subject = "admin interfaces"
	found := x.source.population(ctx, x.cluster)
	if found.err != nil {
		x.noPods = true
		return []mesh.Finding{x.failed(areaProxies, subject, found.err, mesh.ActualQuestions()...)}
	}
	sample, running := sampleOf(&found)
	if running == 0 {
		return nil // that there is no proxy is told of the mesh as a whole
	}
	versions := make([]string, len(sample))
	errs := make([]error, len(sample))
	var wg sync.WaitGroup
	for i, p := range sample {
		wg.Go(func() {
			versions[i], errs[i] = envoy.Version(ctx, x.source.reader(p.Namespace, p.Name, p.UID, portOf(nil, p)))
		})
	}
	wg.Wait()
	var failures []mesh.Finding
	failed := map[string][]string{} // names, by what is wrong with them
	answered := map[string]bool{}
	mute := 0
	for i, p := range sample {
		if errs[i] == nil {
			answered[versions[i]] = true
			continue
		}
		mute++
		f := x.failed(areaProxies, "", errs[i], mesh.ActualQuestions()...)
		if failed[f.Detail] == nil {
			failures = append(failures, f)
		}
		failed[f.Detail] = append(failed[f.Detail], p.Name+"."+p.Namespace)
	}
	for i := range failures {
		failures[i].Subject = mesh.Some(failed[failures[i].Detail])
	}
	f := mesh.Finding{Area: areaProxies, Subject: subject, Outcome: mesh.OutcomeOK, Questions: mesh.ActualQuestions()}
	asked := "asked all of them"
	if len(sample) < running {
		asked = fmt.Sprintf("asked %d of %d", len(sample), running)
	}
	if n := len(sample) - mute; n == 0 {
		f.Outcome, f.Detail = mesh.OutcomeUnreachable, asked+": none answers"
	} else {
		f.Detail = fmt.Sprintf("%s: %d answered, Envoy %s", asked, n, strings.Join(slices.Sorted(maps.Keys(answered)), ", "))
		if mute > 0 {
			f.Outcome = mesh.OutcomeLimited
		}
	}
	return append([]mesh.Finding{f}, failures...)
}

// sampleOf chooses running pods, one of each namespace before a second of any, and counts those it chose from.
func sampleOf(found *population) (sample []*kube.Pod, running int) {
	byNamespace := map[string][]*kube.Pod{}
	most := 0
	for _, name := range slices.Sorted(maps.Keys(found.pods)) {
		p := found.pods[name]
		if p.Phase != "Running" || p.Deleting || role(p) == "ztunnel" {
			continue
		}
		running++
		byNamespace[p.Namespace] = append(byNamespace[p.Namespace], p)
		most = max(most, len(byNamespace[p.Namespace]))
	}
	namespaces := slices.Sorted(maps.Keys(byNamespace))
	for round := range most {
		for _, n := range namespaces {
			if len(sample) < sampled && round < len(byNamespace[n]) {
				sample = append(sample, byNamespace[n][round])
			}
		}
	}
	return sample, running
}
