package schema

// FirstLookup is LookupMessage in a process that has not looked anything up yet.
func FirstLookup(fullName string) (*Message, bool) {
	m := newTable(text).message(fullName)
	return m, m != nil
}

// Decode decodes a message from the lines of a block.
func Decode(name, lines string) *Message {
	return newTable("message " + name + "\n" + lines).message(name)
}
