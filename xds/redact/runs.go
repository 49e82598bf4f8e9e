package redact

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
)

// A run is a stretch of base64 digits, with the white space between them left out.
type run struct {
	digits []byte
	at     []int // where in the text each digit stands
	whole  bool  // no white space was left out, and the run was not cut
	end    int   // in the text, after the padding
}

// A run that is longer than runWindow digits is looked at in parts, which overlap by more than the largest key.
const (
	runWindow  = 1 << 20
	runOverlap = 1 << 17
)

// runs finds keys encoded in base64 or hexadecimal.
func (f *finder) runs() {
	var r run
	t := f.text
	for i := 0; i < len(t); {
		if class[t[i]] != digit {
			i++
			continue
		}
		r.digits, r.at, r.whole = r.digits[:0], r.at[:0], true
		cut := false
		for i < len(t) && !cut {
			switch class[t[i]] {
			case digit:
				if t[i] == '-' && bytes.HasPrefix(t[i:], []byte("----")) {
					cut = true
					for i < len(t) && t[i] == '-' {
						i++
					}
					continue
				}
				if n := len(r.at); n > 0 && r.at[n-1] != i-1 {
					r.whole = false
				}
				r.digits = append(r.digits, t[i])
				r.at = append(r.at, i)
				i++
				if len(r.digits) == runWindow {
					r.whole, r.end = false, i
					f.run(&r)
					r.digits = append(r.digits[:0], r.digits[runWindow-runOverlap:]...)
					r.at = append(r.at[:0], r.at[runWindow-runOverlap:]...)
				}
			case blank:
				i++
			default:
				cut = true
			}
		}
		if len(r.digits) < leastRun {
			continue
		}
		r.end = r.at[len(r.at)-1] + 1
		for r.end < len(t) && t[r.end] == '=' {
			r.end++
		}
		f.run(&r)
	}
}

// run looks at one stretch: hexadecimal parts first, then base64 from each of its first four digits, since what stands directly before a
// key may look like a part of it.
func (f *finder) run(r *run) {
	for i := 0; i < len(r.digits); {
		j := i
		for j < len(r.digits) && isHexDigit(r.digits[j]) {
			j++
		}
		if j-i >= 2*leastSecret {
			for phase := range 2 {
				b := make([]byte, (j-i-phase)/2)
				hex.Decode(b, r.digits[i+phase:i+phase+2*len(b)])
				f.decoded(r, b, i+phase, 1, 2)
			}
		}
		i = j + 1
	}
	std := make([]byte, len(r.digits))
	url := false
	for i, c := range r.digits {
		switch c {
		case '-':
			c, url = '+', true
		case '_':
			c, url = '/', true
		}
		std[i] = c
	}
	for phase := range 4 {
		in := std[phase:]
		if len(in)%4 == 1 {
			in = in[:len(in)-1]
		}
		b := make([]byte, base64.RawStdEncoding.DecodedLen(len(in)))
		n, _ := base64.RawStdEncoding.Decode(b, in)
		if phase == 0 && r.whole && len(in) == len(std) && f.recode(r, b[:n], url) {
			return
		}
		f.decoded(r, b[:n], phase, 3, 4)
	}
}

func isHexDigit(b byte) bool {
	return '0' <= b && b <= '9' || 'a' <= b|0x20 && b|0x20 <= 'f'
}

// recode handles a run that is base64 of text: the text is cleaned and encoded again. It reports whether it found anything.
func (f *finder) recode(r *run, text []byte, url bool) bool {
	if f.depth >= nesting || !searchable(text) {
		return false
	}
	keys := false
	findKeys(text, func(int, int) { keys = true })
	if keys {
		return false
	}
	edits := scrub(text, f.depth+1)
	if len(edits) == 0 {
		return false
	}
	enc := base64.RawStdEncoding
	if url {
		enc = base64.RawURLEncoding
	}
	from := r.at[0]
	with := enc.EncodeToString(apply(text, edits))
	if (r.end-from)%4 == 0 { // padded, or nothing to pad
		for len(with)%4 != 0 {
			with += "="
		}
	}
	f.replace(from, r.end, with)
	return true
}

// decoded looks at the bytes that a run stands for from its digit skip on; num bytes take den digits.
func (f *finder) decoded(r *run, b []byte, skip, num, den int) {
	low, high := 0, -1 // the digits of the last replacement, whole words
	cover := func(from, to int) {
		first := skip + from*den/num
		last := min(skip+(to*den+num-1)/num, len(r.digits)) - 1
		if low <= first && first <= high {
			first = high + 1
		}
		if last < first {
			return
		}
		// Take in the words that the key begins and ends in.
		for first > 0 && r.at[first-1] == r.at[first]-1 {
			first--
		}
		for last+1 < len(r.at) && r.at[last+1] == r.at[last]+1 {
			last++
		}
		low, high = first, last
		end := r.at[last] + 1
		if last+1 == len(r.at) {
			end = r.end
		}
		f.replace(r.at[first], end, redactedBase64)
	}
	findKeys(b, cover)
	if f.depth < nesting && hasRun(b) {
		for _, e := range scrub(b, f.depth+1) {
			cover(e.from, e.to)
		}
	}
}
