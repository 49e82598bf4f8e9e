package kube_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/meshlark/meshlark/kube"
	"github.com/meshlark/meshlark/kube/kubetest"
)

func TestPods(t *testing.T) {
	s := kubetest.New(t)
	always, yes := corev1.ContainerRestartPolicyAlways, true
	s.Add(corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: "default", Name: "web-5c9d-x", UID: "u1", Labels: map[string]string{"app": "web"},
			Annotations:     map[string]string{"a": "b", corev1.LastAppliedConfigAnnotation: "{}"},
			OwnerReferences: []metav1.OwnerReference{{APIVersion: "v1", Kind: "Other", Name: "o"}, {APIVersion: "apps/v1", Kind: "ReplicaSet", Name: "web-5c9d", Controller: &yes}},
		},
		Spec: corev1.PodSpec{
			NodeName: "n1", ServiceAccountName: "sa",
			InitContainers: []corev1.Container{
				{Name: "init"},
				{Name: "proxy", Image: "p:1", RestartPolicy: &always, Command: []string{"run"}, Args: []string{"-x"}, Env: []corev1.EnvVar{
					{Name: "A", Value: "1"}, {Name: "B", ValueFrom: &corev1.EnvVarSource{}},
				}},
			},
			Containers: []corev1.Container{{Name: "app", Image: "a:1", Args: []string{"--password=x"}, Env: []corev1.EnvVar{{Name: "PASSWORD", Value: "x"}}}},
		},
		Status: corev1.PodStatus{
			Phase: corev1.PodRunning, PodIP: "10.0.0.1", PodIPs: []corev1.PodIP{{IP: "10.0.0.1"}, {IP: "fd00::1"}},
			Conditions: []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}},
		},
	})
	done := pod("default", "job-1")
	done.Status.Phase = corev1.PodSucceeded
	s.Add(done, pod("other", "web-2"))
	c := open(t, s)

	got, err := c.Pods(t.Context(), kube.PodQuery{Labels: "app=web", Containers: []string{"proxy"}})
	if err != nil {
		t.Fatal(err)
	}
	want := []kube.Pod{{
		Name: "web-5c9d-x", Namespace: "default", UID: "u1", IP: "10.0.0.1", IPs: []string{"10.0.0.1", "fd00::1"}, Node: "n1", ServiceAccount: "sa",
		Phase: "Running", Ready: true, Labels: map[string]string{"app": "web"}, Annotations: map[string]string{"a": "b"},
		Owner: kube.Owner{APIVersion: "apps/v1", Kind: "ReplicaSet", Name: "web-5c9d"},
		Containers: []kube.Container{
			{Name: "proxy", Image: "p:1", Init: true, Args: []string{"run", "-x"}, Env: map[string]string{"A": "1"}},
			{Name: "app", Image: "a:1"},
		},
	}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("pods (-want +got):\n%s", diff)
	}
	for _, tt := range []struct {
		q    kube.PodQuery
		want string
	}{
		{kube.PodQuery{}, "web-5c9d-x web-2"},
		{kube.PodQuery{Ended: true}, "web-5c9d-x job-1 web-2"},
		{kube.PodQuery{Namespace: "other"}, "web-2"},
		{kube.PodQuery{Namespace: "none"}, ""},
	} {
		pods, err := c.Pods(t.Context(), tt.q)
		if got := names(pods); err != nil || got != tt.want {
			t.Errorf("%+v: %q, %v, want %q", tt.q, got, err, tt.want)
		}
	}
}

func names(pods []kube.Pod) string {
	var list []string
	for _, p := range pods {
		list = append(list, p.Name)
	}
	return strings.Join(list, " ")
}

func TestPodPages(t *testing.T) {
	for _, expire := range []bool{false, true} {
		t.Run(fmt.Sprintf("expire=%v", expire), func(t *testing.T) {
			s := kubetest.New(t)
			const n = 1203
			for i := range n {
				s.Add(pod("default", fmt.Sprintf("p%04d", i)))
			}
			if expire {
				s.Refuse(func(r *http.Request) *metav1.Status {
					if r.URL.Query().Get("continue") == "1000" {
						return &metav1.Status{Status: "Failure", Code: 410, Reason: metav1.StatusReasonExpired, Message: "too old"}
					}
					return nil
				})
			}
			pods, err := open(t, s).Pods(t.Context(), kube.PodQuery{})
			if err != nil || len(pods) != n || pods[n-1].Name != "p1202" {
				t.Errorf("%d pods, %v, want %d", len(pods), err, n)
			}
			want := 3
			if expire {
				want = 4
			}
			if got := len(s.Requests()); got != want {
				t.Errorf("%d requests, want %d: %q", got, want, s.Requests())
			}
		})
	}
}

func TestAPIErrors(t *testing.T) {
	status := func(code int32, reason metav1.StatusReason, message string) func(*kubetest.Server) {
		return func(s *kubetest.Server) {
			s.Refuse(func(*http.Request) *metav1.Status {
				return &metav1.Status{Status: "Failure", Code: code, Reason: reason, Message: message}
			})
		}
	}
	tests := []struct {
		name    string
		prepare func(*kubetest.Server)
		problem kube.Problem
		want    string
	}{
		{"forbidden", status(403, metav1.StatusReasonForbidden, `pods is forbidden: User "tester" cannot list`), kube.Forbidden,
			`list the pods of all namespaces in context test (URL): forbidden: User "tester" cannot list; ask for that permission (the verb list on pods in all namespaces), name one namespace with -n, or choose another --user`},
		{"expired", status(401, metav1.StatusReasonUnauthorized, "Unauthorized"), kube.Unauthorized,
			"the API server does not accept the credentials of user tester; they may have expired: log in again"},
		{"nobody", status(403, metav1.StatusReasonForbidden, `pods is forbidden: User "system:anonymous" cannot list`), kube.Unauthorized,
			"the API server was told nothing of who asks: the kubeconfig has no credentials for user tester, or none that are valid; log in"},
		{"no API server", func(s *kubetest.Server) { s.Serve("/api/v1/pods", http.NotFoundHandler()) }, kube.NotFound, "is it really a Kubernetes API server"},
		{"broken", status(500, metav1.StatusReasonInternalError, "etcd is down"), kube.Other, "etcd is down"},
		{"down", func(s *kubetest.Server) { s.Close() }, kube.Unreachable, "connection refused; is the cluster up"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := kubetest.New(t)
			tt.prepare(s)
			_, err := open(t, s).Pods(t.Context(), kube.PodQuery{})
			if err == nil {
				t.Fatal("no error")
			}
			if got := strings.ReplaceAll(err.Error(), s.URL, "URL"); !errors.Is(err, tt.problem) || !strings.Contains(got, tt.want) {
				t.Errorf("error %q, want %s: %q", got, tt.problem, tt.want)
			}
		})
	}
}

func TestWrongProtocol(t *testing.T) {
	load := func(server string) *kube.Cluster {
		file := write(t, t.TempDir()+"/c", strings.ReplaceAll(twoContexts, "https://one.example.com:6443", server))
		config, err := kube.Load(kube.Options{Kubeconfig: file})
		if err != nil {
			t.Fatal(err)
		}
		c, err := kube.New(config)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	plain := httptest.NewServer(http.NotFoundHandler())
	defer plain.Close()
	secure := httptest.NewUnstartedServer(http.NotFoundHandler())
	secure.Config.ErrorLog = log.New(io.Discard, "", 0) // it says that the client hangs up, which is the point
	secure.StartTLS()
	defer secure.Close()
	for _, tt := range []struct{ server, want string }{
		{strings.Replace(plain.URL, "http:", "https:", 1), "speaks no TLS"},
		{secure.URL, "certificate-authority-data"},
	} {
		_, err := load(tt.server).Pods(t.Context(), kube.PodQuery{})
		if !errors.Is(err, kube.Unreachable) || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("error %v, want unreachable: %q", err, tt.want)
		}
	}
}

func TestCanceled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := open(t, kubetest.New(t)).Pods(ctx, kube.PodQuery{}); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want %v", err, context.Canceled)
	}
}

func TestWorkloads(t *testing.T) {
	s := kubetest.New(t)
	s.ServeJSON("/apis/apps/v1/namespaces/default/replicasets", `{"items":[
		{"metadata":{"name":"roll-6b","ownerReferences":[{"apiVersion":"argoproj.io/v1alpha1","kind":"Rollout","name":"roll","controller":true}]}},
		{"metadata":{"name":"alone"}}]}`)
	owned := func(namespace, kind, name, hash string) kube.Pod {
		p := kube.Pod{Name: name + "-x", Namespace: namespace, Owner: kube.Owner{Kind: kind, Name: name}}
		if hash != "" {
			p.Labels = map[string]string{"pod-template-hash": hash}
		}
		return p
	}
	pods := []kube.Pod{
		{Name: "bare", Namespace: "default"},
		owned("default", "ReplicaSet", "web-5c9d", "5c9d"),
		owned("default", "StatefulSet", "db", ""),
		owned("default", "DaemonSet", "agent", ""),
		owned("default", "Job", "backup-29012345", ""),
		owned("default", "Job", "once", ""),
		owned("default", "ReplicaSet", "roll-6b", ""),
		owned("default", "ReplicaSet", "alone", ""),
		owned("secret", "ReplicaSet", "unseen-1", ""),
		owned("default", "ReplicaSet", "odd", "zz"),
	}
	want := []kube.Workload{
		{"Pod", "bare"}, {"Deployment", "web"}, {"StatefulSet", "db"}, {"DaemonSet", "agent"}, {"CronJob", "backup"}, {"Job", "once"},
		{"Rollout", "roll"}, {"ReplicaSet", "alone"}, {"ReplicaSet", "unseen-1"}, {"ReplicaSet", "odd"},
	}
	if diff := cmp.Diff(want, open(t, s).Workloads(t.Context(), pods)); diff != "" {
		t.Errorf("workloads (-want +got):\n%s", diff)
	}
	if got := len(s.Requests()); got != 2 {
		t.Errorf("%d requests, want one for each namespace in doubt: %q", got, s.Requests())
	}
}
