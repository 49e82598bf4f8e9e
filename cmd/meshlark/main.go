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
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	// The first interrupt asks the work to end, a second one ends the process.
	context.AfterFunc(ctx, stop)
	os.Exit(cli.Run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr, os.Environ()))
}
