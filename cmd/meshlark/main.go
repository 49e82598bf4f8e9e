// Meshlark is a shell and a script runner for debugging Envoy meshes.
package main

import (
	"context"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"

	"github.com/meshlark/meshlark/cmd/meshlark/internal/cli"
)

// collectAt is how much the heap may grow, in percent of what is in use, before it is collected. Most of what a question allocates is answers on their way
// through: half of Go's own 100 takes a tenth less memory for ten proxies (make bench-live), for a tenth more processor time. GOGC overrides it.
const collectAt = 50

func main() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(collectAt)
	}
	// What Ctrl-C means depends on what is being done, which is known there.
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	context.AfterFunc(ctx, stop)
	os.Exit(cli.Run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr, os.Environ()))
}
