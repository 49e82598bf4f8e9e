package main

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/meshlark/meshlark/internal/replay"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"meshlark": main})
}

// TestScripts runs the program as a user does. Beside testscript's own
// commands, scripts have:
//
//	status N PROGRAM ARGS...  run a program that must end with exit status N
//	faulty MODE VAR           start a server that misbehaves; its URL is in $VAR
//	kubeconfig FILE CONTEXT=URL...
//	                          write a kubeconfig, the first context the current
//	                          one
//	for-each PATTERN FLAGS... run diff, check, run and doctor on a cluster that
//	                          cannot be read; each must say so
//	istiod VAR                start a server that answers as the recorded istiod
//	                          did; its URL is in $VAR
//
// and the folder dumps of config dumps, made of the recordings of an istiod.
func TestScripts(t *testing.T) {
	recorded, err := filepath.Abs("../../mesh/source/istiod/testdata/recorded")
	if err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		UpdateScripts:       os.Getenv("UPDATE_SCRIPTS") != "",
		Setup: func(env *testscript.Env) error {
			dumps := filepath.Join(env.WorkDir, "dumps")
			if err := os.Mkdir(dumps, 0o755); err != nil {
				return err
			}
			for short, full := range map[string]string{
				"productpage.json": "config_dump-productpage-v1-54bb874995-h4wzq.default.json",
				"details.json":     "config_dump-details-v1-79dfbd6fff-t7c5k.default.json",
				"reviews.json":     "config_dump-reviews-v1-598b896c9d-9bxvm.default.json",
			} {
				text, err := os.ReadFile(filepath.Join(recorded, full))
				if err != nil {
					return err
				}
				if err := os.WriteFile(filepath.Join(dumps, short), text, 0o644); err != nil {
					return err
				}
			}
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"status":     expectStatus,
			"faulty":     startFaulty,
			"kubeconfig": writeKubeconfig,
			"for-each":   expectUnreadable,
			"istiod": func(ts *testscript.TestScript, neg bool, args []string) {
				if neg || len(args) != 1 {
					ts.Fatalf("usage: istiod VAR")
				}
				serve(ts, args[0], replay.NewIstiod(recorded))
			},
		},
	})
}

// writeKubeconfig writes a kubeconfig of API servers.
func writeKubeconfig(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: kubeconfig FILE CONTEXT=URL...")
	}
	first, _, _ := strings.Cut(args[1], "=")
	text := "apiVersion: v1\nkind: Config\ncurrent-context: " + first + "\nusers: [{name: dev, user: {token: secret}}]\n"
	var clusters, contexts string
	for _, arg := range args[1:] {
		name, url, ok := strings.Cut(arg, "=")
		if !ok {
			ts.Fatalf("%q: want CONTEXT=URL", arg)
		}
		clusters += fmt.Sprintf("- {name: %s, cluster: {server: %q}}\n", name, url)
		contexts += fmt.Sprintf("- {name: %s, context: {cluster: %s, user: dev, namespace: shop}}\n", name, name)
	}
	text += "clusters:\n" + clusters + "contexts:\n" + contexts
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(text), 0o600))
}

// expectStatus runs a program whose exit status is part of what is tested.
func expectStatus(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: status N PROGRAM ARGS...")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	err = ts.Exec(args[1], args[2:]...)
	got := 0
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit):
		got = exit.ExitCode()
	case err != nil:
		ts.Fatalf("%s: %v", args[1], err)
	}
	if got != want {
		ts.Fatalf("exit status %d, want %d", got, want)
	}
}

// expectUnreadable runs the commands that need a mesh where there is none to read.
func expectUnreadable(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 1 {
		ts.Fatalf("usage: for-each PATTERN FLAGS...")
	}
	want := regexp.MustCompile(args[0])
	for _, command := range [][]string{{"diff", "web"}, {"check", "stale"}, {"run", "stale"}, {"doctor"}} {
		line := slices.Concat([]string{"4", "meshlark", command[0]}, args[1:], command[1:])
		expectStatus(ts, false, line)
		told := ts.ReadFile("stderr")
		if command[0] == "doctor" { // which says in one place what is wrong, in another what to do
			told = ts.ReadFile("stdout")
			if !strings.Contains(told, "leaves open: everything") {
				ts.Fatalf("doctor does not say that nothing can be asked")
			}
			continue
		}
		if !want.MatchString(told) || strings.Contains(told, "Traceback") {
			ts.Fatalf("meshlark %s does not say %s", strings.Join(line[2:], " "), want)
		}
	}
}

// serve starts a server until the end of the script.
func serve(ts *testscript.TestScript, variable string, h http.Handler) {
	s := httptest.NewServer(h)
	// Requests that hang end with their connections.
	ts.Defer(func() { s.CloseClientConnections(); s.Close() })
	ts.Setenv(variable, s.URL)
}

// startFaulty starts a server that fails in one of the ways that servers do.
func startFaulty(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: faulty refuse|hang|close|cut|401|403|anonymous|503|html|empty VAR")
	}
	mode, variable := args[0], args[1]
	if mode == "refuse" {
		// A port that was just given back refuses connections.
		l, err := net.Listen("tcp", "127.0.0.1:0")
		ts.Check(err)
		ts.Setenv(variable, "http://"+l.Addr().String())
		ts.Check(l.Close())
		return
	}
	serve(ts, variable, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch mode {
		case "hang":
			<-r.Context().Done()
		case "close":
			panic(http.ErrAbortHandler)
		case "cut":
			w.Header().Set("Content-Length", "1000")
			fmt.Fprint(w, `{"version": "ab`)
			w.(http.Flusher).Flush()
			panic(http.ErrAbortHandler)
		case "401":
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(http.StatusUnauthorized)
			fmt.Fprint(w, `{"kind":"Status","apiVersion":"v1","status":"Failure","message":"Unauthorized","reason":"Unauthorized","code":401}`)
		case "403":
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(http.StatusForbidden)
			fmt.Fprint(w, `{"kind":"Status","apiVersion":"v1","status":"Failure","message":"pods is forbidden: User \"dev\" cannot list resource \"pods\"","reason":"Forbidden","code":403}`)
		case "anonymous":
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(http.StatusForbidden)
			fmt.Fprint(w, `{"kind":"Status","apiVersion":"v1","status":"Failure","message":"pods is forbidden: User \"system:anonymous\" cannot list resource \"pods\"","reason":"Forbidden","code":403}`)
		case "503":
			http.Error(w, "upstream connect error or disconnect/reset before headers", http.StatusServiceUnavailable)
		case "html":
			w.Header().Set("Content-Type", "text/html")
			fmt.Fprint(w, "<!DOCTYPE html>\n<title>Sign in</title>")
		case "empty":
		default:
			panic("unknown mode " + mode)
		}
	}))
}
