package kube_test

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/meshlark/meshlark/kube"
	"github.com/meshlark/meshlark/kube/kubetest"
)

func TestServer(t *testing.T) {
	s := kubetest.New(t)
	asked := make(chan http.Header, 1)
	s.Serve("/version", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked <- r.Header
		w.Header().Set("Date", "Thu, 01 Jan 2026 10:00:00 GMT")
		io.WriteString(w, `{"major":"1","minor":"34","gitVersion":"v1.34.1"}`)
	}))
	got, err := open(t, s).Server(t.Context())
	want := kube.Server{Version: "v1.34.1", Now: time.Date(2026, 1, 1, 10, 0, 0, 0, time.UTC)}
	if err != nil || got != want {
		t.Errorf("Server: %+v, %v, want %+v", got, err, want)
	}
	if h := (<-asked).Get("Authorization"); h != "Bearer secret" {
		t.Errorf("asked with %q, want the user's credentials", h)
	}
}

func TestServerErrors(t *testing.T) {
	for name, test := range map[string]struct {
		set     func(*kubetest.Server)
		problem kube.Problem
		want    string
	}{
		"expired": {func(s *kubetest.Server) {
			s.Refuse(func(*http.Request) *metav1.Status {
				return &metav1.Status{Status: "Failure", Code: 401, Reason: metav1.StatusReasonUnauthorized, Message: "Unauthorized"}
			})
		}, kube.Unauthorized, "does not accept the credentials of user tester; they may have expired"},
		"forbidden": {func(s *kubetest.Server) {
			s.Refuse(func(*http.Request) *metav1.Status { return kubetest.Forbidden("no") })
		}, kube.Forbidden, "forbidden: no"},
		"sign in page": {func(s *kubetest.Server) {
			s.Serve("/version", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "<html>Sign in</html>") }))
		}, kube.Unreachable, "is it really a Kubernetes API server"},
		"other service": {func(s *kubetest.Server) { s.ServeJSON("/version", `{"version":"2"}`) }, kube.Unreachable, "names no version"},
		"down":          {func(s *kubetest.Server) { s.Close() }, kube.Unreachable, "is the cluster up"},
	} {
		t.Run(name, func(t *testing.T) {
			s := kubetest.New(t)
			test.set(s)
			_, err := open(t, s).Server(t.Context())
			if !errors.Is(err, test.problem) || !strings.Contains(err.Error(), test.want) {
				t.Errorf("%v, want the problem %q and %q", err, test.problem, test.want)
			}
		})
	}
}
