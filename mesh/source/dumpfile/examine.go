package dumpfile

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/meshlark/meshlark/mesh"
	"github.com/meshlark/meshlark/xds/resource"
)

// sections are what a dump may have, what it is called, and the calls that it answers.
var sections = []struct {
	kind     resource.Kind
	name     string
	question string
	usual    bool // a whole dump of any Envoy has it
}{
	{resource.Bootstrap, "bootstrap", "p.bootstrap()", true},
	{resource.Listener, "listeners", "p.listeners()", true},
	{resource.RouteConfig, "routes", "p.routes()", true},
	{resource.Cluster, "clusters", "p.clusters()", true},
	{resource.Endpoint, "endpoints", "p.endpoints()", true},
	{resource.Secret, "secrets", "p.secrets()", true},
	{resource.Extension, "extension configuration", "p.extensions()", false},
	{resource.ScopedRoutes, "scoped routes", "p.scoped_routes()", false},
}

// answers are what may be saved beside a dump, and what it answers.
var answers = []struct {
	path      string
	questions []string
}{
	{"clusters?format=json", []string{"e.health", "e.live", "e.stats"}},
	{"server_info", []string{"p.server_info()"}},
	{"certs", []string{"p.certs()"}},
	{"stats?format=json", []string{"p.stats()"}},
}

// Examine tells what each recorded proxy has and has not. Proxies that have the same are told of together.
func (s *Source) Examine(ctx context.Context, _ mesh.Examination) []mesh.Finding {
	const area = "recording"
	sv, err := s.Survey(ctx)
	if err != nil {
		return []mesh.Finding{{Area: area, Subject: s.spec, Outcome: mesh.OutcomeUnreachable, Detail: mesh.Reason(err), Questions: []string{mesh.Everything}}}
	}
	var found []mesh.Finding
	for _, f := range sv.Failures {
		found = append(found, mesh.Finding{Area: area, Subject: filepath.Base(f.Source), Outcome: mesh.OutcomeAbsent, Detail: f.Reason})
	}
	var order []string
	alike := map[string][]string{}
	of := map[string]contents{}
	for i := range sv.Proxies {
		r := &sv.Proxies[i]
		files, ok := r.Actual.(*proxyFiles)
		if !ok {
			continue
		}
		c := files.contents()
		key := strings.Join(c.has, ",")
		if alike[key] == nil {
			order = append(order, key)
			of[key] = c
		}
		name := r.Name
		if name == "" {
			name = nodeName(r.NodeID)
		}
		alike[key] = append(alike[key], name)
	}
	for _, key := range order {
		names, c := alike[key], of[key]
		subject, has, lacks := names[0], "has "+strings.Join(c.counted, ", "), "has no "+strings.Join(c.lacks, ", ")
		if len(names) > 1 {
			subject = mesh.Count(len(names), "proxy")
			has = fmt.Sprintf("%s: each has %s", mesh.Some(names), strings.Join(c.has, ", "))
			lacks = fmt.Sprintf("%s: none has %s", mesh.Some(names), strings.Join(c.lacks, ", "))
		}
		found = append(found, mesh.Finding{Area: area, Subject: subject, Outcome: mesh.OutcomeOK, Detail: has, Questions: c.answered})
		if len(c.lacks) > 0 {
			found = append(found, mesh.Finding{Area: area, Subject: subject, Outcome: mesh.OutcomeAbsent, Detail: lacks, Questions: c.open, Next: c.next()})
		}
	}
	return found
}

// nodeName is the third part of an Istio node id, pod.namespace, else the whole id.
func nodeName(id string) string {
	if parts := strings.Split(id, "~"); len(parts) == 4 {
		return parts[2]
	}
	return id
}

// contents is what the files of a proxy have and lack.
type contents struct {
	has, lacks     []string
	counted        []string // has, with the number of resources of each section
	answered, open []string
	noEndpoints    bool
	noAnswers      bool
}

func (p *proxyFiles) contents() contents {
	var c contents
	live := p.admin["clusters"] != nil // has the endpoints in use
	for _, s := range sections {
		switch {
		case p.dump.Has(s.kind):
			c.has = append(c.has, s.name)
			c.answered = append(c.answered, s.question)
			if s.kind == resource.Bootstrap {
				c.counted = append(c.counted, s.name)
			} else {
				c.counted = append(c.counted, fmt.Sprintf("%d %s", len(p.dump.Resources(s.kind)), s.name))
			}
		case s.kind == resource.Endpoint && live:
			c.answered = append(c.answered, s.question)
		case s.usual:
			c.lacks = append(c.lacks, s.name)
			c.open = append(c.open, s.question)
			c.noEndpoints = c.noEndpoints || s.kind == resource.Endpoint
		}
	}
	for _, a := range answers {
		path, _, _ := strings.Cut(a.path, "?")
		if p.admin[path] != nil {
			c.has = append(c.has, "/"+path)
			c.counted = append(c.counted, "/"+path)
			c.answered = append(c.answered, a.questions...)
		} else {
			c.lacks = append(c.lacks, "/"+path)
			c.open = append(c.open, a.questions...)
			c.noAnswers = true
		}
	}
	return c
}

// next is how to save more.
func (c contents) next() string {
	var ways []string
	if c.noEndpoints {
		ways = append(ways, "save the dump with /config_dump?include_eds")
	}
	if c.noAnswers {
		ways = append(ways, "save /clusters?format=json, /server_info, /certs, /stats?format=json in a directory with the dump")
	}
	return strings.Join(ways, "; ")
}

var _ mesh.Examiner = (*Source)(nil)
