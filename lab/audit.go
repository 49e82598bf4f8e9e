package lab

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"slices"
)

// A Request is one that the API server answered, or goes on answering, as its audit log tells.
type Request struct {
	Verb      string // such as get, list, watch, create
	Group     string // of the API, such as networking.istio.io; empty for the core
	Resource  string // such as "pods" or "pods/portforward"; empty for what is none, such as /api
	Namespace string
	Name      string
	URI       string
	UserAgent string // what the program called itself
	Status    int
}

// Requests are the requests of a user, "lab-user" or "lab-reader" for the contexts of the kubeconfig, in the order in which they were answered. A user that
// another has acted as (kubectl's --as) counts as itself.
func (l *Lab) Requests(user string) ([]Request, error) {
	text, err := os.ReadFile(l.AuditLog)
	if err != nil {
		return nil, fmt.Errorf("read the audit log: %w", err)
	}
	var out []Request
	begun := map[string]bool{} // what goes on for long is written when it starts and when it ends
	for line := range bytes.Lines(text) {
		var event struct {
			AuditID, RequestURI, Verb, UserAgent string
			User                                 struct{ Username string }
			ImpersonatedUser                     *struct{ Username string }
			ObjectRef                            struct{ APIGroup, Resource, Subresource, Namespace, Name string }
			ResponseStatus                       struct{ Code int }
		}
		if line[len(line)-1] != '\n' {
			break // being written
		}
		if err := json.Unmarshal(line, &event); err != nil {
			return nil, fmt.Errorf("read the audit log %s: %w", l.AuditLog, err)
		}
		who := event.User.Username
		if event.ImpersonatedUser != nil {
			who = event.ImpersonatedUser.Username
		}
		if who != user || begun[event.AuditID] {
			continue
		}
		begun[event.AuditID] = true
		r := Request{
			Verb: event.Verb, Group: event.ObjectRef.APIGroup, Resource: event.ObjectRef.Resource, Namespace: event.ObjectRef.Namespace, Name: event.ObjectRef.Name,
			URI: event.RequestURI, UserAgent: event.UserAgent, Status: event.ResponseStatus.Code,
		}
		if event.ObjectRef.Subresource != "" {
			r.Resource += "/" + event.ObjectRef.Subresource
		}
		out = append(out, r)
	}
	return out, nil
}

// Verbs are what requests did, "verb resource", each once and sorted.
func Verbs(requests []Request) []string {
	var out []string
	for _, r := range requests {
		if r.Resource != "" {
			out = append(out, r.Verb+" "+r.Resource)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}
