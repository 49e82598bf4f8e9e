package kube_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/meshlark/meshlark/kube"
)

// A program for the credentials that fails is run once for requests that are made together, and all of them tell why.
func TestLoginFailsOnce(t *testing.T) {
	dir := t.TempDir()
	runs := filepath.Join(dir, "runs")
	program := filepath.Join(dir, "login")
	if err := os.WriteFile(program, []byte("#!/bin/sh\necho run >> '"+runs+"'\nsleep 0.1\necho no ticket >&2\nexit 1\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	kubeconfig := filepath.Join(dir, "config")
	if err := os.WriteFile(kubeconfig, []byte(fmt.Sprintf(`{"apiVersion":"v1","kind":"Config","current-context":"c",
"clusters":[{"name":"c","cluster":{"server":"https://127.0.0.1:1"}}],"contexts":[{"name":"c","context":{"cluster":"c","user":"u"}}],
"users":[{"name":"u","user":{"exec":{"apiVersion":"client.authentication.k8s.io/v1","command":%q,"interactiveMode":"Never"}}}]}`, program)), 0o600); err != nil {
		t.Fatal(err)
	}
	config, err := kube.Load(kube.Options{Kubeconfig: kubeconfig})
	if err != nil {
		t.Fatal(err)
	}
	cluster, err := kube.New(config)
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for range 5 {
		wg.Go(func() {
			_, err := cluster.Pods(t.Context(), kube.PodQuery{})
			if !errors.Is(err, kube.Unauthorized) || !strings.Contains(err.Error(), "run it by hand") {
				t.Errorf("error %v, want that the login failed", err)
			}
		})
	}
	wg.Wait()
	ran, err := os.ReadFile(runs)
	if n := strings.Count(string(ran), "run"); err != nil || n != 1 {
		t.Errorf("the program was run %d times (%v), want once", n, err)
	}
}
