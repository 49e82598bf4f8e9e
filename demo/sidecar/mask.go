package sidecar

import (
	"fmt"
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/anypb"
)

// maskPaths splits the text of a field mask.
func maskPaths(mask string) []string {
	var out []string
	for path := range strings.SplitSeq(mask, ",") {
		if path != "" {
			out = append(out, path)
		}
	}
	return out
}

// debugMask is a mask as Envoy prints it in messages.
func debugMask(paths []string) string {
	var b strings.Builder
	b.WriteString("goo.gle/debugstr\n")
	for _, p := range paths {
		fmt.Fprintf(&b, "paths: %q\n", p)
	}
	return b.String()
}

// validPaths tells whether a message has all the fields. A path cannot go on below a repeated field or a scalar.
func validPaths(d protoreflect.MessageDescriptor, paths []string) bool {
	for _, path := range paths {
		at := d
		for name := range strings.SplitSeq(path, ".") {
			if name == "" {
				continue
			}
			if at == nil {
				return false
			}
			fd := at.Fields().ByName(protoreflect.Name(name))
			if fd == nil {
				return false
			}
			at = nil
			if !fd.IsList() && !fd.IsMap() {
				at = fd.Message()
			}
		}
	}
	return true
}

// trim clears the fields of a message that no path leads to. The paths are valid.
func trim(m protoreflect.Message, paths []string) {
	below := map[protoreflect.Name][]string{}
	for _, path := range paths {
		name, rest, _ := strings.Cut(path, ".")
		key := protoreflect.Name(name)
		if known, ok := below[key]; ok && known == nil || rest == "" {
			below[key] = nil // all of the field
			continue
		}
		below[key] = append(below[key], rest)
	}
	m.Range(func(fd protoreflect.FieldDescriptor, _ protoreflect.Value) bool {
		rest, kept := below[fd.Name()]
		switch {
		case !kept:
			m.Clear(fd)
		case len(rest) > 0:
			// A copy: the message below may be one that the sidecar holds.
			inner := proto.Clone(m.Get(fd).Message().Interface()).ProtoReflect()
			trim(inner, rest)
			m.Set(fd, protoreflect.ValueOfMessage(inner))
		}
		return true
	})
}

// trimElement trims an element of a section. Its paths may lead into the Any that holds the resource. It is false for paths that lead nowhere.
func trimElement(m protoreflect.Message, paths []string) bool {
	var outer, inner []string
	var holder protoreflect.FieldDescriptor
	for _, path := range paths {
		name, rest, _ := strings.Cut(path, ".")
		fd := m.Descriptor().Fields().ByName(protoreflect.Name(name))
		if fd == nil || fd.IsList() || fd.Message() == nil || fd.Message().FullName() != "google.protobuf.Any" {
			outer = append(outer, path)
			continue
		}
		if rest == "" {
			return false // Envoy does not take the whole of a resource this way
		}
		holder = fd
		outer = append(outer, name)
		inner = append(inner, rest)
	}
	if holder != nil && m.Has(holder) {
		a, ok := m.Get(holder).Message().Interface().(*anypb.Any)
		if !ok {
			return false
		}
		body, err := a.UnmarshalNew()
		if err != nil || !validPaths(body.ProtoReflect().Descriptor(), inner) {
			return false
		}
		trim(body.ProtoReflect(), inner)
		m.Set(holder, protoreflect.ValueOfMessage(pack(body).ProtoReflect()))
	}
	if !validPaths(m.Descriptor(), outer) {
		return false
	}
	trim(m, outer)
	return true
}
