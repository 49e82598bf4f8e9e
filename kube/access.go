package kube

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	authentication "k8s.io/api/authentication/v1"
	authorization "k8s.io/api/authorization/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// An Access is something that a user may or may not do.
type Access struct {
	Verb        string
	Group       string
	Resource    string
	Subresource string
	Namespace   string // "" is all
	Name        string // "" is all
}

// String is how kubectl auth can-i would be asked: "create pods/portforward in namespace default".
func (a Access) String() string {
	s := a.Verb + " " + a.Resource
	if a.Group != "" {
		s += "." + a.Group
	}
	if a.Subresource != "" {
		s += "/" + a.Subresource
	}
	if a.Name != "" {
		s += " " + a.Name
	}
	if a.Namespace != "" {
		s += " in namespace " + a.Namespace
	}
	return s
}

// A Need is an access that this package uses, and what it is for.
type Need struct {
	Access
	For      string
	Optional bool // the rest works without it
	Asked    bool // used only when somebody asks for what it is for
}

// Needs lists every access that this package uses. Those that create store nothing in the cluster: they make a tunnel,
// answers, a token.
func Needs() []Need {
	return []Need{
		{Access: Access{Verb: "list", Resource: "pods"}, For: "find control planes and proxies (without it in all namespaces: in one)"},
		{Access: Access{Verb: "get", Resource: "pods"}, For: "say what became of a pod that does not answer", Optional: true},
		{Access: Access{Verb: "get", Resource: "pods", Subresource: "portforward"}, For: "tunnels over a websocket (Kubernetes 1.31 and newer, of which 1.35 and newer ask for create as well; without it SPDY is used)", Optional: true},
		{Access: Access{Verb: "list", Group: "apps", Resource: "replicasets"}, For: "workloads that are neither Deployment nor any kind that owns its pods itself", Optional: true},
		{Access: Access{Verb: "list", Group: "admissionregistration.k8s.io", Resource: "mutatingwebhookconfigurations"}, For: "revision tags, and control planes that run elsewhere", Optional: true},
		{Access: Access{Verb: "get", Resource: "services"}, For: "the pods that a service sends requests to", Optional: true, Asked: true},
		{Access: Access{Verb: "get", Resource: "*", Group: "*"}, For: "objects asked for by kind and name", Optional: true, Asked: true},
		{Access: Access{Verb: "list", Resource: "*", Group: "*"}, For: "objects asked for by kind", Optional: true, Asked: true},
		{Access: Access{Verb: "create", Resource: "pods", Subresource: "portforward"}, For: "tunnels to control planes and proxies"},
		{Access: Access{Verb: "create", Group: "authorization.k8s.io", Resource: "selfsubjectaccessreviews"}, For: "tell what this user may do", Optional: true, Asked: true},
		{Access: Access{Verb: "create", Group: "authorization.k8s.io", Resource: "selfsubjectrulesreviews"}, For: "list what this user may do", Optional: true, Asked: true},
		{Access: Access{Verb: "create", Resource: "serviceaccounts", Subresource: "token"}, For: "a token to ask a control plane over TLS as a proxy, where it has no plain text port", Optional: true, Asked: true},
	}
}

// A Verdict is what the API server says about an access.
type Verdict struct {
	Allowed bool
	Reason  string
}

// May asks whether this user has an access. The API server answers that to every user it knows, and stores nothing.
func (c *Cluster) May(ctx context.Context, a Access) (Verdict, error) {
	doing := "ask whether this user may " + a.String()
	var review authorization.SelfSubjectAccessReview
	err := c.ask(ctx, "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", authorization.SelfSubjectAccessReview{
		TypeMeta: metav1.TypeMeta{APIVersion: "authorization.k8s.io/v1", Kind: "SelfSubjectAccessReview"},
		Spec: authorization.SelfSubjectAccessReviewSpec{ResourceAttributes: &authorization.ResourceAttributes{
			Verb: a.Verb, Group: a.Group, Resource: a.Resource, Subresource: a.Subresource, Namespace: a.Namespace, Name: a.Name,
		}},
	}, &review)
	if err != nil {
		return Verdict{}, c.explain(doing, err)
	}
	v := Verdict{Allowed: review.Status.Allowed, Reason: review.Status.Reason}
	if v.Reason == "" {
		v.Reason = review.Status.EvaluationError
	}
	return v, nil
}

// A Rule gives verbs on resources. In each list "*" stands for all; no ResourceNames are all.
type Rule = authorization.ResourceRule

// Rules are what a user may do in a namespace.
type Rules struct {
	Rules      []Rule
	Incomplete bool   // the authorizer could not list all
	Reason     string // why
}

// Rules asks for all that this user may do in a namespace.
func (c *Cluster) Rules(ctx context.Context, namespace string) (Rules, error) {
	var review authorization.SelfSubjectRulesReview
	err := c.ask(ctx, "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews", authorization.SelfSubjectRulesReview{
		TypeMeta: metav1.TypeMeta{APIVersion: "authorization.k8s.io/v1", Kind: "SelfSubjectRulesReview"},
		Spec:     authorization.SelfSubjectRulesReviewSpec{Namespace: namespace},
	}, &review)
	if err != nil {
		return Rules{}, c.explain("ask what this user may do in namespace "+namespace, err)
	}
	return Rules{review.Status.ResourceRules, review.Status.Incomplete, review.Status.EvaluationError}, nil
}

// Token asks for a token of a service account, for an audience such as istio-ca. It is the only call that makes a credential; nothing else in this
// package makes it.
func (c *Cluster) Token(ctx context.Context, namespace, account, audience string, life time.Duration) (token string, expires time.Time, err error) {
	seconds := int64(life / time.Second)
	var answer authentication.TokenRequest
	path := fmt.Sprintf("/api/v1/namespaces/%s/serviceaccounts/%s/token", namespace, account)
	err = c.ask(ctx, path, authentication.TokenRequest{
		TypeMeta: metav1.TypeMeta{APIVersion: "authentication.k8s.io/v1", Kind: "TokenRequest"},
		Spec:     authentication.TokenRequestSpec{Audiences: []string{audience}, ExpirationSeconds: &seconds},
	}, &answer)
	if err != nil {
		return "", time.Time{}, c.explain(fmt.Sprintf("make a token of service account %s of namespace %s", account, namespace), err)
	}
	return answer.Status.Token, answer.Status.ExpirationTimestamp.Time, nil
}

func (c *Cluster) ask(ctx context.Context, path string, question, answer any) error {
	body, err := json.Marshal(question)
	if err != nil {
		return err
	}
	b, err := c.post(ctx, path, body)
	if err != nil {
		return err
	}
	return json.Unmarshal(b, answer)
}
