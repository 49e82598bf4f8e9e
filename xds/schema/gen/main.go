// Gen writes the table that package schema embeds: what the Envoy API's definitions say about every message and enum.
//
// It is run by "go generate ./xds/schema" after a module it reads has moved to another version. It reads the definitions out of the
// source text of the generated Go packages, so that none of those hundreds of packages is compiled or linked.
package main

import (
	"flag"
	"fmt"
	"os"
)

func main() {
	out := flag.String("o", "schema.txt", "the file to write")
	flag.Parse()
	if err := generate(*out); err != nil {
		fmt.Fprintln(os.Stderr, "gen:", err)
		os.Exit(1)
	}
}

func generate(out string) error {
	var sources []source
	for _, m := range modules {
		s, err := m.locate()
		if err != nil {
			return err
		}
		sources = append(sources, s)
	}
	text, err := table(sources)
	if err != nil {
		return err
	}
	return os.WriteFile(out, text, 0o644)
}
