// Package carrier takes connections from one network of this machine to another: over a socket of the file system, which both have.
package carrier

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
)

// A Request asks for a connection in the network of whoever serves the socket.
type Request struct {
	To   string // "IP:port"
	From string `json:",omitempty"` // an IP of that network; "" leaves the choice to it
	Mark int    `json:",omitempty"` // of its packets, which the rules of that network look at
}

// answer is the line that comes back.
type answer struct{ Error string }

// Dial asks for a connection by a socket.
func Dial(socket string, r Request) (net.Conn, error) {
	c, err := net.Dial("unix", socket)
	if err != nil {
		return nil, err
	}
	if err := json.NewEncoder(c).Encode(r); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	line := bufio.NewReader(c)
	text, err := line.ReadBytes('\n')
	var a answer
	if err == nil {
		err = json.Unmarshal(text, &a)
	}
	if err == nil && a.Error != "" {
		err = errors.New(a.Error)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("connect to %s: %w", r.To, err), c.Close())
	}
	return &conn{c.(*net.UnixConn), line}, nil
}

// conn is a connection of which a part may have been read already.
type conn struct {
	*net.UnixConn
	read *bufio.Reader
}

func (c *conn) Read(p []byte) (int, error) { return c.read.Read(p) }

// Serve makes the connections that are asked for at a listener, until that is closed.
func Serve(l net.Listener, dial func(Request) (net.Conn, error)) error {
	for {
		c, err := l.Accept()
		if err != nil {
			return err
		}
		go func() {
			near := &conn{c.(*net.UnixConn), bufio.NewReader(c)}
			text, err := near.read.ReadBytes('\n')
			var r Request
			if err == nil {
				err = json.Unmarshal(text, &r)
			}
			var far net.Conn
			var a answer
			if err == nil {
				far, err = dial(r)
			}
			if err != nil {
				a.Error = err.Error()
			}
			json.NewEncoder(c).Encode(a)
			if err != nil {
				c.Close()
				return
			}
			Join(near, far)
		}()
	}
}

// Join copies both ways until both have ended, and closes the two.
func Join(a, b net.Conn) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		pass(a, b)
	}()
	pass(b, a)
	<-done
	a.Close()
	b.Close()
}

// pass copies one way, its end included. What ends by an error ends the other way too.
func pass(to, from net.Conn) {
	_, err := io.Copy(to, from)
	if half, ok := to.(interface{ CloseWrite() error }); ok && err == nil {
		half.CloseWrite()
		return
	}
	to.Close()
	from.Close()
}
