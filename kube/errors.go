package kube

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

// Problem is the kind of a failure.
type Problem string

// The problems that are told apart.
const (
	Unreachable  Problem = "unreachable"   // no API server answers
	Unauthorized Problem = "unauthorized"  // it does not know the user, or no more
	Forbidden    Problem = "forbidden"     // the user may not
	NotFound     Problem = "not found"     // there is no such object, or kind
	NotListening Problem = "not listening" // nothing answers at the port of the pod
	Lost         Problem = "lost"          // the tunnel to the pod broke
	Late         Problem = "late"          // no answer in time
	Other        Problem = "other"
)

// An Error says what was attempted, where, why it failed and what to do next.
type Error struct {
	Doing   string // "list the pods of namespace default"; "" of ports of pods, which the reason names
	Where   string // the context and the API server
	Problem Problem
	Reason  string
	Next    string // what to do, "" when nobody knows
	Err     error
}

func (e *Error) Error() string {
	s := e.Reason
	if e.Doing != "" {
		s = fmt.Sprintf("%s in %s: %s", e.Doing, e.Where, e.Reason)
	}
	if e.Next != "" {
		s += "; " + e.Next
	}
	return s
}

func (e *Error) Unwrap() error { return e.Err }

// Is lets errors.Is find a problem: errors.Is(err, kube.Forbidden).
func (e *Error) Is(target error) bool {
	p, ok := target.(Problem)
	return ok && p == e.Problem
}

// Error makes a problem something that errors.Is can look for.
func (p Problem) Error() string { return string(p) }

func (c *Cluster) explain(doing string, err error) error { return c.config.explain(doing, err) }

// explain puts an error of client-go into an *Error. One that is explained already stays as it is.
func (c *Config) explain(doing string, err error) error {
	var known *Error
	if errors.As(err, &known) || errors.Is(err, context.Canceled) {
		return err
	}
	e := &Error{Doing: doing, Where: c.where(), Problem: Other, Reason: plain(err), Err: err}
	var (
		status    apierrors.APIStatus
		dns       *net.DNSError
		op        *net.OpError
		authority x509.UnknownAuthorityError
		invalid   x509.CertificateInvalidError
		hostname  x509.HostnameError
		timeout   net.Error
	)
	switch {
	case apierrors.IsUnauthorized(err):
		e.Problem = Unauthorized
		e.Reason = fmt.Sprintf("the API server does not accept the credentials of %s", c.user())
		e.Next = "they may have expired: log in again, or choose another --user or --context"
	case apierrors.IsForbidden(err) && strings.Contains(message(err), anonymous):
		e.Problem = Unauthorized
		e.Reason = fmt.Sprintf("the API server was told nothing of who asks: the kubeconfig has no credentials for %s, or none that are valid", c.user())
		e.Next = "log in, or choose another --user or --context"
	case apierrors.IsForbidden(err):
		e.Problem = Forbidden
		e.Reason = "forbidden: " + refusal(err)
		e.Next = "ask for that permission (kubectl auth can-i --list shows what there is), or choose another --user, --as or --context"
	case apierrors.IsNotFound(err):
		e.Problem = NotFound
		if e.Reason = message(err); strings.HasPrefix(e.Reason, "the server could not find the requested resource") {
			e.Next = "is it really a Kubernetes API server that answers there, and no proxy before it?"
		}
	case apierrors.IsTooManyRequests(err):
		e.Reason = "the API server is overloaded: " + message(err)
		e.Next = "try again in a while"
	case errors.As(err, &status):
		e.Reason = message(err)
	case isLoginFailure(err):
		e.Problem = Unauthorized
		e.Next = fmt.Sprintf("the program that the kubeconfig names for the credentials of %s failed: run it by hand, or log in again", c.user())
	case errors.As(err, &authority), errors.As(err, &invalid), errors.As(err, &hostname):
		e.Problem = Unreachable
		e.Next = "the kubeconfig's certificate-authority-data, tls-server-name or server are not this API server's"
	case errors.Is(err, http.ErrSchemeMismatch):
		e.Problem = Unreachable
		e.Reason = "what answers there speaks no TLS"
		e.Next = "the kubeconfig's server is not an API server, or should begin with http://"
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		e.Problem = Unreachable
		e.Reason = "no answer in time"
		e.Next = c.check()
	case errors.As(err, &dns), errors.As(err, &op):
		e.Problem = Unreachable
		e.Next = c.check()
	}
	return e
}

func (c *Config) user() string {
	switch as := c.rest.Impersonate.UserName; {
	case as != "":
		return fmt.Sprintf("user %s (as %s)", c.User, as)
	case c.User == "":
		return "this user"
	default:
		return "user " + c.User
	}
}

func (c *Config) check() string {
	if c.Context == "" {
		return "is the cluster up and the network path to it open (VPN, proxy)?"
	}
	return "is the cluster up, the network path to it open (VPN, proxy), and this the context you mean?"
}

// message is what the API server says.
func message(err error) string {
	var status apierrors.APIStatus
	if errors.As(err, &status) && status.Status().Message != "" {
		return status.Status().Message
	}
	return plain(err)
}

// refusal is what the API server says of a user who may not, without the object, which is said already: pods "a" is forbidden: User "b" cannot ...
func refusal(err error) string {
	text := message(err)
	if _, who, ok := strings.Cut(text, " is forbidden: "); ok {
		return who
	}
	return strings.TrimPrefix(text, "forbidden: ")
}

// anonymous is what an API server calls whoever brings no credentials.
const anonymous = `User "system:anonymous"`

// plain is the first line of an error, without the request's method and URL: what was attempted is said in other words.
func plain(err error) string {
	var u *url.Error
	if errors.As(err, &u) {
		err = u.Err
	}
	line, _, _ := strings.Cut(strings.TrimSpace(err.Error()), "\n")
	return line
}
