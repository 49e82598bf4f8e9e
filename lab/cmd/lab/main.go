// Lab brings the mesh of package lab up, says how to use it, and takes it down when it is interrupted.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"sort"
	"strings"
	"syscall"
	"time"

	"github.com/meshlark/meshlark/lab"
)

func main() {
	clients := flag.Int("clients", 0, "add `N` proxies that are connected to istiod but have no Envoy")
	envoys := flag.Int("envoys", 0, "add `N` Envoys")
	build := flag.Bool("build", false, "build the programs of the lab, and do no more")
	play := flag.String("scene", "", "play `SCENES`, separated by commas: "+strings.Join(names(), ", "))
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	var err error
	if *build {
		_, err = lab.BuildPrograms(ctx, os.Stderr)
	} else {
		err = run(ctx, *clients, *envoys, *play)
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

func run(ctx context.Context, clients, envoys int, play string) (err error) {
	l, err := lab.Start(ctx, lab.Options{Log: os.Stderr})
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
	<-ctx.Done()
	fmt.Fprintln(os.Stderr, "taking the lab down")
	return nil
}

// describe says how to use the lab.
func describe(l *lab.Lab) {
	fmt.Printf("\nexport KUBECONFIG=%s    # contexts lab and lab-reader\n", l.Kubeconfig)
	fmt.Printf("istioctl: %s\naudit log: %s\nother logs: %s\n\n", l.Istioctl, l.AuditLog, l.Dir())
	for _, i := range l.Istiods() {
		fmt.Printf("meshlark -s istiod+%s    # %s, revision %s; xDS on %s, with TLS on %s\n", i.Debug, i.Name, i.Revision, i.GRPC, i.Secure)
	}
	for _, e := range l.Envoys() {
		fmt.Printf("meshlark -s %s    # %s\n", e.Admin, e.ID())
	}
	fmt.Print("\nCtrl-C takes it down.\n")
}
