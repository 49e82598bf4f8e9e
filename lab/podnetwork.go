package lab

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"

	"github.com/meshlark/meshlark/lab/carrier"
)

// A network is what the pods of a lab with traffic are in: each has one of its own, with all addresses of pods and services, and connections are carried
// between them. See cmd/podnet.
type network struct {
	program string // podnet
	sockets string // folder of the sockets between the networks

	mu        sync.Mutex
	listeners []net.Listener
}

// CanCarry says why this system has no networks of pods; nil if it has.
func CanCarry() error {
	attributes := ownNetwork()
	if attributes == nil {
		return fmt.Errorf("make a network for a pod: that needs Linux")
	}
	cmd := exec.Command("true")
	cmd.SysProcAttr = attributes
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("make a network for a pod: %w: %s; it needs namespaces that users may make (sysctl kernel.unprivileged_userns_clone, kernel.apparmor_restrict_unprivileged_userns)", err, out)
	}
	return nil
}

func newNetwork(ctx context.Context, dir string) (*network, error) {
	if err := CanCarry(); err != nil {
		return nil, err
	}
	here, err := goOutput(ctx, "", "list", "-f", "{{.Dir}}", "github.com/meshlark/meshlark/lab")
	if err != nil {
		return nil, fmt.Errorf("find the lab's modules: %w", err)
	}
	n := &network{program: filepath.Join(dir, "podnet"), sockets: filepath.Join(dir, "net")}
	if _, err := goOutput(ctx, here, "build", "-o", n.program, "./cmd/podnet"); err != nil {
		return nil, err
	}
	if err := os.Mkdir(n.sockets, 0o700); err != nil {
		return nil, fmt.Errorf("make the folder of the sockets between networks: %w", err)
	}
	// What the Envoys ask istiods for leaves their networks.
	host, err := net.Listen("unix", filepath.Join(n.sockets, "host.sock"))
	if err != nil {
		return nil, fmt.Errorf("carry connections to this machine: %w", err)
	}
	n.listeners = append(n.listeners, host)
	go carrier.Serve(host, func(r carrier.Request) (net.Conn, error) { return net.Dial("tcp", r.To) })
	return n, nil
}

func (n *network) close() {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, l := range n.listeners {
		l.Close()
	}
}

// start starts the program of a pod in a network of its own. Its ports for those who look at it from outside are on this machine, at the address of the pod.
func (n *network) start(s *spawner, p *Pod, dir string, program []string) (*process, error) {
	args := []string{"-ip", p.IP, "-address", p.Address, "-sockets", n.sockets}
	ports := []int{p.AdminPort}
	if p.kind == "sidecar" {
		args = append(args, "-app", strconv.Itoa(p.container.ports[0]))
	} else {
		ports = append(ports, gatewayPort, gatewaySecurePort)
	}
	process, err := s.startWith(p.Name, dir, nil, ownNetwork(), n.program, append(append(args, "--"), program...)...)
	if err != nil {
		return nil, err
	}
	for _, port := range ports {
		to := net.JoinHostPort(p.Address, strconv.Itoa(port))
		l, err := net.Listen("tcp", to)
		if err != nil {
			return nil, fmt.Errorf("open port %d of %s to this machine: %w", port, p.ID(), err)
		}
		n.mu.Lock()
		n.listeners = append(n.listeners, l)
		n.mu.Unlock()
		go func() {
			for {
				c, err := l.Accept()
				if err != nil {
					return
				}
				go func() {
					far, err := n.dial(p, carrier.Request{To: to})
					if err != nil {
						c.Close()
						return
					}
					carrier.Join(c, far)
				}()
			}
		}()
	}
	return process, nil
}

// dial makes a connection in the network of a pod.
func (n *network) dial(p *Pod, r carrier.Request) (net.Conn, error) {
	return carrier.Dial(filepath.Join(n.sockets, p.IP+".sock"), r)
}
