package editor

import (
	"errors"
	"io"
	"strings"
	"sync"
	"sync/atomic"
	"unicode/utf8"
)

// maxPaste bounds what is kept of one paste, in bytes. A terminal whose end
// marker gets lost must not fill the memory.
const maxPaste = 4 << 20

// errGivenUp says that whoever wanted a key does not any more.
var errGivenUp = errors.New("no key was pressed in time")

// input is the stream of keys. It turns the bytes of the terminal into
// characters and Key constants, and sets what is pasted aside.
//
// A goroutine does the reading, on demand, so that Close and interrupt need not
// wait for the terminal.
type input struct {
	src    io.Reader
	ask    chan struct{}
	chunks chan chunk
	wake   chan rune // keys from elsewhere than the terminal
	closed chan struct{}
	once   sync.Once
	over   atomic.Bool // no key will come any more

	// Of the goroutine that reads.
	asked   bool   // the terminal was asked and has not answered
	pending []byte // not decoded yet
	failed  error  // of the terminal
	keys    []rune // decoded
	paste   *strings.Builder

	mu     sync.Mutex
	pasted []string // texts of the keyPaste keys that were given out, in their order
}

type chunk struct {
	data []byte
	err  error
}

func newInput(src io.Reader) *input {
	in := &input{
		src:    src,
		ask:    make(chan struct{}, 1),
		chunks: make(chan chunk, 1),
		wake:   make(chan rune, 1),
		closed: make(chan struct{}),
	}
	go in.pump()
	return in
}

func (in *input) pump() {
	for {
		select {
		case <-in.ask:
		case <-in.closed:
			return
		}
		buf := make([]byte, 4096)
		n, err := in.src.Read(buf)
		in.chunks <- chunk{buf[:n], err}
		if err != nil {
			return
		}
	}
}

// Close implements io.Closer. Whoever reads gets io.EOF.
func (in *input) Close() error {
	in.once.Do(func() { close(in.closed) })
	return nil
}

// ended tells that the input has come to its end, and that readline knows.
func (in *input) ended() bool { return in.over.Load() }

// interrupt makes whoever reads get a key, unless one is on its way already.
func (in *input) interrupt(key rune) {
	select {
	case in.wake <- key:
	default:
	}
}

// drain forgets an interrupt that came too late.
func (in *input) drain() {
	select {
	case <-in.wake:
	default:
	}
}

// Read implements io.Reader for readline. It gives one key at a time, so that
// nothing that follows an Enter is taken before it is wanted.
func (in *input) Read(p []byte) (int, error) {
	key, err := in.readKey(nil)
	if err != nil {
		return 0, err
	}
	return utf8.EncodeRune(p, key), nil
}

// readKey gives the next key.
func (in *input) readKey(done <-chan struct{}) (rune, error) {
	for {
		if len(in.keys) > 0 {
			key := in.keys[0]
			in.keys = in.keys[1:]
			return key, nil
		}
		if in.failed != nil {
			in.over.Store(true)
			return 0, in.failed
		}
		if !in.asked {
			in.asked = true
			in.ask <- struct{}{}
		}
		select {
		case c := <-in.chunks:
			in.asked = false
			in.decode(c.data)
			if c.err != nil {
				in.failed = c.err
				in.endPaste()
			}
		case key := <-in.wake:
			return key, nil
		case <-in.closed:
			in.failed = io.EOF
		case <-done:
			return 0, errGivenUp
		}
	}
}

const (
	pasteBegin = "\x1b[200~"
	pasteEnd   = "\x1b[201~"
)

// decode turns bytes into keys. The beginning of something longer is kept
// until the rest comes.
func (in *input) decode(data []byte) {
	in.pending = append(in.pending, data...)
	for len(in.pending) > 0 {
		if in.paste != nil {
			if !in.decodePaste() {
				return
			}
			continue
		}
		if in.pending[0] == escape {
			n, key := escapeSequence(in.pending)
			if n == 0 {
				return
			}
			in.pending = in.pending[n:]
			switch key {
			case keyPaste:
				in.paste = new(strings.Builder)
			case keyNone:
			default:
				in.keys = append(in.keys, key)
			}
			continue
		}
		if !utf8.FullRune(in.pending) {
			return
		}
		r, n := utf8.DecodeRune(in.pending)
		in.pending = in.pending[n:]
		switch {
		case r == 0:
			// readline takes it for the end of input
		case r >= 0xe000 && r <= 0xe0ff:
			in.keys = append(in.keys, utf8.RuneError)
		default:
			in.keys = append(in.keys, r)
		}
	}
}

// escapeSequence measures the escape sequence at the beginning of b and gives
// its key, keyPaste for the beginning of a paste. It gives 0 bytes when the
// sequence is not all there.
func escapeSequence(b []byte) (n int, key rune) {
	if len(b) == 1 {
		return 0, 0
	}
	n = 2
	switch b[1] {
	case '[':
		const longest = 32 // no terminal sends more
		for n < len(b) && n < longest && b[n] >= 0x20 && b[n] < 0x40 {
			n++
		}
		switch {
		case n == longest:
			return n, keyNone
		case n == len(b):
			return 0, 0
		case b[n] < 0x40 || b[n] > 0x7e: // cut short by something else
			return n, keyNone
		case n == 2 && b[n] == '[': // the Linux console's function keys
			if len(b) < 4 {
				return 0, 0
			}
			return 4, keyNone
		}
		n++
	case 'O':
		if len(b) == 2 {
			return 0, 0
		}
		n = 3
	case escape: // the first one was typed by itself
		return 1, keyNone
	default:
		if b[1] >= utf8.RuneSelf {
			return 1, keyNone
		}
	}
	seq := string(b[:n])
	if seq == pasteBegin {
		return n, keyPaste
	}
	if key, ok := sequences[seq[1:]]; ok {
		return n, key
	}
	return n, keyNone
}

// decodePaste takes pasted bytes. It reports false when more are needed.
func (in *input) decodePaste() bool {
	s := string(in.pending)
	end := strings.Index(s, pasteEnd)
	if end >= 0 {
		in.addPaste(s[:end])
		in.pending = in.pending[end+len(pasteEnd):]
		in.endPaste()
		return true
	}
	// A Ctrl-C is no text: the end marker got lost.
	if stop := strings.IndexByte(s, ctrlC); stop >= 0 {
		in.paste = nil
		in.pending = in.pending[stop:]
		return true
	}
	keep := 0 // the beginning of an end marker
	for n := min(len(pasteEnd)-1, len(s)); n > 0; n-- {
		if strings.HasPrefix(pasteEnd, s[len(s)-n:]) {
			keep = n
			break
		}
	}
	in.addPaste(s[:len(s)-keep])
	in.pending = in.pending[len(s)-keep:]
	return false
}

func (in *input) addPaste(s string) {
	if room := maxPaste - in.paste.Len(); len(s) > room {
		s = s[:max(room, 0)]
	}
	in.paste.WriteString(s)
}

func (in *input) endPaste() {
	if in.paste == nil {
		return
	}
	text := cleanPaste(in.paste.String())
	in.paste = nil
	if text == "" {
		return
	}
	in.mu.Lock()
	in.pasted = append(in.pasted, text)
	in.mu.Unlock()
	in.keys = append(in.keys, keyPaste)
}

// nextPaste gives the text of the oldest keyPaste that was not asked for yet.
func (in *input) nextPaste() string {
	in.mu.Lock()
	defer in.mu.Unlock()
	if len(in.pasted) == 0 {
		return ""
	}
	text := in.pasted[0]
	in.pasted = in.pasted[1:]
	return text
}

// cleanPaste makes pasted text editable: line ends are newlines, tabs four
// spaces, other control characters are dropped. The newline that comes along
// when a single line is copied is dropped as well.
func cleanPaste(s string) string {
	s = strings.ToValidUTF8(s, string(utf8.RuneError))
	s = strings.NewReplacer("\r\n", "\n", "\r", "\n", "\t", "    ").Replace(s)
	s = strings.Map(func(r rune) rune {
		switch {
		case r == '\n':
			return r
		case r < ' ' || r >= 0x7f && r < 0xa0:
			return -1
		case r >= 0xe000 && r <= 0xe0ff:
			return utf8.RuneError
		}
		return r
	}, s)
	if strings.Count(s, "\n") == 1 {
		s = strings.TrimSuffix(s, "\n")
	}
	return s
}
