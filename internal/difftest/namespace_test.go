package difftest

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/meshlark/meshlark/internal/envoytest"
)

// insideVariable is set in the environment of a test that runs in a network namespace.
const insideVariable = "MESHLARK_DIFFTEST_NAMESPACE"

// Where connections come from decides in the namespace where they are redirected to, as the user of a process does in a pod.
const (
	toOutbound = "10.60.0." // to 15001
	toInbound  = "10.70.0." // to 15006
	direct     = "10.80.0." // nowhere else
)

// namespaceSetup is what is done in the namespace, where every address of two large ranges is its own.
var namespaceSetup = []string{
	"ip link set lo up",
	"ip route add local 10.0.0.0/8 dev lo",
	"ip -6 route add local fd00::/8 dev lo",
	"ip -6 addr add fd80::1/128 dev lo nodad",
	"ip -6 addr add fd60::5/128 dev lo nodad preferred_lft 0", // not what connections come from by themselves
	"iptables -w -t nat -A OUTPUT -p tcp -s 10.60.0.0/16 -j REDIRECT --to-ports 15001",
	"iptables -w -t nat -A OUTPUT -p tcp -s 10.70.0.0/16 -j REDIRECT --to-ports 15006",
	"ip6tables -w -t nat -A OUTPUT -p tcp -s fd60::/16 -j REDIRECT --to-ports 15001",
	"ip6tables -w -t nat -A OUTPUT -p tcp -s fd70::/16 -j REDIRECT --to-ports 15006",
}

// inNamespace reports whether the test runs in a network namespace. If it does not, the test is run once more in a new one, whose outcome becomes
// that of this one. It skips where no namespace can be made.
func inNamespace(t *testing.T) bool {
	t.Helper()
	if os.Getenv(insideVariable) != "" {
		// The fewer connections are remembered, the seldomer redirection has to change the port of one, by which logs are compared.
		for file, value := range map[string]string{
			"netfilter/nf_conntrack_tcp_timeout_time_wait": "1", "netfilter/nf_conntrack_tcp_timeout_close": "1", "ipv4/ip_local_port_range": "10000 65000",
		} {
			_ = os.WriteFile("/proc/sys/net/"+file, []byte(value), 0) // it is only seldomer
		}
		return true
	}
	envoytest.Need(t)
	if os.Geteuid() != 0 {
		t.Skip("it takes root to make a network namespace")
	}
	for _, program := range []string{"ip", "iptables", "ip6tables"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("redirection in a network namespace takes what the Debian packages iproute2 and iptables hold: %v", err)
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	if at, ok := t.Deadline(); ok {
		ctx, cancel = context.WithDeadline(ctx, at.Add(-3*time.Second))
	}
	t.Cleanup(cancel)
	name := fmt.Sprintf("meshlark-%d-%s", os.Getpid(), strings.ToLower(t.Name()))
	if out, err := exec.CommandContext(ctx, "ip", "netns", "add", name).CombinedOutput(); err != nil {
		t.Skipf("ip netns add: %v: %s", err, out)
	}
	t.Cleanup(func() {
		if out, err := exec.Command("ip", "netns", "delete", name).CombinedOutput(); err != nil {
			t.Errorf("ip netns delete: %v: %s", err, out)
		}
	})
	inside := func(args ...string) *exec.Cmd {
		return exec.CommandContext(ctx, "ip", append([]string{"netns", "exec", name}, args...)...)
	}
	for _, line := range namespaceSetup {
		if out, err := inside(strings.Fields(line)...).CombinedOutput(); err != nil {
			t.Skipf("%s: %v: %s", line, err, out)
		}
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := inside(self, "-test.run=^"+t.Name()+"$", "-test.v", "-test.timeout=1h",
		fmt.Sprint("-configs=", *configs), fmt.Sprint("-requests=", *requests), fmt.Sprint("-seed=", *seedFlag), fmt.Sprint("-shrink=", *shrinks), fmt.Sprint("-least=", *least))
	cmd.Env = append(os.Environ(), insideVariable+"="+name)
	out, err := cmd.CombinedOutput()
	t.Logf("in namespace %s:\n%s", name, out)
	switch {
	case err != nil:
		t.Errorf("in the namespace: %v", err)
	case !strings.Contains(string(out), "--- PASS: "+t.Name()):
		t.Skip("it was skipped in the namespace")
	}
	return false
}

// application listens on ports of all addresses. It answers requests with what they are, and a TLS handshake with a word.
func application(t testing.TB, ports ...int) {
	t.Helper()
	for _, port := range ports {
		l, err := net.Listen("tcp", fmt.Sprintf(":%d", port))
		if err != nil {
			t.Fatalf("listen as an application: %v", err)
		}
		t.Cleanup(func() { l.Close() })
		go func() {
			for {
				conn, err := l.Accept()
				if err != nil {
					return
				}
				go serve(conn)
			}
		}()
	}
}

func serve(conn net.Conn) {
	in := bufio.NewReader(conn)
	if first, err := in.Peek(1); err == nil && first[0] == 0x16 {
		// Everything is read, or the connection would end in a reset. The client may be gone.
		_, _ = io.WriteString(conn, "handshake")
		_ = conn.(*net.TCPConn).CloseWrite()
		_, _ = io.Copy(io.Discard, in)
		conn.Close()
		return
	}
	echo(peeked{conn, in})
}

// peeked is a connection of which something was read ahead.
type peeked struct {
	net.Conn
	in io.Reader
}

func (p peeked) Read(b []byte) (int, error) { return p.in.Read(b) }
