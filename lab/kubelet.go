package lab

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"

	"k8s.io/cri-streaming/pkg/streaming/portforward"
)

// A Tunnel is one stream of a port-forward, from the API server to the process that stands for a pod.
type Tunnel struct {
	Pod      string // "name.namespace"
	Port     int
	Opened   time.Time
	Open     bool
	Sent     int64 // bytes that went to the pod
	Received int64 // bytes that came from it
	// Exchanges are the HTTP requests that went to the pod, and their answers; none of what is not HTTP/1.
	Exchanges []Exchange
}

// A Fault is what goes wrong with the tunnels to a pod.
type Fault struct {
	// After is how many bytes from the pod pass before it happens.
	After int64
	// Hang has the tunnel stay open and silent, instead of breaking.
	Hang bool
}

// A Kubelet stands in for the kubelet of the lab's node: it serves port-forwards to the processes that stand for its pods, and keeps account of
// them. All of its methods may be called at any time.
type Kubelet struct {
	server *http.Server

	mu        sync.Mutex
	addresses map[string]string // of the processes, by "name.namespace"
	faults    map[string]Fault
	tunnels   []*tunnel
}

// tunnel is a Tunnel while it changes.
type tunnel struct {
	Tunnel
	cut       func()
	forgotten int // exchanges at the beginning
}

func startKubelet(l net.Listener, ca *authority) (*Kubelet, error) {
	host, _, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		return nil, err
	}
	chain, key, err := ca.server(host)
	if err != nil {
		return nil, err
	}
	pair, err := tls.X509KeyPair(chain, key)
	if err != nil {
		return nil, fmt.Errorf("serve as the kubelet: %w", err)
	}
	k := &Kubelet{addresses: map[string]string{}, faults: map[string]Fault{}}
	mux := http.NewServeMux()
	mux.HandleFunc("/portForward/{namespace}/{pod}", k.portForward)
	mux.HandleFunc("/portForward/{namespace}/{pod}/{uid}", k.portForward)
	k.server = &http.Server{Handler: mux, TLSConfig: &tls.Config{Certificates: []tls.Certificate{pair}}}
	go k.server.ServeTLS(l, "", "")
	return k, nil
}

func (k *Kubelet) close() error {
	k.Cut("")
	return k.server.Close()
}

// add makes the pod known. address is that of its process.
func (k *Kubelet) add(pod, address string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.addresses[pod] = address
}

func (k *Kubelet) remove(pod string) {
	k.Cut(pod)
	k.mu.Lock()
	defer k.mu.Unlock()
	delete(k.addresses, pod)
}

// Tunnels are all tunnels since the start of the lab or the last Forget, as they are now.
func (k *Kubelet) Tunnels() []Tunnel {
	k.mu.Lock()
	defer k.mu.Unlock()
	var out []Tunnel
	for _, t := range k.tunnels {
		now := t.Tunnel
		now.Exchanges = slices.Clone(t.Exchanges[t.forgotten:])
		out = append(out, now)
	}
	return out
}

// Forget drops the account of the tunnels that are closed, and of what is over in the others.
func (k *Kubelet) Forget() {
	k.mu.Lock()
	defer k.mu.Unlock()
	var open []*tunnel
	for _, t := range k.tunnels {
		if !t.Open {
			continue
		}
		open = append(open, t)
		t.Sent, t.Received = 0, 0
		for t.forgotten < len(t.Exchanges) && !t.Exchanges[t.forgotten].Ended.IsZero() {
			t.forgotten++
		}
	}
	k.tunnels = open
}

// Cut breaks the open tunnels to a pod, "name.namespace"; those to all pods if the name is empty.
func (k *Kubelet) Cut(pod string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, t := range k.tunnels {
		if t.Open && (pod == "" || pod == t.Pod) {
			t.cut()
		}
	}
}

// SetFault has the tunnels that are opened to a pod from now on fail; nil ends that.
func (k *Kubelet) SetFault(pod string, f *Fault) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if f == nil {
		delete(k.faults, pod)
		return
	}
	k.faults[pod] = *f
}

func (k *Kubelet) portForward(w http.ResponseWriter, r *http.Request) {
	opts, err := portforward.NewV4Options(r)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	pod := r.PathValue("pod") + "." + r.PathValue("namespace")
	portforward.ServePortForward(w, r, k, pod, r.PathValue("uid"), opts, time.Hour, 30*time.Second, []string{portforward.ProtocolV1Name})
}

// PortForward connects a stream with a port of a pod until either closes it. It is what the server of port-forwards calls for each.
func (k *Kubelet) PortForward(ctx context.Context, pod, _ string, port int32, stream io.ReadWriteCloser) error {
	k.mu.Lock()
	address, known := k.addresses[pod]
	fault, faulty := k.faults[pod]
	k.mu.Unlock()
	if !known {
		return fmt.Errorf("forward port %d: no process stands for pod %s", port, pod)
	}
	conn, err := net.DialTimeout("tcp", net.JoinHostPort(address, strconv.Itoa(int(port))), 10*time.Second)
	if err != nil {
		return fmt.Errorf("forward port %d of pod %s: %w", port, pod, err)
	}
	ctx, cut := context.WithCancel(ctx)
	defer cut()
	context.AfterFunc(ctx, func() {
		conn.Close()
		stream.Close()
	})
	t := &tunnel{Tunnel: Tunnel{Pod: pod, Port: int(port), Opened: time.Now(), Open: true}, cut: cut}
	k.mu.Lock()
	k.tunnels = append(k.tunnels, t)
	k.mu.Unlock()
	defer func() {
		k.mu.Lock()
		defer k.mu.Unlock()
		t.Open = false
		t.abandon(time.Now())
	}()

	asked, answered := k.follow(t)
	defer answered.end()
	go func() {
		defer asked.end()
		io.Copy(io.MultiWriter(asked, conn, counter{k, &t.Sent}), stream)
		conn.(*net.TCPConn).CloseWrite()
	}()
	answer := io.Writer(io.MultiWriter(answered, stream, counter{k, &t.Received}))
	if faulty {
		if _, err := io.CopyN(answer, conn, fault.After); err != nil {
			return nil
		}
		if fault.Hang {
			<-ctx.Done()
		}
		return nil
	}
	io.Copy(answer, conn)
	return nil
}

// counter counts the bytes written to it.
type counter struct {
	k *Kubelet
	n *int64
}

func (c counter) Write(p []byte) (int, error) {
	c.k.mu.Lock()
	defer c.k.mu.Unlock()
	*c.n += int64(len(p))
	return len(p), nil
}
