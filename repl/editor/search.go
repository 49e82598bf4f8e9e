package editor

import (
	"slices"
	"strings"
	"unicode/utf8"
)

// search is an incremental search in the history.
type search struct {
	query   string
	at      int  // the entry that is shown, len(history) before one is found
	failing bool // nothing older, or newer, holds the query
	before  buffer
}

// find looks for the query from an entry on, in steps of 1 or -1.
func (s *search) find(history []string, from, step int) (b buffer, ok bool) {
	if s.query == "" {
		return b, false
	}
	for i := from; i >= 0 && i < len(history); i += step {
		if at := strings.Index(history[i], s.query); at >= 0 {
			s.at, s.failing = i, false
			return buffer{[]rune(history[i]), utf8.RuneCountInString(history[i][:at])}, true
		}
	}
	s.failing = true
	return b, false
}

// prompt is shown while searching.
func (s *search) prompt() string {
	if s.failing {
		return "(not found: " + s.query + ") "
	}
	return "(search: " + s.query + ") "
}

// startSearch begins a search, or goes on to the next entry that holds the
// query.
func (t *Terminal) startSearch(b *buffer, step int) {
	if t.search == nil {
		t.search = &search{at: len(t.history), before: buffer{slices.Clone(b.text), b.pos}}
		return
	}
	if found, ok := t.search.find(t.history, t.search.at+step, step); ok {
		*b = found
	}
}

// refineSearch looks anew after the query changed.
func (t *Terminal) refineSearch(b *buffer) {
	if t.search == nil {
		return
	}
	from := min(t.search.at, len(t.history)-1)
	if found, ok := t.search.find(t.history, from, -1); ok {
		*b = found
	}
}

// searching filters a key while a search is under way. It reports false when
// the key ends the search and means what it always means.
func (t *Terminal) searching(r rune) (rune, bool) {
	switch {
	case r == ctrlR:
		return keySearchBack, true
	case r == ctrlS:
		return keySearchForward, true
	case r == ctrlG:
		return keyCancel, true
	case r == ctrlC:
		t.rl.Terminal.KickRead() // it stops reading after a Ctrl-C
		return keyCancel, true
	case r == ctrlD:
		t.rl.Terminal.KickRead()
		t.search = nil
		return keyNone, true
	case r == backspace || r == ctrlH:
		return keySearchBackspace, true
	case r >= ' ' && !isKey(r):
		t.typed = r
		return keySearchRune, true
	}
	t.search = nil
	return r, false
}
