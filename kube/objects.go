package kube

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

// An ObjectQuery selects objects of a kind.
type ObjectQuery struct {
	Name      string // "" is all
	Namespace string // "" is all; kinds without namespaces ignore it
	Labels    string // a label selector
}

// An Object is one object as the API server sent it: the order of its members and the text of its numbers are kept. Of Secrets the values are
// replaced by "[redacted]".
type Object struct {
	Kind      Kind
	Name      string
	Namespace string
	JSON      json.RawMessage
}

// objectsPerPage is how many objects one answer has at most.
const objectsPerPage = 500

// Objects gives the objects of a kind that the query selects, page by page. One that is asked for by name and namespace and is not there is an
// *[Error] with the problem NotFound; a list may be empty.
func (c *Cluster) Objects(ctx context.Context, kind Kind, q ObjectQuery) ([]Object, error) {
	if !kind.Namespaced {
		q.Namespace = ""
	}
	doing := "list " + kind.String()
	if q.Namespace != "" {
		doing += " of namespace " + q.Namespace
	}
	path := kind.path()
	if q.Namespace != "" {
		path += "/namespaces/" + url.PathEscape(q.Namespace)
	}
	path += "/" + kind.Plural
	if q.Name != "" && (q.Namespace != "" || !kind.Namespaced) {
		b, err := c.get(ctx, path+"/"+url.PathEscape(q.Name), nil, "")
		if err != nil {
			return nil, c.explain(fmt.Sprintf("get %s %s", kind.String(), q.Name), err)
		}
		o, err := readObject(kind, b)
		if err != nil {
			return nil, c.explain(fmt.Sprintf("get %s %s", kind.String(), q.Name), err)
		}
		return []Object{o}, nil
	}
	objects, err := c.listObjects(ctx, kind, path, q, objectsPerPage)
	if apierrors.IsResourceExpired(err) {
		objects, err = c.listObjects(ctx, kind, path, q, 0)
	}
	if err != nil {
		return nil, c.explain(doing, err)
	}
	return objects, nil
}

func (c *Cluster) listObjects(ctx context.Context, kind Kind, path string, q ObjectQuery, page int) ([]Object, error) {
	query := url.Values{}
	if q.Labels != "" {
		query.Set("labelSelector", q.Labels)
	}
	if q.Name != "" {
		query.Set("fieldSelector", "metadata.name="+q.Name)
	}
	if page > 0 {
		query.Set("limit", strconv.Itoa(page))
	}
	var objects []Object
	for {
		b, err := c.get(ctx, path, query, "")
		if err != nil {
			return nil, err
		}
		var list struct {
			Metadata struct {
				Continue string `json:"continue"`
			} `json:"metadata"`
			Items []json.RawMessage `json:"items"`
		}
		if err := json.Unmarshal(b, &list); err != nil {
			return nil, fmt.Errorf("GET %s: %w", path, err)
		}
		for _, item := range list.Items {
			o, err := readObject(kind, item)
			if err != nil {
				return nil, fmt.Errorf("GET %s: %w", path, err)
			}
			objects = append(objects, o)
		}
		if list.Metadata.Continue == "" {
			return objects, nil
		}
		query.Set("continue", list.Metadata.Continue)
	}
}

func readObject(kind Kind, item json.RawMessage) (Object, error) {
	var head struct {
		Kind     string `json:"kind"`
		Metadata struct {
			Name      string `json:"name"`
			Namespace string `json:"namespace"`
		} `json:"metadata"`
	}
	if err := json.Unmarshal(item, &head); err != nil {
		return Object{}, err
	}
	if head.Kind == "" {
		// Lists of Kubernetes' own kinds say the kind once, at their top.
		front := fmt.Sprintf(`{"apiVersion":%q,"kind":%q,`, kind.APIVersion(), kind.Name)
		item = append(json.RawMessage(front), bytes.TrimLeft(item, " \t\r\n{")...)
	}
	if kind.Group == "" && kind.Name == "Secret" {
		var err error
		if item, err = redactSecret(item); err != nil {
			return Object{}, err
		}
	}
	return Object{Kind: kind, Name: head.Metadata.Name, Namespace: head.Metadata.Namespace, JSON: item}, nil
}

// redactSecret keeps the names of a Secret's values and drops the values, and the copy of them that kubectl apply leaves in an annotation.
func redactSecret(item json.RawMessage) (json.RawMessage, error) {
	var members, metadata map[string]json.RawMessage
	if err := json.Unmarshal(item, &members); err != nil {
		return nil, err
	}
	for _, field := range []string{"data", "stringData"} {
		var values map[string]any
		if err := json.Unmarshal(or(members[field], "null"), &values); err != nil {
			return nil, err
		}
		for name := range values {
			values[name] = "[redacted]"
		}
		if values != nil {
			members[field], _ = json.Marshal(values)
		}
	}
	if err := json.Unmarshal(or(members["metadata"], "null"), &metadata); err != nil {
		return nil, err
	}
	var annotations map[string]json.RawMessage
	if err := json.Unmarshal(or(metadata["annotations"], "null"), &annotations); err != nil {
		return nil, err
	}
	if _, ok := annotations[corev1.LastAppliedConfigAnnotation]; ok {
		annotations[corev1.LastAppliedConfigAnnotation] = json.RawMessage(`"[redacted]"`)
		metadata["annotations"], _ = json.Marshal(annotations)
		members["metadata"], _ = json.Marshal(metadata)
	}
	return json.Marshal(members)
}

func or(raw json.RawMessage, absent string) []byte {
	if raw == nil {
		return []byte(absent)
	}
	return raw
}
