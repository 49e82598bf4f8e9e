//go:build linux

// Podnet gives an Envoy of the lab the network of a pod. It is started in a network namespace of its own and becomes the Envoy, having left a process
// beside it that carries connections into this network and out of it.
//
// Connections with the mark 1 are those of the application, and go to the Envoy's port for outbound connections, whatever they are for; those with the mark 2 come
// from elsewhere, and go to its port for inbound ones: as in a pod whose connections istio-init has redirected. Others are those of the Envoy itself. Where they
// leave the pod they are carried to the network of the other pod, or to this machine's.
//
//	podnet -ip 10.244.0.11 -address 127.64.1.11 -sockets DIR -app 9080 ENVOY ARG...
package main

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"syscall"
)

// A pod is what the two processes have to know of it.
type pod struct {
	ip      string // as other pods know it
	address string // as this machine knows it
	sockets string // folder of the sockets, IP.sock for each pod and host.sock for this machine
	app     int    // port of the application; 0 for none
}

const (
	outboundMark = 1
	inboundMark  = 2
	outboundPort = 15001 // virtualOutbound of Istio's sidecars
	inboundPort  = 15006 // virtualInbound
	carrierPort  = 19999
)

func init() {
	// The process beside the Envoy ends with the thread that started it, which has to be the one that becomes the Envoy.
	runtime.LockOSThread()
}

func main() {
	var p pod
	flag.StringVar(&p.ip, "ip", "", "the `IP` of the pod")
	flag.StringVar(&p.address, "address", "", "the loopback `ADDRESS` of the pod on this machine")
	flag.StringVar(&p.sockets, "sockets", "", "the folder `DIR` of the sockets between the networks")
	flag.IntVar(&p.app, "app", 0, "answer as the application at `PORT`")
	beside := flag.Bool("beside", false, "be the process beside the Envoy")
	flag.Parse()
	var err error
	if *beside {
		err = p.carry()
	} else {
		err = p.become(flag.Args())
	}
	fmt.Fprintln(os.Stderr, "podnet:", err)
	os.Exit(1)
}

// become sets the network up, starts the process beside and turns into the program. It returns only if something of it fails.
func (p *pod) become(program []string) error {
	if err := p.setUp(); err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	ready, told, err := os.Pipe()
	if err != nil {
		return err
	}
	cmd := exec.Command(self, "-beside", "-ip", p.ip, "-address", p.address, "-sockets", p.sockets, "-app", strconv.Itoa(p.app))
	cmd.Stderr = os.Stderr
	cmd.ExtraFiles = []*os.File{told}
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start the process that carries connections: %w", err)
	}
	told.Close()
	if n, _ := ready.Read(make([]byte, 1)); n == 0 {
		return fmt.Errorf("the process that carries connections has ended")
	}
	ready.Close()
	if err := syscall.Exec(program[0], program, os.Environ()); err != nil {
		return fmt.Errorf("become %s: %w", strings.Join(program, " "), err)
	}
	return nil
}
