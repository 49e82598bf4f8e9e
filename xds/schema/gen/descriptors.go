package main

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"strconv"
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/descriptorpb"
)

// readDefinition takes the definition out of a file that protoc-gen-go wrote. The file holds it as the serialized
// descriptor, in a constant (or, from older generators, a variable) named file_..._rawDesc.
func readDefinition(path string) (*descriptorpb.FileDescriptorProto, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read definition: %w", err)
	}
	file, err := parser.ParseFile(token.NewFileSet(), path, text, parser.SkipObjectResolution)
	if err != nil {
		return nil, fmt.Errorf("read definition: %w", err)
	}
	for _, decl := range file.Decls {
		gen, ok := decl.(*ast.GenDecl)
		if !ok {
			continue
		}
		for _, spec := range gen.Specs {
			value, ok := spec.(*ast.ValueSpec)
			if !ok || len(value.Values) != 1 || !strings.HasSuffix(value.Names[0].Name, "_rawDesc") {
				continue
			}
			raw, err := appendLiteral(nil, value.Values[0])
			if err != nil {
				return nil, fmt.Errorf("read definition in %s: %w", path, err)
			}
			def := new(descriptorpb.FileDescriptorProto)
			if err := proto.Unmarshal(raw, def); err != nil {
				return nil, fmt.Errorf("read definition in %s: %w", path, err)
			}
			return def, nil
		}
	}
	return nil, fmt.Errorf("read definition in %s: no constant named file_..._rawDesc", path)
}

// appendLiteral appends the bytes of a sum of string literals or of a []byte literal.
func appendLiteral(dst []byte, e ast.Expr) ([]byte, error) {
	switch e := e.(type) {
	case *ast.BinaryExpr:
		dst, err := appendLiteral(dst, e.X)
		if err != nil {
			return nil, err
		}
		return appendLiteral(dst, e.Y)
	case *ast.CompositeLit:
		for _, elt := range e.Elts {
			lit, ok := elt.(*ast.BasicLit)
			if !ok {
				return nil, fmt.Errorf("a byte is a %T, want a number", elt)
			}
			b, err := strconv.ParseUint(lit.Value, 0, 8)
			if err != nil {
				return nil, err
			}
			dst = append(dst, byte(b))
		}
		return dst, nil
	case *ast.BasicLit:
		s, err := strconv.Unquote(e.Value)
		return append(dst, s...), err
	}
	return nil, fmt.Errorf("the descriptor is a %T, want string or byte literals", e)
}
