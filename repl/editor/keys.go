package editor

// Keys that are no characters. They are code points of a private use area, in
// which nobody types: what comes from the terminal with such a code point is
// replaced. The editor puts them into the stream that readline reads, so that
// readline passes them on like characters.
const (
	KeyUp rune = 0xe000 + iota
	KeyDown
	KeyLeft
	KeyRight
	KeyHome
	KeyEnd
	KeyPageUp
	KeyPageDown
	KeyDelete // the key, not Ctrl-D

	keyWordLeft
	keyWordRight
	keyDeleteWord     // Alt-d
	keyDeleteWordBack // Alt-Backspace
	keyKillSpaceBack  // Ctrl-W
	keyKillEnd        // Ctrl-K
	keyKillStart      // Ctrl-U
	keyYank           // Ctrl-Y
	keyTranspose      // Ctrl-T
	keyOlder          // Ctrl-P
	keyNewer          // Ctrl-N
	keyPaste          // the text is in the input's queue
	keyNewline        // Enter that does not end the statement
	keyTab
	keySearchBack
	keySearchForward
	keySearchRune // a character for the search; see Terminal.typed
	keySearchBackspace
	keyCancel
	keyRedraw
	keySuspend
	keyNone // a sequence that means nothing
	keyLast
)

const (
	ctrlA     = 0x01
	ctrlB     = 0x02
	ctrlC     = 0x03
	ctrlD     = 0x04
	ctrlE     = 0x05
	ctrlF     = 0x06
	ctrlG     = 0x07
	ctrlH     = 0x08
	tab       = 0x09
	ctrlJ     = 0x0a
	ctrlK     = 0x0b
	ctrlL     = 0x0c
	enter     = 0x0d
	ctrlN     = 0x0e
	ctrlP     = 0x10
	ctrlR     = 0x12
	ctrlS     = 0x13
	ctrlT     = 0x14
	ctrlU     = 0x15
	ctrlW     = 0x17
	ctrlY     = 0x19
	ctrlZ     = 0x1a
	escape    = 0x1b
	backspace = 0x7f
)

// controls are the control characters that readline does not get to see as
// such, because it handles them badly or not at all: its history search and its
// candidate grid can end the process, so can its Ctrl-T; its Ctrl-W erases
// what follows the cursor; its Ctrl-Z stops the parent process as well.
var controls = map[rune]rune{
	ctrlA: KeyHome, ctrlE: KeyEnd, ctrlB: KeyLeft, ctrlF: KeyRight,
	ctrlP: keyOlder, ctrlN: keyNewer,
	ctrlK: keyKillEnd, ctrlU: keyKillStart, ctrlW: keyKillSpaceBack, ctrlY: keyYank, ctrlT: keyTranspose,
	ctrlR: keySearchBack, ctrlS: keySearchForward, ctrlG: keyCancel,
	tab: keyTab, ctrlL: keyRedraw, ctrlZ: keySuspend,
}

// isKey tells the Key constants from characters.
func isKey(r rune) bool { return r >= KeyUp && r < keyLast }

// sequences are the escape sequences of keys, without the escape. Terminals
// disagree on several keys, so there is more than one sequence for them.
var sequences = map[string]rune{
	"[A": KeyUp, "OA": KeyUp,
	"[B": KeyDown, "OB": KeyDown,
	"[C": KeyRight, "OC": KeyRight,
	"[D": KeyLeft, "OD": KeyLeft,
	"[H": KeyHome, "OH": KeyHome, "[1~": KeyHome, "[7~": KeyHome,
	"[F": KeyEnd, "OF": KeyEnd, "[4~": KeyEnd, "[8~": KeyEnd,
	"[5~": KeyPageUp, "[6~": KeyPageDown,
	"[3~":   KeyDelete,
	"[1;5D": keyWordLeft, "[1;3D": keyWordLeft, "[1;9D": keyWordLeft, "[5D": keyWordLeft, "Od": keyWordLeft, "b": keyWordLeft,
	"[1;5C": keyWordRight, "[1;3C": keyWordRight, "[1;9C": keyWordRight, "[5C": keyWordRight, "Oc": keyWordRight, "f": keyWordRight,
	"[3;5~": keyDeleteWord, "[3;3~": keyDeleteWord, "d": keyDeleteWord,
	"\x7f": keyDeleteWordBack, "\x08": keyDeleteWordBack,
	"\r": keyNewline, "\n": keyNewline,
}
