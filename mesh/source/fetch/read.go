package fetch

import "io"

const (
	firstPiece = 64 << 10
	largePiece = 16 << 20
)

// readAll reads an answer to its end. length is what the answer says that it has, -1 if it does not.
//
// A single buffer that grows with the answer would be copied time and again, and need four times the memory meanwhile.
func readAll(r io.Reader, length int64) ([]byte, error) {
	size := int64(firstPiece)
	if length >= 0 {
		size = length + 1 // so that its end is seen without another piece
	}
	var pieces [][]byte
	var n int64
	var err error
	for err == nil {
		piece := make([]byte, size)
		read := 0
		for read < len(piece) && err == nil {
			var more int
			more, err = r.Read(piece[read:])
			read += more
		}
		pieces = append(pieces, piece[:read])
		n += int64(read)
		size = min(max(2*size, firstPiece), largePiece)
	}
	switch {
	case err != io.EOF:
		return nil, err
	case len(pieces) == 1:
		return pieces[0], nil
	}
	body := make([]byte, 0, n)
	for i, piece := range pieces {
		body = append(body, piece...)
		pieces[i] = nil // what follows may need its memory
	}
	return body, nil
}
