package lab

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sync/atomic"
	"syscall"
	"time"
)

// A process is a program that the lab started.
type process struct {
	name string
	log  string // the file that its output goes to
	cmd  *exec.Cmd
	done chan struct{} // closed when it has ended

	paused atomic.Bool
}

// A spawner starts processes such that none outlives the lab, not even when the lab itself is killed.
type spawner struct {
	dir  string // where the logs are
	jobs chan func()
	done chan struct{}
}

func newSpawner(dir string) *spawner {
	s := &spawner{dir: dir, jobs: make(chan func()), done: make(chan struct{})}
	go func() {
		defer close(s.done)
		// The kernel kills the children of a thread with it, so they are all started by one that lives as long as the lab. It is never
		// unlocked: the thread ends with this goroutine.
		runtime.LockOSThread()
		for job := range s.jobs {
			job()
		}
	}()
	return s
}

// close ends the spawner and kills what it started and nobody stopped.
func (s *spawner) close() {
	close(s.jobs)
	<-s.done
}

// start runs a program in the folder dir, with its output added to a log file named after name, and only the given environment and PATH and
// HOME.
func (s *spawner) start(name, dir string, env []string, program string, args ...string) (*process, error) {
	return s.startWith(name, dir, env, attributes(), program, args...)
}

// startWith does so with attributes of its own.
func (s *spawner) startWith(name, dir string, env []string, attributes *syscall.SysProcAttr, program string, args ...string) (*process, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make the folder of %s: %w", name, err)
	}
	log, err := os.OpenFile(filepath.Join(s.dir, name+".log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("make the log of %s: %w", name, err)
	}
	defer log.Close()
	p := &process{name: name, log: log.Name(), cmd: exec.Command(program, args...), done: make(chan struct{})}
	p.cmd.Dir = dir
	p.cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + dir}, env...)
	p.cmd.Stdout, p.cmd.Stderr = log, log
	p.cmd.SysProcAttr = attributes
	started := make(chan error)
	s.jobs <- func() { started <- p.cmd.Start() }
	if err := <-started; err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	go func() {
		_ = p.cmd.Wait() // how it ended is for whoever waits for something it should have done
		close(p.done)
	}()
	return p, nil
}

func (p *process) signal(sig syscall.Signal) error {
	if err := p.cmd.Process.Signal(sig); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("send %v to %s: %w", sig, p.name, err)
	}
	return nil
}

// pause stops the process where it is; it keeps its connections and answers nothing.
func (p *process) pause() error {
	p.paused.Store(true)
	return p.signal(syscall.SIGSTOP)
}

func (p *process) resume() error {
	p.paused.Store(false)
	return p.signal(syscall.SIGCONT)
}

func (p *process) kill() error {
	err := p.signal(syscall.SIGKILL)
	<-p.done
	return err
}

// stop asks the process to end, and kills it when it has not after the grace period.
func (p *process) stop(grace time.Duration) error {
	if p.paused.Load() || grace == 0 {
		return p.kill()
	}
	if err := p.signal(syscall.SIGTERM); err != nil {
		return err
	}
	select {
	case <-p.done:
		return nil
	case <-time.After(grace):
		return p.kill()
	}
}

// ended is the error of a process that ended when it should not have; nil as long as it runs.
func (p *process) ended() error {
	select {
	case <-p.done:
		return fmt.Errorf("%s ended: %v; its log ends with:\n%s", p.name, p.cmd.ProcessState, tail(p.log))
	default:
		return nil
	}
}

// tail gives the end of a log.
func tail(file string) string {
	const enough = 2000
	text, err := os.ReadFile(file)
	if err != nil {
		return err.Error()
	}
	return string(text[max(0, len(text)-enough):])
}
