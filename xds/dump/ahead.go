package dump

import (
	"bytes"
	"runtime"

	"github.com/meshlark/meshlark/xds/rawjson"
)

// An ahead reads the elements of the second half of a large, pretty printed text on another processor while the splitter reads the first.
//
// Where an element begins is guessed: at a line with nothing but the brace, indented as that of the first element. What is read at a place depends
// on nothing before it, so a guess that the splitter never comes to is of no consequence, and one that it comes to is what it would have read itself.
type ahead struct {
	from     int // where the second half begins
	done     chan struct{}
	starts   []int
	ends     []int
	wrappers []wrapper
	next     int // in starts: what the splitter has not passed yet
}

// worthAhead is how long a text is at least for two processors to be quicker than one.
const worthAhead = 1 << 20

// lookAhead starts an ahead for the list whose first element begins at i; nil when it is of no use.
func (s *splitter) lookAhead(i int) *ahead {
	if s.arrives || len(s.Text) < worthAhead || i > len(s.Text)/2 || runtime.GOMAXPROCS(0) < 2 {
		return nil
	}
	line := bytes.LastIndexByte(s.Text[:i], '\n')
	if line < 0 || len(bytes.TrimLeft(s.Text[line+1:i], " ")) > 0 {
		return nil
	}
	a := &ahead{from: len(s.Text) / 2, done: make(chan struct{})}
	go func() {
		defer close(a.done)
		a.read(s, s.Text[line:i+1])
	}()
	return a
}

// read finds lines that look like the given one and reads elements from there.
func (a *ahead) read(s *splitter, line []byte) {
	i := a.from
	for {
		at := bytes.Index(s.Text[i:], line)
		if at < 0 {
			return
		}
		i += at + len(line) - 1
		for s.Is(i, '{') {
			var w wrapper
			end, err := s.wrapper(i, &w)
			if err != nil {
				return
			}
			a.starts, a.ends, a.wrappers = append(a.starts, i), append(a.ends, end), append(a.wrappers, w)
			i = rawjson.SkipSpace(s.Text, end)
			if !s.Is(i, ',') {
				break
			}
			i = rawjson.SkipSpace(s.Text, i+1)
		}
	}
}

// at gives the element that begins at i if it has been read.
func (a *ahead) at(i int) (w *wrapper, end int) {
	if a == nil || i < a.from {
		return nil, 0
	}
	<-a.done
	for a.next < len(a.starts) && a.starts[a.next] < i {
		a.next++
	}
	if a.next == len(a.starts) || a.starts[a.next] != i {
		return nil, 0
	}
	return &a.wrappers[a.next], a.ends[a.next]
}
