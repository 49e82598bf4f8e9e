package kube

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// PodURL is the address of a port of a pod, for the round tripper that Transport gives.
func PodURL(namespace, pod string, port int) string {
	return fmt.Sprintf("http://%s.%s:%d", pod, namespace, port)
}

// transport sends HTTP requests to ports of pods.
type transport struct {
	cluster *Cluster
	base    *http.Transport
}

func newTransport(c *Cluster) *transport {
	return &transport{c, &http.Transport{
		DialContext: func(ctx context.Context, _, address string) (net.Conn, error) {
			namespace, pod, port, err := splitAddress(address)
			if err != nil {
				return nil, err
			}
			return c.DialPod(ctx, namespace, pod, port)
		},
		// A connection that is kept holds its pod's tunnel open: these bounds are those of the tunnels that stay open for nothing.
		MaxIdleConns:        64,
		MaxIdleConnsPerHost: 4,
		IdleConnTimeout:     45 * time.Second,
		DisableCompression:  true, // neither Envoy's admin interface nor istiod compresses
	}}
}

// splitAddress reads pod.namespace:port. Names of pods may have dots, those of namespaces have none.
func splitAddress(address string) (namespace, pod string, port int, err error) {
	host, number, err := net.SplitHostPort(address)
	if err == nil {
		port, err = strconv.Atoi(number)
	}
	dot := strings.LastIndexByte(host, '.')
	if err != nil || dot <= 0 || dot == len(host)-1 || port < 1 || port > 65535 {
		return "", "", 0, fmt.Errorf("address %q is not of the form pod.namespace:port", address)
	}
	return host[dot+1:], host[:dot], port, nil
}

// RoundTrip implements http.RoundTripper.
func (t *transport) RoundTrip(r *http.Request) (*http.Response, error) {
	used := &atomic.Pointer[conn]{}
	trace := &httptrace.ClientTrace{GotConn: func(info httptrace.GotConnInfo) {
		if c, ok := info.Conn.(*conn); ok {
			used.Store(c)
		}
	}}
	response, err := t.base.RoundTrip(r.WithContext(httptrace.WithClientTrace(r.Context(), trace)))
	if err != nil {
		return nil, t.explain(r, err)
	}
	b := &body{response.Body, t, r, used.Load()}
	if response.Body == http.NoBody {
		b.complete()
	}
	response.Body = b
	return response, nil
}

// body is the body of an answer. Its errors say what became of the pod.
type body struct {
	io.ReadCloser
	transport *transport
	request   *http.Request
	conn      *conn
}

func (b *body) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err == io.EOF {
		b.complete()
	} else if err != nil {
		err = b.transport.explain(b.request, err)
	}
	return n, err
}

func (b *body) complete() {
	if b.conn != nil {
		b.conn.complete()
	}
}

func (t *transport) explain(r *http.Request, err error) error {
	// net/http puts its own state before what a connection says.
	var e *Error
	if errors.As(err, &e) {
		return e
	}
	if r.Context().Err() == nil && (errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)) {
		if namespace, pod, port, bad := splitAddress(r.URL.Host); bad == nil {
			return t.cluster.explainEnd(podKey{namespace, pod}, port, err)
		}
	}
	return err
}

// readStatus makes the error out of an answer of the API server that is none of success.
func readStatus(code int, body []byte) error {
	var status metav1.Status
	if json.Unmarshal(body, &status) == nil && status.Kind == "Status" {
		return &apierrors.StatusError{ErrStatus: status}
	}
	text := strings.TrimSpace(string(body))
	return &apierrors.StatusError{ErrStatus: metav1.Status{
		Status: metav1.StatusFailure, Code: int32(code), Reason: reasons[code], Message: fmt.Sprintf("%s: %.200s", http.StatusText(code), text),
	}}
}

var reasons = map[int]metav1.StatusReason{
	http.StatusUnauthorized: metav1.StatusReasonUnauthorized,
	http.StatusForbidden:    metav1.StatusReasonForbidden,
	http.StatusNotFound:     metav1.StatusReasonNotFound,
}
