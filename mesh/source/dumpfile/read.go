package dumpfile

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"runtime"
	"sync"
	"unicode/utf16"

	"golang.org/x/sync/errgroup"

	"github.com/meshlark/meshlark/xds/yamltext"
)

// maxBytes bounds one file, compressed or not, and what a compressed one unpacks to.
const maxBytes = 4 << 30

func readFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if info.Size() > maxBytes {
		return nil, fmt.Errorf("the file has %d bytes, more than the limit of %d", info.Size(), int64(maxBytes))
	}
	text, err := readWhole(f, info.Size())
	if err != nil {
		return nil, err
	}
	return toJSON(text)
}

// readWhole reads a file of a known size in parts at a time: most of the time goes to fresh memory, which every processor can get its own of.
func readWhole(f *os.File, size int64) ([]byte, error) {
	const part = 4 << 20
	text := make([]byte, size)
	wantHugePages(text)
	var group errgroup.Group
	group.SetLimit(runtime.GOMAXPROCS(0))
	for at := int64(0); at < size; at += part {
		group.Go(func() error {
			_, err := f.ReadAt(text[at:min(at+part, size)], at)
			if errors.Is(err, io.EOF) {
				return errors.New("the file became shorter while it was read")
			}
			return err
		})
	}
	return text, group.Wait()
}

// A stream is what can be read only once: standard input, a pipe. The text is kept.
type stream struct {
	once sync.Once
	done chan struct{}
	text []byte
	err  error
}

// read waits for the whole stream, or until ctx ends: a pipe that nobody writes to does not even open.
func (s *stream) read(ctx context.Context, open func() (io.ReadCloser, error)) ([]byte, error) {
	s.once.Do(func() {
		s.done = make(chan struct{})
		go func() {
			defer close(s.done)
			r, err := open()
			if err != nil {
				s.err = err
				return
			}
			defer r.Close()
			s.text, s.err = readAll(r)
		}()
	})
	select {
	case <-s.done:
		return s.text, s.err
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

func readAll(r io.Reader) ([]byte, error) {
	var buf bytes.Buffer
	if _, err := buf.ReadFrom(io.LimitReader(r, headBytes)); err != nil {
		return nil, err
	}
	if isZeros(buf.Bytes()) {
		return nil, errors.New("it begins with zeros, which no dump does")
	}
	if _, err := buf.ReadFrom(io.LimitReader(r, maxBytes+1-headBytes)); err != nil {
		return nil, err
	}
	if buf.Len() > maxBytes {
		return nil, fmt.Errorf("it has more than the limit of %d bytes", int64(maxBytes))
	}
	return toJSON(buf.Bytes())
}

// headBytes are read of a stream before the rest is: one of zeros may never end.
const headBytes = 4 << 10

func isZeros(head []byte) bool {
	return len(head) == headBytes && len(bytes.Trim(head, "\x00")) == 0
}

// toJSON gives a text as JSON in UTF-8, whatever it was packed with and written in. What is neither JSON nor YAML stays as it is, for others to refuse.
func toJSON(text []byte) ([]byte, error) {
	for range 2 { // one packed twice is a slip that is made
		if !bytes.HasPrefix(text, []byte{0x1f, 0x8b}) {
			break
		}
		var err error
		if text, err = unpack(text); err != nil {
			return nil, err
		}
	}
	text = toUTF8(text)
	if !isYAML(text) {
		return text, nil
	}
	return yamltext.JSON(text)
}

func unpack(text []byte) ([]byte, error) {
	z, err := gzip.NewReader(bytes.NewReader(text))
	if err != nil {
		return nil, fmt.Errorf("unpacking gzip: %w", err)
	}
	var buf bytes.Buffer
	if _, err := buf.ReadFrom(io.LimitReader(z, maxBytes+1)); err != nil {
		return nil, fmt.Errorf("unpacking gzip after %d bytes: %w", buf.Len(), err)
	}
	if buf.Len() > maxBytes {
		return nil, fmt.Errorf("it unpacks to more than the limit of %d bytes", int64(maxBytes))
	}
	return buf.Bytes(), nil
}

// toUTF8 reads UTF-16, which the shell of Windows writes into files, by the mark it begins with.
func toUTF8(text []byte) []byte {
	var order binary.ByteOrder
	switch {
	case bytes.HasPrefix(text, []byte{0xff, 0xfe}):
		order = binary.LittleEndian
	case bytes.HasPrefix(text, []byte{0xfe, 0xff}):
		order = binary.BigEndian
	default:
		return text
	}
	units := make([]uint16, (len(text)-2)/2)
	for i := range units {
		units[i] = order.Uint16(text[2+2*i:])
	}
	return []byte(string(utf16.Decode(units)))
}

// yamlStart is how a line of YAML begins that is not JSON: a document, a comment, an element of a list, a key without spaces in it.
var yamlStart = regexp.MustCompile(`^(?:---|%YAML|#|- |["']?[\w@$][\w.@$/-]*["']?:(?:\s|$))`)

func isYAML(text []byte) bool {
	const most = 4 << 10
	head := bytes.TrimLeft(text[:min(len(text), most)], " \t\r\n\ufeff")
	return yamlStart.Match(head)
}
