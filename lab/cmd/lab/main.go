// Lab brings the mesh of package lab up, says how to use it, and takes it down when it is interrupted.
package main

import (
	"context"
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/signal"
	"slices"
	"sort"
	"strings"
	"syscall"
	"time"

	"github.com/meshlark/meshlark/lab"
)

func main() {
	clients := flag.Int("clients", 0, "add `N` proxies that are connected to istiod but have no Envoy")
	envoys := flag.Int("envoys", 0, "add `N` Envoys")
	traffic := flag.Bool("traffic", false, "give each pod an application and a network of its own, so that requests go through the Envoys; where to send them it prints")
	build := flag.Bool("build", false, "build the programs of the lab, and do no more")
	play := flag.String("scene", "", "play `SCENES`, separated by commas: "+strings.Join(names(), ", "))
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	var err error
	if *build {
		_, err = lab.BuildPrograms(ctx, os.Stderr)
	} else {
		err = run(ctx, *clients, *envoys, *play, *traffic)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "lab:", err)
		os.Exit(1)
	}
}

// scenes are what --scene can name.
var scenes = map[string]func(*lab.Lab, context.Context) (lab.Undo, error){
	"stale":           func(l *lab.Lab, ctx context.Context) (lab.Undo, error) { return l.Stale(ctx, "reviews-v1") },
	"nack":            func(l *lab.Lab, ctx context.Context) (lab.Undo, error) { return l.Nack(ctx, "details-v1") },
	"not-sent":        (*lab.Lab).NotSent,
	"never-connected": (*lab.Lab).NeverConnected,
	"warming-secret":  (*lab.Lab).WarmingSecret,
	"ejected":         (*lab.Lab).Ejected,
}

func names() []string {
	var out []string
	for name := range scenes {
		out = append(out, name)
	}
	sort.Strings(out)
	return out
}

func run(ctx context.Context, clients, envoys int, play string, traffic bool) (err error) {
	l, err := lab.Start(ctx, lab.Options{Log: os.Stderr, Traffic: traffic})
	if err != nil {
		return err
	}
	defer func() {
		if closed := l.Close(); err == nil {
			err = closed
		}
	}()
	if err := l.AddEnvoys(ctx, envoys); err != nil {
		return err
	}
	if err := l.AddClients(ctx, clients); err != nil {
		return err
	}
	if play != "" {
		for name := range strings.SplitSeq(play, ",") {
			scene, ok := scenes[name]
			if !ok {
				return fmt.Errorf("no scene %q; there are %s", name, strings.Join(names(), ", "))
			}
			start := time.Now()
			if _, err := scene(l, ctx); err != nil {
				return err
			}
			fmt.Fprintf(os.Stderr, "scene %s is on after %.1f s\n", name, time.Since(start).Seconds())
		}
	}
	describe(l)
	if traffic {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return err
		}
		server := &http.Server{Handler: calls(l)}
		go server.Serve(listener)
		defer server.Close()
		fmt.Printf("curl 'http://%s/productpage-v1?url=http://reviews:9080/reviews/7' -H 'end-user: jason'\n", listener.Addr())
	}
	fmt.Print("\nCtrl-C takes it down.\n")
	<-ctx.Done()
	fmt.Fprintln(os.Stderr, "taking the lab down")
	return nil
}

// describe says how to use the lab.
func describe(l *lab.Lab) {
	fmt.Printf("\nexport KUBECONFIG=%s    # contexts lab and lab-reader\n", l.Kubeconfig)
	fmt.Printf("istioctl: %s\naudit log: %s\nother logs: %s\n\n", l.Istioctl, l.AuditLog, l.Dir())
	for _, i := range l.Istiods() {
		fmt.Printf("meshlark -s istiod+%s    # %s, process %d, revision %s; xDS on %s, with TLS on %s\n", i.Debug, i.Name, i.PID(), i.Revision, i.GRPC, i.Secure)
	}
	for _, e := range l.Envoys() {
		fmt.Printf("meshlark -s %s    # %s, process %d\n", e.Admin, e.ID(), e.PID())
	}
}

// calls sends what it is asked to through the mesh: the path is the workload from which, or /to/WORKLOAD for plaintext past any sidecar; the parameter url says to
// where, and method and headers are those of the request. It answers with what became of it.
func calls(l *lab.Lab) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		call := lab.Call{From: strings.Trim(r.URL.Path, "/"), Method: r.Method, URL: r.FormValue("url"), Header: r.Header}
		if to, ok := strings.CutPrefix(call.From, "to/"); ok {
			call.From, call.To = "", to
		}
		var workloads []string
		for _, e := range l.Envoys() {
			workloads = append(workloads, e.Workload)
		}
		if !slices.Contains(workloads, call.From+call.To) {
			http.Error(w, fmt.Sprintf("no workload %q; there are %s", call.From+call.To, strings.Join(workloads, ", ")), http.StatusNotFound)
			return
		}
		reply, err := l.Request(r.Context(), call)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		fmt.Fprintf(w, "status %d\n", reply.Status)
		if reply.Err != nil {
			fmt.Fprintf(w, "no answer: %v\n", reply.Err)
		}
		for _, h := range reply.Hops {
			fmt.Fprintf(w, "%s: %s, flags %s, %s; cluster %s, upstream %s, route %s\n", h.Workload, h.Status, h.Flags, h.Details, h.Cluster, h.Upstream, h.Route)
		}
		w.Write(reply.Body)
	})
}
