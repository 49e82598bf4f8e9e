package kube

import (
	"bufio"
	"encoding/binary"
	"errors"
	"io"
	"maps"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"k8s.io/streaming/pkg/httpstream"
)

// spdyLink is the client's end of a SPDY/3.1 connection, as far as forwarding ports takes it. spdystream, client-go's, holds 2 MB for each tunnel: it
// compresses the headers of the two streams of a connection, and reads ahead of whoever takes the data. This one stores headers uncompressed, which the
// format allows, and reads ahead a few frames.
type spdyLink struct {
	wire   net.Conn
	closed chan bool

	writing sync.Mutex // held while a frame is written
	begun   bool       // the stream of headers was

	mu      sync.Mutex
	streams map[uint32]*spdyStream
	next    uint32
	err     error // why there are no new streams
}

const (
	spdySynStream = 1
	spdySynReply  = 2
	spdyReset     = 3
	spdyPing      = 6
	spdyGoAway    = 7

	spdyFin    = 1 // flag: nothing follows from this side
	spdyCancel = 5 // status of a reset

	// spdyReplyWait is how long the other side may take to accept a stream, as in client-go.
	spdyReplyWait = 30 * time.Second
	// spdyAhead is how much of a stream is held that nobody has read yet.
	spdyAhead = 32 << 10
)

var (
	errSPDYReset  = errors.New("the stream was reset")
	errSPDYClosed = errors.New("the tunnel was closed")
)

// newSPDYLink takes over a connection whose other side speaks SPDY/3.1 as a server. It pings so often.
func newSPDYLink(wire net.Conn, pings time.Duration) *spdyLink {
	l := &spdyLink{wire: wire, closed: make(chan bool), streams: map[uint32]*spdyStream{}, next: 1}
	go func() {
		l.read(bufio.NewReaderSize(wire, 16<<10)) // however it ends, the tunnel has
		l.end()
	}()
	go l.ping(pings)
	return l
}

func (l *spdyLink) ping(period time.Duration) {
	ticks := time.NewTicker(period)
	defer ticks.Stop()
	for id := uint32(1); ; id += 2 {
		select {
		case <-ticks.C:
			if l.control(spdyPing, 0, binary.BigEndian.AppendUint32(nil, id)) != nil {
				return
			}
		case <-l.closed:
			return
		}
	}
}

// read hands out what comes until nothing does any more.
func (l *spdyLink) read(r *bufio.Reader) error {
	var head [8]byte
	for {
		if _, err := io.ReadFull(r, head[:]); err != nil {
			return err
		}
		first, second := binary.BigEndian.Uint32(head[:4]), binary.BigEndian.Uint32(head[4:])
		flags, length := second>>24, int(second&0xffffff)
		if first>>31 == 0 {
			if err := l.data(r, first, flags, length); err != nil {
				return err
			}
			continue
		}
		// All frames that matter begin with the id of a stream, or of a ping.
		var body [4]byte
		n, err := io.ReadFull(r, body[:min(length, len(body))])
		if err == nil {
			_, err = r.Discard(length - n)
		}
		if err != nil {
			return err
		}
		id := binary.BigEndian.Uint32(body[:])
		switch first & 0xffff {
		case spdySynReply:
			if s := l.stream(id); s != nil {
				s.accept(flags&spdyFin != 0)
			}
		case spdyReset:
			if s := l.forget(id); s != nil {
				s.end(errSPDYReset)
			}
		case spdyPing:
			if id%2 == 0 { // the server's own
				if err := l.control(spdyPing, 0, body[:]); err != nil {
					return err
				}
			}
		case spdyGoAway:
			l.mu.Lock()
			l.err = errSPDYClosed
			l.mu.Unlock()
		}
	}
}

// data hands a frame to its stream, and waits when that has more than is read of it.
func (l *spdyLink) data(r *bufio.Reader, id, flags uint32, length int) error {
	s := l.stream(id)
	for length > 0 {
		if _, err := r.Peek(1); err != nil {
			return err
		}
		here, _ := r.Peek(min(length, r.Buffered()))
		if s != nil {
			s.add(here)
		}
		r.Discard(len(here))
		length -= len(here)
	}
	if s != nil && flags&spdyFin != 0 {
		s.end(io.EOF)
	}
	return nil
}

func (l *spdyLink) stream(id uint32) *spdyStream {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.streams[id]
}

func (l *spdyLink) forget(id uint32) *spdyStream {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.streams[id]
	delete(l.streams, id)
	return s
}

// end closes what is left once the other side has gone.
func (l *spdyLink) end() {
	l.mu.Lock()
	l.err = errSPDYClosed
	left := slices.Collect(maps.Values(l.streams))
	clear(l.streams)
	l.mu.Unlock()
	l.wire.Close()
	close(l.closed)
	for _, s := range left {
		s.end(errSPDYClosed)
	}
}

// control writes a control frame.
func (l *spdyLink) control(kind, flags byte, body []byte) error {
	l.writing.Lock()
	defer l.writing.Unlock()
	frame := binary.BigEndian.AppendUint32([]byte{0x80, 3, 0, kind}, uint32(flags)<<24|uint32(len(body)))
	_, err := l.wire.Write(append(frame, body...))
	return err
}

// zlibStart begins a zlib stream that uses the dictionary of SPDY/3, named by its checksum.
var zlibStart = []byte{0x78, 0xbb, 0xe3, 0xc6, 0xa7, 0xc2}

// CreateStream implements httpstream.Connection: it returns when the other side has accepted the stream.
func (l *spdyLink) CreateStream(headers http.Header) (httpstream.Stream, error) {
	block := binary.BigEndian.AppendUint32(nil, uint32(len(headers)))
	for name, values := range headers {
		for _, text := range []string{strings.ToLower(name), strings.Join(values, "\x00")} {
			block = binary.BigEndian.AppendUint32(block, uint32(len(text)))
			block = append(block, text...)
		}
	}
	s := &spdyStream{link: l, headers: headers, accepted: make(chan struct{})}
	s.changed.L = &s.mu
	if err := l.open(s, block); err != nil {
		return nil, err
	}
	late := time.NewTimer(spdyReplyWait)
	defer late.Stop()
	select {
	case <-s.accepted:
	case <-late.C:
		s.Reset()
		return nil, errors.New("the other side does not accept the stream")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.replied {
		return nil, s.ended
	}
	return s, nil
}

// open numbers a stream and says so, in the order of the numbers.
func (l *spdyLink) open(s *spdyStream, block []byte) error {
	l.writing.Lock()
	defer l.writing.Unlock()
	l.mu.Lock()
	err := l.err
	if err == nil {
		s.id = l.next
		l.next += 2
		l.streams[s.id] = s
	}
	l.mu.Unlock()
	if err != nil {
		return err
	}
	body := binary.BigEndian.AppendUint32(nil, s.id)
	body = append(body, 0, 0, 0, 0, 0, 0) // no stream it belongs to, highest priority
	if !l.begun {
		l.begun = true
		body = append(body, zlibStart...)
	}
	for _, stored := range [][]byte{block, nil} { // the empty one is what flushes end with
		size := uint16(len(stored))
		body = append(body, 0)
		body = binary.LittleEndian.AppendUint16(body, size)
		body = binary.LittleEndian.AppendUint16(body, ^size)
		body = append(body, stored...)
	}
	frame := binary.BigEndian.AppendUint32([]byte{0x80, 3, 0, spdySynStream}, uint32(len(body)))
	_, err = l.wire.Write(append(frame, body...))
	return err
}

// Close implements httpstream.Connection.
func (l *spdyLink) Close() error {
	l.control(spdyGoAway, 0, make([]byte, 8))
	return l.wire.Close()
}

// CloseChan implements httpstream.Connection.
func (l *spdyLink) CloseChan() <-chan bool { return l.closed }

// SetIdleTimeout implements httpstream.Connection; tunnels have their own way to end.
func (l *spdyLink) SetIdleTimeout(time.Duration) {}

// RemoveStreams implements httpstream.Connection.
func (l *spdyLink) RemoveStreams(streams ...httpstream.Stream) {
	for _, s := range streams {
		l.forget(s.Identifier())
	}
}

// spdyStream is one stream of a link.
type spdyStream struct {
	link     *spdyLink
	id       uint32
	headers  http.Header
	accepted chan struct{} // closed when it was, or never will be

	mu      sync.Mutex
	changed sync.Cond
	buffer  []byte // what nobody has read yet, from start
	start   int
	replied bool
	ended   error // why nothing follows
	shut    bool  // our side has ended it
}

func (s *spdyStream) accept(ended bool) {
	s.mu.Lock()
	if !s.replied && s.ended == nil {
		s.replied = true
		close(s.accepted)
	}
	s.mu.Unlock()
	if ended {
		s.end(io.EOF)
	}
}

func (s *spdyStream) end(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended != nil {
		return
	}
	s.ended = err
	if !s.replied {
		close(s.accepted)
	}
	s.changed.Broadcast()
}

// add takes over what has come, once there is room.
func (s *spdyStream) add(p []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for s.ended == nil && s.start < len(s.buffer) && len(s.buffer)-s.start+len(p) > spdyAhead {
		s.changed.Wait()
	}
	if s.ended != nil {
		return
	}
	if s.start > 0 {
		s.buffer = s.buffer[:copy(s.buffer, s.buffer[s.start:])]
		s.start = 0
	}
	if n := len(s.buffer) + len(p); n > cap(s.buffer) {
		larger := make([]byte, len(s.buffer), max(n, min(2*n, spdyAhead)))
		copy(larger, s.buffer)
		s.buffer = larger
	}
	s.buffer = append(s.buffer, p...)
	s.changed.Broadcast()
}

// Read implements httpstream.Stream. A stream that was reset ends, like one that has come to its end.
func (s *spdyStream) Read(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for s.start == len(s.buffer) {
		if s.ended != nil {
			return 0, io.EOF
		}
		s.changed.Wait()
	}
	n := copy(p, s.buffer[s.start:])
	s.start += n
	s.changed.Broadcast()
	return n, nil
}

// WriteTo implements io.WriterTo, so that what comes is copied once on its way. What is written makes room for as much again.
func (s *spdyStream) WriteTo(w io.Writer) (written int64, err error) {
	var spare []byte
	for {
		s.mu.Lock()
		for s.start == len(s.buffer) {
			if s.ended != nil {
				s.mu.Unlock()
				return written, nil
			}
			s.changed.Wait()
		}
		piece := s.buffer[s.start:]
		s.buffer, s.start = spare[:0], 0
		s.changed.Broadcast()
		s.mu.Unlock()
		n, err := w.Write(piece)
		written += int64(n)
		if err != nil {
			return written, err
		}
		spare = piece
	}
}

// Write implements httpstream.Stream.
func (s *spdyStream) Write(p []byte) (int, error) {
	const most = 1 << 20
	written := 0
	for len(p) > 0 {
		n := min(len(p), most)
		if err := s.send(p[:n], 0); err != nil {
			return written, err
		}
		written += n
		p = p[n:]
	}
	return written, nil
}

func (s *spdyStream) send(p []byte, flags uint32) error {
	s.mu.Lock()
	var over error
	if s.ended != nil && s.ended != io.EOF {
		over = s.ended
	} else if s.shut {
		over = io.ErrClosedPipe
	}
	if flags&spdyFin != 0 {
		s.shut = true
	}
	s.mu.Unlock()
	if over != nil {
		return over
	}
	frame := binary.BigEndian.AppendUint32(make([]byte, 0, 8+len(p)), s.id)
	frame = binary.BigEndian.AppendUint32(frame, flags<<24|uint32(len(p)))
	s.link.writing.Lock()
	defer s.link.writing.Unlock()
	_, err := s.link.wire.Write(append(frame, p...)) // one write is one message of a websocket
	return err
}

// Close implements httpstream.Stream: nothing more is written.
func (s *spdyStream) Close() error { return s.send(nil, spdyFin) }

// Reset implements httpstream.Stream: nothing more is written or read.
func (s *spdyStream) Reset() error {
	s.mu.Lock()
	over := s.shut && s.ended != nil
	s.shut, s.buffer, s.start = true, nil, 0
	s.mu.Unlock()
	s.link.forget(s.id)
	s.end(errSPDYReset)
	if over {
		return nil
	}
	return s.link.control(spdyReset, 0, binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(nil, s.id), spdyCancel))
}

// Headers implements httpstream.Stream.
func (s *spdyStream) Headers() http.Header { return s.headers }

// Identifier implements httpstream.Stream.
func (s *spdyStream) Identifier() uint32 { return s.id }
