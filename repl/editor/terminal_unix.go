//go:build unix

package editor

import (
	"io"
	"os"
	"os/signal"
	"syscall"

	"golang.org/x/sys/unix"
)

// keyboard gives the bytes that a terminal sends.
func keyboard(in *os.File) io.Reader { return in }

// watchSize calls fn whenever the terminal's size changes, until stop is called.
func watchSize(fn func()) (stop func()) {
	changed := make(chan os.Signal, 1)
	done := make(chan struct{})
	signal.Notify(changed, syscall.SIGWINCH)
	go func() {
		for {
			select {
			case <-changed:
				fn()
			case <-done:
				return
			}
		}
	}()
	return func() {
		signal.Stop(changed)
		close(done)
	}
}

// suspend stops the process as Ctrl-Z does elsewhere. It signals this process
// alone, and only when a shell with job control started it as a job: nobody
// else would wake it up again. The editor is locked.
func (t *Terminal) suspend() {
	session, err := unix.Getsid(0)
	if err != nil || unix.Getpgrp() != os.Getpid() || session == os.Getpid() {
		t.write("\a")
		return
	}
	continued := make(chan os.Signal, 1)
	signal.Notify(continued, syscall.SIGCONT)
	defer signal.Stop(continued)
	t.write(t.screen.leave() + pasteOff)
	t.makeCooked()
	if err := syscall.Kill(os.Getpid(), syscall.SIGTSTP); err == nil {
		<-continued
	}
	t.makeRaw()
	t.write(pasteOn)
}
