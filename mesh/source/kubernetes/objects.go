package kubernetes

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/meshlark/meshlark/kube"
	"github.com/meshlark/meshlark/mesh"
	"github.com/meshlark/meshlark/xds/rawjson"
)

var _ mesh.ObjectSource = (*Source)(nil)

// ObjectKind finds a kind that the API server serves, as kubectl would. One that several groups have is an error that names them.
func (s *Source) ObjectKind(ctx context.Context, name string) (mesh.ObjectKind, error) {
	cluster, err := s.Cluster()
	if err != nil {
		return mesh.ObjectKind{}, err
	}
	k, err := cluster.Kind(ctx, name)
	if err == nil {
		return objectKind(k), nil
	}
	if errors.Is(err, kube.NotFound) {
		if kinds, kindsErr := cluster.Kinds(ctx); kindsErr == nil { // else it is the server itself that was not found
			no := &mesh.NoKindError{Kind: name, Where: s.spec}
			for _, k := range kinds {
				no.Known = append(no.Known, k.Name, k.Plural)
				no.Known = append(no.Known, k.ShortNames...)
			}
			return mesh.ObjectKind{}, no
		}
	}
	return mesh.ObjectKind{}, s.unread(err)
}

// ObjectKinds lists the kinds that the API server serves.
func (s *Source) ObjectKinds(ctx context.Context) ([]mesh.ObjectKind, error) {
	cluster, err := s.Cluster()
	if err != nil {
		return nil, err
	}
	kinds, err := cluster.Kinds(ctx)
	if err != nil {
		return nil, s.unread(err)
	}
	out := make([]mesh.ObjectKind, len(kinds))
	for i, k := range kinds {
		out[i] = objectKind(k)
	}
	return out, nil
}

func objectKind(k kube.Kind) mesh.ObjectKind {
	return mesh.ObjectKind{Name: k.Name, Group: k.Group, Version: k.Version, Plural: k.Plural, ShortNames: k.ShortNames, Namespaced: k.Namespaced}
}

// Objects gets or lists objects of the API server. For users who may not list those of all namespaces they are those of the namespaces that they are most
// likely to.
func (s *Source) Objects(ctx context.Context, r mesh.ObjectRequest) (mesh.ObjectAnswer, error) {
	cluster, err := s.Cluster()
	if err != nil {
		return mesh.ObjectAnswer{}, err
	}
	kind := kube.Kind{Group: r.Kind.Group, Version: r.Kind.Version, Name: r.Kind.Name, Plural: r.Kind.Plural, Namespaced: r.Kind.Namespaced}
	q := kube.ObjectQuery{Name: r.Name, Namespace: r.Namespace, Labels: r.Labels}
	var a mesh.ObjectAnswer
	found, err := objects(ctx, cluster, kind, q)
	if errors.Is(err, kube.Forbidden) && kind.Namespaced && q.Namespace == "" {
		namespaces := []string{cluster.Config().Namespace}
		if n := cmp.Or(s.options.IstioNamespace, usualNamespace); n != namespaces[0] {
			namespaces = append(namespaces, n)
		}
		var read []string
		for _, q.Namespace = range namespaces {
			if some, one := objects(ctx, cluster, kind, q); one == nil {
				read = append(read, q.Namespace)
				found = append(found, some...)
			}
		}
		if len(read) > 0 {
			a.Failures = append(a.Failures, s.failure(kind.String()+" of other namespaces", fmt.Errorf("only those of %s are known: %w", strings.Join(read, " and "), err)))
			err = nil
		}
	}
	if err != nil {
		return mesh.ObjectAnswer{}, s.unread(err)
	}
	for _, o := range found {
		a.Objects = append(a.Objects, mesh.Object{
			Kind: o.Kind.Name, APIVersion: o.Kind.APIVersion(), Name: o.Name, Namespace: o.Namespace, JSON: rawjson.Value(o.JSON),
		})
	}
	return a, nil
}

// objects asks the API server. That there is no object of a name is no error.
func objects(ctx context.Context, cluster *kube.Cluster, kind kube.Kind, q kube.ObjectQuery) ([]kube.Object, error) {
	found, err := cluster.Objects(ctx, kind, q)
	if errors.Is(err, kube.NotFound) && q.Name != "" {
		return nil, nil
	}
	return found, err
}

// unread tells what is wrong with the source from what is wrong with the question.
func (s *Source) unread(err error) error {
	switch {
	case errors.Is(err, kube.Unauthorized):
		// The user will log in again, which changes the kubeconfig.
		s.mu.Lock()
		s.drop()
		s.mu.Unlock()
		fallthrough
	case errors.Is(err, kube.Unreachable), errors.Is(err, kube.Forbidden):
		return &mesh.UnreachableError{Source: s.spec, Err: err}
	}
	return err
}
