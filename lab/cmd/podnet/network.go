//go:build linux

package main

import (
	"encoding/binary"
	"fmt"
	"net"
	"syscall"
	"unsafe"

	"github.com/google/nftables"
	"github.com/google/nftables/binaryutil"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"
)

// setUp makes all of 10.0.0.0/8, the addresses of pods and services, local as all of 127.0.0.0/8 is, and says which connections go where.
func (p *pod) setUp() error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	if err := setFlags(fd, "lo", unix.IFF_UP|unix.IFF_LOOPBACK); err != nil {
		return fmt.Errorf("bring lo up: %w", err)
	}
	// A loopback device answers for all of the network of an address.
	if err := setAddress(fd, unix.SIOCSIFADDR, "lo:1", net.IPv4(10, 255, 255, 254)); err != nil {
		return fmt.Errorf("give lo the addresses of pods: %w", err)
	}
	if err := setAddress(fd, unix.SIOCSIFNETMASK, "lo:1", net.IPv4(255, 0, 0, 0)); err != nil {
		return fmt.Errorf("give lo the addresses of pods: %w", err)
	}
	if err := p.redirect(); err != nil {
		return fmt.Errorf("redirect connections: %w", err)
	}
	return nil
}

// request is struct ifreq of netdevice(7).
type request struct {
	name [unix.IFNAMSIZ]byte
	data [24]byte
}

func ioctl(fd int, number uint, r *request) error {
	if _, _, errno := syscall.Syscall(syscall.SYS_IOCTL, uintptr(fd), uintptr(number), uintptr(unsafe.Pointer(r))); errno != 0 {
		return errno
	}
	return nil
}

func setFlags(fd int, name string, flags uint16) error {
	r := &request{}
	copy(r.name[:], name)
	binary.NativeEndian.PutUint16(r.data[:], flags)
	return ioctl(fd, unix.SIOCSIFFLAGS, r)
}

func setAddress(fd int, number uint, name string, ip net.IP) error {
	r := &request{}
	copy(r.name[:], name)
	binary.NativeEndian.PutUint16(r.data[:], unix.AF_INET)
	copy(r.data[4:], ip.To4()) // after the port of a struct sockaddr_in
	return ioctl(fd, number, r)
}

// redirect writes the rules, in the order in which they are tried.
func (p *pod) redirect() error {
	c, err := nftables.New()
	if err != nil {
		return err
	}
	table := c.AddTable(&nftables.Table{Family: nftables.TableFamilyIPv4, Name: "pod"})
	chain := c.AddChain(&nftables.Chain{
		Name: "output", Table: table, Type: nftables.ChainTypeNAT, Hooknum: nftables.ChainHookOutput, Priority: nftables.ChainPriorityNATDest,
	})
	to := func(port uint16, conditions ...[]expr.Any) {
		exprs := append([]expr.Any{
			&expr.Meta{Key: expr.MetaKeyL4PROTO, Register: 1},
			&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: []byte{unix.IPPROTO_TCP}},
		}, flat(conditions)...)
		c.AddRule(&nftables.Rule{Table: table, Chain: chain, Exprs: append(exprs,
			&expr.Immediate{Register: 1, Data: binaryutil.BigEndian.PutUint16(port)},
			&expr.Redir{RegisterProtoMin: 1},
		)})
	}
	marked := func(mark uint32) []expr.Any {
		return []expr.Any{
			&expr.Meta{Key: expr.MetaKeyMARK, Register: 1},
			&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: binaryutil.NativeEndian.PutUint32(mark)},
		}
	}
	const destination = 16 // in the IPv4 header
	load := &expr.Payload{DestRegister: 1, Base: expr.PayloadBaseNetworkHeader, Offset: destination, Len: 4}
	in := func(network *net.IPNet) []expr.Any {
		return []expr.Any{
			load,
			&expr.Bitwise{SourceRegister: 1, DestRegister: 1, Len: 4, Mask: network.Mask, Xor: make([]byte, 4)},
			&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: network.IP.To4()},
		}
	}
	isNot := func(ip string) []expr.Any {
		return []expr.Any{load, &expr.Cmp{Op: expr.CmpOpNeq, Register: 1, Data: net.ParseIP(ip).To4()}}
	}
	machine := net.ParseIP(p.address).Mask(net.CIDRMask(24, 32))
	to(outboundPort, marked(outboundMark))
	to(inboundPort, marked(inboundMark))
	to(carrierPort, in(&net.IPNet{IP: net.IPv4(10, 244, 0, 0), Mask: net.CIDRMask(16, 32)}), isNot(p.ip))
	to(carrierPort, in(&net.IPNet{IP: machine, Mask: net.CIDRMask(24, 32)}), isNot(p.address))
	return c.Flush()
}

func flat(lists [][]expr.Any) []expr.Any {
	var out []expr.Any
	for _, list := range lists {
		out = append(out, list...)
	}
	return out
}
