package fetch

import (
	"bytes"
	"errors"
	"io"
	"runtime"
	"testing"
	"testing/iotest"
)

func TestReadAll(t *testing.T) {
	for _, size := range []int{0, 1, firstPiece - 1, firstPiece, firstPiece + 1, 10 * firstPiece} {
		text := bytes.Repeat([]byte("0123456789abcdef-"), size/17+1)[:size]
		for _, length := range []int{-1, size, size - 1, size + 1} { // the last two are lies
			for name, reader := range map[string]io.Reader{
				"whole": bytes.NewReader(text), "halves": iotest.HalfReader(bytes.NewReader(text)), "end with the last": iotest.DataErrReader(bytes.NewReader(text)),
			} {
				body, err := readAll(reader, int64(length))
				if err != nil || !bytes.Equal(body, text) {
					t.Errorf("%d bytes as %s, said to be %d: got %d, error %v", size, name, length, len(body), err)
				}
			}
		}
		broken := io.MultiReader(bytes.NewReader(text), iotest.ErrReader(io.ErrUnexpectedEOF))
		if body, err := readAll(broken, -1); body != nil || !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("%d bytes that break off: got %d, error %v", size, len(body), err)
		}
	}
}

// An answer of unknown length needs the memory of its pieces and of the whole, and no more.
func TestReadAllMemory(t *testing.T) {
	const size = 64 << 20
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	body, err := readAll(io.LimitReader(zeros{}, size), -1)
	runtime.ReadMemStats(&after)
	if err != nil || len(body) != size {
		t.Fatalf("read %d bytes, error %v", len(body), err)
	}
	if used := after.TotalAlloc - before.TotalAlloc; used > 2*size+2*largePiece {
		t.Errorf("%d bytes were allocated to read %d", used, size)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { return len(p), nil }
