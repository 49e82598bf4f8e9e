//go:build linux

package main

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/meshlark/meshlark/lab/carrier"
)

// carry takes connections that leave this network to where they lead, and makes those that others ask for, until it is killed.
func (p *pod) carry() error {
	leaving, err := net.Listen("tcp4", fmt.Sprintf("0.0.0.0:%d", carrierPort))
	if err != nil {
		return err
	}
	go func() {
		for {
			c, err := leaving.Accept()
			if err != nil {
				continue
			}
			go p.takeAway(c.(*net.TCPConn))
		}
	}()
	if p.app != 0 {
		app, err := net.Listen("tcp4", net.JoinHostPort(p.ip, fmt.Sprint(p.app)))
		if err != nil {
			return err
		}
		go http.Serve(app, http.HandlerFunc(p.answer))
	}
	socket, err := net.Listen("unix", filepath.Join(p.sockets, p.ip+".sock"))
	if err != nil {
		return err
	}
	os.NewFile(3, "ready").Write([]byte{1})
	return carrier.Serve(socket, dial)
}

// dial makes a connection in this network.
func dial(r carrier.Request) (net.Conn, error) {
	d := net.Dialer{Control: func(_, _ string, c syscall.RawConn) error {
		var failed error
		err := c.Control(func(fd uintptr) {
			failed = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_MARK, r.Mark)
		})
		if err == nil {
			err = failed
		}
		return err
	}}
	if r.From != "" {
		d.LocalAddr = &net.TCPAddr{IP: net.ParseIP(r.From)}
	}
	return d.Dial("tcp4", r.To)
}

// takeAway carries a connection to the network that its destination is in. One that leads nowhere is reset.
func (p *pod) takeAway(c *net.TCPConn) {
	to, err := originalDestination(c)
	var far net.Conn
	if err == nil {
		r := carrier.Request{To: to.String()}
		socket := "host.sock"
		if !to.Addr().IsLoopback() {
			socket = to.Addr().String() + ".sock"
			r.Mark = inboundMark
			r.From = p.ip
		}
		far, err = carrier.Dial(filepath.Join(p.sockets, socket), r)
	}
	if err != nil {
		c.SetLinger(0)
		c.Close()
		return
	}
	carrier.Join(c, far)
}

// originalDestination is where a redirected connection was to lead.
func originalDestination(c *net.TCPConn) (netip.AddrPort, error) {
	raw, err := c.SyscallConn()
	if err != nil {
		return netip.AddrPort{}, err
	}
	var to netip.AddrPort
	var failed error
	err = raw.Control(func(fd uintptr) {
		const soOriginalDst = 80 // of linux/netfilter_ipv4.h
		// A struct sockaddr_in fits into this one: two bytes of family, the port, the address.
		mreq, err := unix.GetsockoptIPv6Mreq(int(fd), unix.IPPROTO_IP, soOriginalDst)
		if err != nil {
			failed = err
			return
		}
		b := mreq.Multiaddr
		to = netip.AddrPortFrom(netip.AddrFrom4([4]byte(b[4:8])), uint16(b[2])<<8|uint16(b[3]))
	})
	if err == nil {
		err = failed
	}
	return to, err
}

// answer is the application: it tells who it is and what it was asked.
func (p *pod) answer(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(map[string]any{"ip": p.ip, "method": r.Method, "uri": r.RequestURI, "host": r.Host, "headers": r.Header, "from": r.RemoteAddr})
}
