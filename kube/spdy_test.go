package kube

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"k8s.io/streaming/pkg/httpstream"
	"k8s.io/streaming/pkg/httpstream/spdy"
)

// spdyPair gives our end of a link, and the streams that come to a server of the library that kubelets use.
func spdyPair(t *testing.T, accept func(httpstream.Stream, <-chan struct{}) error) (*spdyLink, httpstream.Connection) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	near, err := net.Dial("tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	far, err := listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	server, err := spdy.NewServerConnection(far, accept)
	if err != nil {
		t.Fatal(err)
	}
	l := newSPDYLink(near, 5*time.Millisecond)
	t.Cleanup(func() {
		l.Close()
		server.Close()
	})
	return l, server
}

// What the library's server reads of our streams is what was sent, and the other way round, whatever waits in other streams.
func TestSPDYStreams(t *testing.T) {
	l, _ := spdyPair(t, func(s httpstream.Stream, _ <-chan struct{}) error {
		go func() {
			io.WriteString(s, s.Headers().Get("Port")+" "+s.Headers().Get("Requestid")+"\n")
			io.Copy(s, s)
			s.Close()
		}()
		return nil
	})
	for i, size := range []int{0, 1, spdyAhead, 3<<20 + 7} {
		s, err := l.CreateStream(http.Header{"Port": {"15000"}, "Requestid": {strings.Repeat("7", i)}})
		if err != nil {
			t.Fatal(err)
		}
		sent := bytes.Repeat([]byte("0123456789abcde"), size/15+1)[:size]
		go func() {
			s.Write(sent)
			s.Close()
		}()
		got, err := io.ReadAll(s)
		want := "15000 " + strings.Repeat("7", i) + "\n" + string(sent)
		if err != nil || string(got) != want {
			t.Errorf("%d bytes: got %d, error %v, want %d", size, len(got), err, len(want))
		}
		if _, err := s.Write([]byte("x")); err == nil {
			t.Error("a stream that was closed can be written")
		}
		l.RemoveStreams(s)
	}
}

// A stream that is written on from comes whole, and holds back its sender while nobody takes it.
func TestSPDYWriteTo(t *testing.T) {
	const size = 3<<20 + 7
	sent := bytes.Repeat([]byte("0123456789abcde"), size/15+1)[:size]
	l, _ := spdyPair(t, func(s httpstream.Stream, _ <-chan struct{}) error {
		go func() {
			s.Write(sent)
			s.Close()
		}()
		return nil
	})
	s, err := l.CreateStream(http.Header{"A": {"b"}})
	if err != nil {
		t.Fatal(err)
	}
	near, far := net.Pipe()
	go func() {
		io.Copy(far, s)
		far.Close()
	}()
	time.Sleep(50 * time.Millisecond)
	stream := s.(*spdyStream)
	stream.mu.Lock()
	held := cap(stream.buffer)
	stream.mu.Unlock()
	if held > 2*(spdyAhead+16<<10) {
		t.Errorf("%d bytes are held that nobody takes", held)
	}
	if got, err := io.ReadAll(near); err != nil || !bytes.Equal(got, sent) {
		t.Errorf("got %d bytes, error %v, want %d", len(got), err, size)
	}
	if n, err := s.(io.WriterTo).WriteTo(io.Discard); n != 0 || err != nil {
		t.Errorf("beyond the end: %d bytes, error %v", n, err)
	}
}

// A stream that nobody reads any more holds up no other one once it is reset.
func TestSPDYReset(t *testing.T) {
	l, _ := spdyPair(t, func(s httpstream.Stream, _ <-chan struct{}) error {
		go s.Write(make([]byte, 1<<20))
		return nil
	})
	unread, err := l.CreateStream(http.Header{"A": {"b"}})
	if err != nil {
		t.Fatal(err)
	}
	unread.Reset()
	s, err := l.CreateStream(http.Header{"A": {"b"}})
	if err != nil {
		t.Fatal(err)
	}
	if n, err := io.CopyN(io.Discard, s, 1<<20); err != nil {
		t.Errorf("read %d bytes, error %v", n, err)
	}
}

// The other side refuses a stream, resets one, or goes away: readers come to an end, and writers are told.
func TestSPDYEnds(t *testing.T) {
	l, server := spdyPair(t, func(s httpstream.Stream, replied <-chan struct{}) error {
		if s.Headers().Get("Do") == "refuse" {
			return errors.New("no")
		}
		go func() {
			<-replied
			io.WriteString(s, "so far")
			if s.Headers().Get("Do") == "reset" {
				s.Reset()
			}
		}()
		return nil
	})
	if _, err := l.CreateStream(http.Header{"Do": {"refuse"}}); !errors.Is(err, errSPDYReset) {
		t.Errorf("a stream that is refused: error %v", err)
	}
	for _, do := range []string{"reset", "go"} {
		s, err := l.CreateStream(http.Header{"Do": {do}})
		if err != nil {
			t.Fatal(err)
		}
		start := make([]byte, 6)
		if _, err := io.ReadFull(s, start); err != nil || string(start) != "so far" {
			t.Errorf("%s: read %q, error %v", do, start, err)
		}
		if do == "go" {
			server.Close()
		}
		if rest, err := io.ReadAll(s); err != nil || len(rest) > 0 {
			t.Errorf("%s: the rest is %q, error %v", do, rest, err)
		}
		if _, err := s.Write([]byte("x")); err == nil {
			t.Errorf("%s: it can be written", do)
		}
	}
	select {
	case <-l.CloseChan():
	case <-time.After(5 * time.Second):
		t.Error("the end of the connection is not seen")
	}
	if _, err := l.CreateStream(http.Header{}); err == nil {
		t.Error("there are streams after the end")
	}
}

// Whatever the other side sends, reading it ends, so does every stream, and no stream holds more than it may.
func FuzzSPDYRead(f *testing.F) {
	f.Add([]byte("\x80\x03\x00\x02\x00\x00\x00\x04\x00\x00\x00\x01\x00\x00\x00\x01\x01\x00\x00\x02hi"))       // accepted, and all there is
	f.Add([]byte("\x80\x03\x00\x06\x00\x00\x00\x04\x00\x00\x00\x02\x80\x03\x00\x07\x00\x00\x00\x00"))         // a ping, and the end
	f.Add([]byte("\x80\x03\x00\x03\x00\x00\x00\x08\x00\x00\x00\x01\x00\x00\x00\x05\x00\x00\x00\x01\x00\xff")) // a reset, and data cut short
	f.Fuzz(func(t *testing.T, sent []byte) {
		near, far := net.Pipe()
		go io.Copy(io.Discard, far)
		l := &spdyLink{wire: near, closed: make(chan bool), streams: map[uint32]*spdyStream{}, next: 3}
		s := &spdyStream{link: l, id: 1, accepted: make(chan struct{})}
		s.changed.L = &s.mu
		l.streams[1] = s
		read := make(chan int64)
		go func() {
			n, _ := io.Copy(io.Discard, s)
			read <- n
		}()
		if err := l.read(bufio.NewReaderSize(bytes.NewReader(sent), 16<<10)); err == nil {
			t.Error("reading ended without a reason")
		}
		l.end()
		far.Close()
		if n := <-read; n > int64(len(sent)) {
			t.Errorf("%d bytes read of %d", n, len(sent))
		}
		<-s.accepted
		if held := cap(s.buffer); held > 2*(spdyAhead+16<<10) {
			t.Errorf("the stream held %d bytes", held)
		}
	})
}
