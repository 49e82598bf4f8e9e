package dumpfile

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// find lists the files of a directory and those below it that may hold a dump. Links to files are followed, unless what they lead to is listed
// already; so Kubernetes mounts what a ConfigMap holds.
func find(root string) ([]*file, error) {
	real, err := filepath.EvalSymlinks(root)
	if err != nil {
		return nil, err
	}
	var files, links []*file
	listed := map[string]bool{}
	err = filepath.WalkDir(real, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && path != real && strings.HasPrefix(d.Name(), ".") {
			return filepath.SkipDir
		}
		if !mayBeDump(d.Name()) {
			return nil
		}
		rel, err := filepath.Rel(real, path)
		if err != nil {
			return err
		}
		switch {
		case d.Type().IsRegular():
			listed[path] = true
			files = append(files, &file{path: rel})
		case d.Type()&fs.ModeSymlink != 0:
			links = append(links, &file{path: rel})
		}
		return nil
	})
	for _, f := range links {
		path := filepath.Join(real, f.path)
		target, err := filepath.EvalSymlinks(path)
		if err != nil { // it leads nowhere, or in a circle, as reading it will tell
			files = append(files, f)
			continue
		}
		if info, err := os.Stat(target); err != nil || !info.Mode().IsRegular() || listed[target] {
			continue
		}
		listed[target] = true
		files = append(files, f)
	}
	return files, err
}

// mayBeDump tells files that may hold a dump from others that lie beside them.
func mayBeDump(name string) bool {
	name = strings.ToLower(name)
	return strings.HasSuffix(name, ".json") || strings.HasSuffix(name, ".json.gz") || isYAMLName(name)
}

func isYAMLName(name string) bool {
	ext := strings.ToLower(filepath.Ext(name))
	return ext == ".yaml" || ext == ".yml"
}
