package fetch

import "io"

// readCompact is readAll that drops the white space of JSON as it comes: Envoy and istiod indent what they print, which makes it twice as long, and many
// answers are held at a time. What does not begin like JSON stays as it is. n counts what was read.
func readCompact(r io.Reader, limit int64) (body []byte, n int64, err error) {
	r = io.LimitReader(r, limit+1)
	var c compactor
	piece := make([]byte, firstPiece)
	for err == nil {
		var read int
		read, err = r.Read(piece)
		n += int64(read)
		c.add(piece[:read])
	}
	switch {
	case err != io.EOF:
		return nil, n, err
	case n > limit:
		return nil, n, nil
	}
	return c.text(), n, nil
}

// A compactor drops the white space between the tokens of a JSON text that comes in pieces. Where it parts two tokens that would read as one without it,
// which no valid text has, a space stays, so that faults stay faults.
type compactor struct {
	full    [][]byte // what came before out: a single buffer that grows would be copied time and again
	size    int      // of those
	out     []byte
	last    byte // that was kept
	form    form
	quoted  bool // in a string
	escaped bool // after a backslash
	space   bool // white space was dropped behind the last byte
}

// form is whether a text is JSON.
type form int

const (
	unknown form = iota
	document
	other
)

func (c *compactor) add(p []byte) {
	if most := len(p) + 1; cap(c.out)-len(c.out) < most { // a space may be added that another piece ends with
		if len(c.out) > 0 {
			c.full = append(c.full, c.out)
			c.size += len(c.out)
		}
		c.out = make([]byte, 0, max(min(c.size/4, largePiece), most, firstPiece)) // little of the last one stays empty
	}
	if c.form == unknown {
		for _, b := range p {
			if b == '{' || b == '[' {
				c.form = document
				c.full, c.size, c.out = nil, 0, c.out[:0] // the white space before it
			} else if !isSpace(b) {
				c.form = other
			}
			if c.form != unknown {
				break
			}
		}
	}
	if c.form != document {
		c.out = append(c.out, p...)
		return
	}
	for i := 0; i < len(p); {
		from := i
		switch {
		case c.escaped:
			c.escaped = false
			i++
		case c.quoted:
			for i < len(p) && p[i] != '"' && p[i] != '\\' {
				i++
			}
			if i < len(p) {
				c.quoted, c.escaped = p[i] != '"', p[i] == '\\'
				i++
			}
		case isSpace(p[i]):
			for i < len(p) && isSpace(p[i]) {
				i++
			}
			c.space = true
			continue
		default:
			if c.space && !parts(p[i]) && !parts(c.last) {
				c.out = append(c.out, ' ')
			}
			c.space = false
			for i < len(p) && p[i] != '"' && !isSpace(p[i]) {
				i++
			}
			if i < len(p) && p[i] == '"' {
				c.quoted = true
				i++
			}
		}
		c.out = append(c.out, p[from:i]...)
		c.last = p[i-1]
	}
}

func (c *compactor) text() []byte {
	if len(c.full) == 0 {
		return c.out
	}
	text := make([]byte, 0, c.size+len(c.out))
	for i, piece := range c.full {
		text = append(text, piece...)
		c.full[i] = nil // what follows may need its memory
	}
	return append(text, c.out...)
}

func isSpace(b byte) bool { return b == ' ' || b == '\n' || b == '\r' || b == '\t' }

// parts tells whether a token ends before this byte and behind it, with white space or without.
func parts(b byte) bool {
	switch b {
	case '{', '}', '[', ']', ',', ':', '"':
		return true
	}
	return false
}
