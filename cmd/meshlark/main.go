// Meshlark is a shell and a script runner for debugging Envoy meshes.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/meshlark/meshlark/cmd/meshlark/internal/cli"
)

func main() {
	// What Ctrl-C means depends on what is being done, which is known there.
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	context.AfterFunc(ctx, stop)
	os.Exit(cli.Run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr, os.Environ()))
}
