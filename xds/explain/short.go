package explain

import "unicode/utf8"

// shortest is how many bytes of a text Short keeps.
const shortest = 200

// Short cuts a text from a request or a configuration to what a person reads of it, so that a reason stays a phrase however long the text is.
func Short(text string) string {
	if len(text) <= shortest {
		return text
	}
	end := shortest
	for end > 0 && !utf8.RuneStart(text[end]) {
		end--
	}
	return text[:end] + "..."
}
