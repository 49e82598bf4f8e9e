//go:build unix

package main

import (
	"bytes"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
)

// Signals end what is being done with the status of an interrupt: a script that
// computes, and one that is still to be read.
func TestSignals(t *testing.T) {
	loop := filepath.Join(t.TempDir(), "loop.star")
	if err := os.WriteFile(loop, []byte("print(\"begun\")\nwhile True:\n    pass\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name   string
		args   []string
		begun  bool // it says so
		signal os.Signal
	}{
		{"computing", []string{"run", loop}, true, os.Interrupt},
		{"computing, told to terminate", []string{"run", loop}, true, syscall.SIGTERM},
		{"reading a script", []string{"--debug"}, false, os.Interrupt},
	} {
		t.Run(test.name, func(t *testing.T) {
			cmd := exec.Command("meshlark", test.args...)
			var stderr bytes.Buffer
			cmd.Stderr = &stderr
			stdin, err := cmd.StdinPipe()
			if err != nil {
				t.Fatal(err)
			}
			defer stdin.Close()
			stdout, err := cmd.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			defer cmd.Process.Kill()
			if test.begun {
				if _, err := stdout.Read(make([]byte, 1)); err != nil {
					t.Fatal(err)
				}
			} else if _, err := stdin.Write(make([]byte, 1<<17)); err != nil {
				t.Fatal(err) // more than a pipe holds: some of it was read
			}
			if err := cmd.Process.Signal(test.signal); err != nil {
				t.Fatal(err)
			}
			io.Copy(io.Discard, stdout)
			var exit *exec.ExitError
			if err := cmd.Wait(); !errors.As(err, &exit) || exit.ExitCode() != 130 {
				t.Errorf("%v, want exit status 130: %s", err, &stderr)
			}
		})
	}
}
