package lab

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
	"syscall"
)

// kubeletPort is the usual port of a kubelet.
const kubeletPort = 10250

// A block is the network 127.X.Y.0/24 of one lab.
type block struct{ x, y byte }

// address is the address of a number from 1 to 254.
func (b block) address(n int) string {
	return net.IPv4(127, b.x, b.y, byte(n)).String()
}

// claimBlock finds a block that no other lab has. The claim is the listener on the port of the kubelet at its first address: it holds as
// long as that is open.
func claimBlock() (block, net.Listener, error) {
	for range 100 {
		// Far from 127.0.0.1 and from the 127.0.1.1 that some systems give their own name.
		b := block{byte(64 + rand.IntN(64)), byte(rand.IntN(256))}
		l, err := net.Listen("tcp", net.JoinHostPort(b.address(1), strconv.Itoa(kubeletPort)))
		if err == nil {
			return b, l, nil
		}
		if !errors.Is(err, syscall.EADDRINUSE) {
			return block{}, nil, fmt.Errorf("listen on a loopback address of the lab's own: %w (the lab needs Linux, where all of 127.0.0.0/8 is loopback)", err)
		}
	}
	return block{}, nil, errors.New("no loopback network is free for the lab: something listens on port 10250 of every address")
}

// freePort is a port of the address that nothing listens on at the moment.
func freePort(address string) (int, error) {
	l, err := net.Listen("tcp", net.JoinHostPort(address, "0"))
	if err != nil {
		return 0, fmt.Errorf("find a free port: %w", err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}
