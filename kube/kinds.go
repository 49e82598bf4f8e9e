package kube

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	discovery "k8s.io/api/apidiscovery/v2"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// A Kind is one kind of object that the API server serves, in the version it prefers.
type Kind struct {
	Group      string // "" is the core group
	Version    string
	Name       string // VirtualService
	Plural     string // virtualservices
	Singular   string // virtualservice
	ShortNames []string
	Namespaced bool
	Verbs      []string
}

// String is the kind's full plural name, such as virtualservices.networking.istio.io.
func (k Kind) String() string {
	if k.Group == "" {
		return k.Plural
	}
	return k.Plural + "." + k.Group
}

// APIVersion is the group and version as objects write it.
func (k Kind) APIVersion() string {
	if k.Group == "" {
		return k.Version
	}
	return k.Group + "/" + k.Version
}

func (k Kind) path() string {
	if k.Group == "" {
		return "/api/" + k.Version
	}
	return "/apis/" + k.Group + "/" + k.Version
}

// An AmbiguousError says that several kinds are called so.
type AmbiguousError struct {
	Name  string
	Kinds []Kind
}

func (e *AmbiguousError) Error() string {
	names := make([]string, len(e.Kinds))
	for i, k := range e.Kinds {
		names[i] = k.String()
	}
	return fmt.Sprintf("kind %q could be any of %s; name one in full", e.Name, strings.Join(names, ", "))
}

// Kinds gives every kind that can be listed, those of the core group first, else in the API server's order. The answer is kept until Forget.
func (c *Cluster) Kinds(ctx context.Context) ([]Kind, error) {
	c.mu.Lock()
	kinds := c.kinds
	c.mu.Unlock()
	if kinds != nil {
		return kinds, nil
	}
	const doing = "ask which kinds of objects there are"
	roots := []string{"/api", "/apis"}
	parts := make([][]Kind, len(roots))
	errs := make([]error, len(roots))
	var wg sync.WaitGroup
	for i, root := range roots {
		wg.Go(func() { parts[i], errs[i] = c.discover(ctx, root) })
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		return nil, c.explain(doing, cmp.Or(errs[0], errs[1]))
	}
	kinds = slices.Concat(parts...)
	c.mu.Lock()
	c.kinds = kinds
	c.mu.Unlock()
	return kinds, nil
}

// Kind finds a kind by its name, plural, singular or a short name, in any case, with or without its group (vs, VirtualService,
// gateways.networking.istio.io). Kinds of the core group win over others of the same name; several others are an *[AmbiguousError].
func (c *Cluster) Kind(ctx context.Context, name string) (Kind, error) {
	kinds, err := c.Kinds(ctx)
	if err != nil {
		return Kind{}, err
	}
	low := strings.ToLower(name)
	bare, group, hasGroup := strings.Cut(low, ".")
	var found []Kind
	for _, k := range kinds {
		if hasGroup && group != k.Group && group != k.Version+"."+k.Group {
			continue
		}
		if bare == k.Plural || bare == k.Singular || bare == strings.ToLower(k.Name) || slices.Contains(k.ShortNames, bare) {
			found = append(found, k)
		}
	}
	switch {
	case len(found) == 0:
		return Kind{}, &Error{Doing: fmt.Sprintf("find kind %q", name), Where: c.config.where(), Problem: NotFound, Reason: "the API server serves no such kind" + near(low, kinds)}
	case len(found) == 1 || found[0].Group == "":
		return found[0], nil
	default:
		return Kind{}, &AmbiguousError{name, found}
	}
}

// near suggests kinds whose name contains what was asked for, or the other way round.
func near(name string, kinds []Kind) string {
	name, _, _ = strings.Cut(name, ".")
	const least = 4 // letters; less would be like everything
	var names []string
	for _, k := range kinds {
		if len(name) >= least && strings.Contains(k.Plural, name) || len(k.Singular) >= least && strings.Contains(name, k.Singular) {
			names = append(names, k.String())
		}
	}
	if len(names) == 0 {
		return ""
	}
	return "; there are: " + strings.Join(names, ", ")
}

// aggregated asks for all groups in one answer (Kubernetes 1.26 and newer); older servers fall back to the list of groups.
const aggregated = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList," +
	"application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList,application/json"

func (c *Cluster) discover(ctx context.Context, root string) ([]Kind, error) {
	b, err := c.get(ctx, root, nil, aggregated)
	if err != nil {
		return nil, err
	}
	var list discovery.APIGroupDiscoveryList
	if err := json.Unmarshal(b, &list); err != nil {
		return nil, fmt.Errorf("GET %s: %w", root, err)
	}
	if list.Kind != "APIGroupDiscoveryList" {
		return c.discoverEach(ctx, root, b)
	}
	var kinds []Kind
	for _, group := range list.Items {
		seen := map[string]bool{}
		for _, version := range group.Versions {
			for _, r := range version.Resources {
				if !slices.Contains(r.Verbs, "list") || seen[r.Resource] {
					continue
				}
				seen[r.Resource] = true
				k := Kind{
					Group: group.Name, Version: version.Version, Plural: r.Resource, Singular: r.SingularResource,
					ShortNames: r.ShortNames, Namespaced: r.Scope == discovery.ScopeNamespace, Verbs: r.Verbs,
				}
				if r.ResponseKind != nil {
					k.Name = r.ResponseKind.Kind
				}
				kinds = append(kinds, k)
			}
		}
	}
	return kinds, nil
}

// discoverEach asks for each group on its own, in the version that the server prefers.
func (c *Cluster) discoverEach(ctx context.Context, root string, answer []byte) ([]Kind, error) {
	var groups struct {
		Versions []string          `json:"versions"` // of /api
		Groups   []metav1.APIGroup `json:"groups"`   // of /apis
	}
	if err := json.Unmarshal(answer, &groups); err != nil {
		return nil, fmt.Errorf("GET %s: %w", root, err)
	}
	type want struct{ group, version string }
	var wants []want
	for _, v := range groups.Versions {
		wants = append(wants, want{"", v})
	}
	for _, g := range groups.Groups {
		wants = append(wants, want{g.Name, g.PreferredVersion.Version})
	}
	parts := make([][]Kind, len(wants))
	var wg sync.WaitGroup
	for i, w := range wants {
		wg.Go(func() {
			b, err := c.get(ctx, Kind{Group: w.group, Version: w.version}.path(), nil, "")
			var list metav1.APIResourceList
			if err != nil || json.Unmarshal(b, &list) != nil {
				return // a group whose own server is down leaves the others standing
			}
			for _, r := range list.APIResources {
				if slices.Contains(r.Verbs, "list") {
					parts[i] = append(parts[i], Kind{
						Group: w.group, Version: w.version, Name: r.Kind, Plural: r.Name, Singular: r.SingularName,
						ShortNames: r.ShortNames, Namespaced: r.Namespaced, Verbs: r.Verbs,
					})
				}
			}
		})
	}
	wg.Wait()
	return slices.Concat(parts...), nil
}
