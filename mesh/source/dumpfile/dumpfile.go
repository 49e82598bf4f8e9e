// Package dumpfile reads configuration dumps that were saved to files: by curl from Envoy's admin interface, by istioctl, by egctl, from
// an istiod's debug API; and what Envoy is started with or reads itself, a bootstrap or a discovery response. A source is one file, a directory of
// them, a pipe, or standard input. The text is JSON or YAML.
//
// A dump that says which node it is of is that proxy; one that does not is named after its file. Beside a dump, files with
// Envoy's other admin answers (/clusters?format=json, /server_info, /certs, /stats?format=json, /listeners?format=json) in the same directory are taken as
// that proxy's, told by what is in them.
package dumpfile

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"

	"github.com/meshlark/meshlark/mesh"
	"github.com/meshlark/meshlark/xds/dump"
	"github.com/meshlark/meshlark/xds/naming"
	"github.com/meshlark/meshlark/xds/rawjson"
	"github.com/meshlark/meshlark/xds/resource"
)

// Source is a file, a directory, or a stream.
type Source struct {
	spec  string
	path  string
	stdin io.Reader // read once, when path is "-"

	mu     sync.Mutex
	store  *resource.Store
	stream stream
}

// New makes a source of a path; "-" is the given stream. Nothing is opened yet.
func New(path string, stdin io.Reader) *Source {
	return &Source{spec: path, path: path, stdin: stdin}
}

// UseStore shares the store that resource bodies are kept in.
func (s *Source) UseStore(store *resource.Store) { s.store = store }

// Spec is the path.
func (s *Source) Spec() string { return s.spec }

// Live is false: a file is a recording.
func (s *Source) Live() bool { return false }

// Survey reads the files. A file of a directory that is no dump is a failure of its own; a single one fails the source.
func (s *Source) Survey(ctx context.Context) (*mesh.Survey, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.store == nil {
		s.store = resource.NewStore()
	}
	if s.path == "-" {
		return s.readStream(ctx, "stdin", func() (io.ReadCloser, error) {
			if s.stdin == nil {
				return nil, errors.New("there is no standard input")
			}
			return io.NopCloser(s.stdin), nil
		})
	}
	switch info, err := os.Stat(s.path); {
	case err != nil:
		return nil, s.unreachable(err)
	case info.IsDir():
		return s.readDir(ctx)
	case !info.Mode().IsRegular(): // a pipe, such as a shell makes of <(command)
		return s.readStream(ctx, s.path, func() (io.ReadCloser, error) { return os.Open(s.path) })
	}
	text, err := readFile(s.path)
	if err != nil {
		return nil, s.unreachable(err)
	}
	return s.readOne(s.path, text)
}

func (s *Source) unreachable(err error) error {
	// Where the path is the spec that the message starts with, it is not said twice.
	var pe *fs.PathError
	var te *dump.Error
	if errors.As(err, &pe) {
		err = pe.Err
	} else if errors.As(err, &te) && te.Source == s.spec {
		short := *te
		short.Source = ""
		err = &short
	}
	return &mesh.UnreachableError{Source: s.spec, Err: err}
}

func (s *Source) readStream(ctx context.Context, name string, open func() (io.ReadCloser, error)) (*mesh.Survey, error) {
	text, err := s.stream.read(ctx, open)
	if err != nil {
		return nil, s.unreachable(err)
	}
	return s.readOne(name, text)
}

func (s *Source) readOne(path string, text []byte) (*mesh.Survey, error) {
	if answer := adminAnswer(text); answer != "" {
		return s.adminOnly(path, answer, text)
	}
	named, err := dump.SplitAll(s.store, text, dump.Options{Source: path})
	if err != nil {
		return nil, s.unreachable(err)
	}
	sv := &mesh.Survey{}
	for _, n := range named {
		s.add(sv, n, path, stem(filepath.Base(path)), &proxyFiles{dump: n.Dump})
	}
	return sv, nil
}

// adminOnly makes a proxy of a file that is no dump but another admin answer.
func (s *Source) adminOnly(path, answer string, text []byte) (*mesh.Survey, error) {
	sv := &mesh.Survey{}
	empty, err := dump.Split(s.store, []byte(`{"configs":[]}`), dump.Options{Source: path})
	if err != nil {
		return nil, s.unreachable(err)
	}
	files := &proxyFiles{dump: empty, admin: map[string][]byte{answer: text}}
	s.add(sv, &dump.Named{Dump: empty}, path, stem(filepath.Base(path)), files)
	return sv, nil
}

// add makes a proxy of a dump and the files beside it.
func (s *Source) add(sv *mesh.Survey, n *dump.Named, path, fallback string, files *proxyFiles) {
	id, metadata := n.Dump.Node()
	r := mesh.Record{NodeID: id, Metadata: metadata, Actual: files}
	info := rawjson.Value(files.admin["server_info"])
	if b := n.Dump.Bootstrap(); b != nil {
		raw, err := b.Raw()
		if err != nil { // whose dump it is is not known then
			sv.Failures = append(sv.Failures, mesh.Failure{Source: path, Stage: "bootstrap", Reason: err.Error(), Err: err})
		} else if v := naming.NodeEnvoyVersion(raw.Get("node")); v != "" {
			r.BuildInfo = "/" + v
		}
	}
	if len(info) > 0 {
		if r.NodeID == "" {
			r.NodeID, r.Metadata = info.Str("node", "id"), info.Get("node", "metadata")
		}
		r.BuildInfo = info.Str("version")
	}
	if r.NodeID == "" {
		r.Name = fallback
		if n.Pod != "" {
			r.Name = n.Pod + "." + n.Namespace
		}
	}
	if at := n.Dump.NewestUpdate(); at.After(sv.Captured) {
		sv.Captured = at
	}
	sv.Proxies = append(sv.Proxies, r)
}

// file is one file of a directory.
type file struct {
	path   string // below the directory
	answer string // the admin answer it holds; "" for a dump
	text   []byte
	dumps  []*dump.Named
	err    error
	beside bool // it has nothing to do with Envoy
}

func (s *Source) readDir(ctx context.Context) (*mesh.Survey, error) {
	files, err := find(s.path)
	if err != nil {
		return nil, s.unreachable(err)
	}
	if len(files) == 0 {
		return nil, s.unreachable(errors.New("the directory has no .json, .json.gz, .yaml or .yml file"))
	}
	s.readFiles(ctx, files)
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	return s.assemble(files)
}

// readFiles reads and splits, as many at a time as there are processors. What is split lets go of its text at once: a fleet's dumps
// share most of their resources.
func (s *Source) readFiles(ctx context.Context, files []*file) {
	work := make(chan *file)
	var wg sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		wg.Go(func() {
			for f := range work {
				s.readFile(f)
			}
		})
	}
	for _, f := range files {
		if ctx.Err() != nil {
			break
		}
		work <- f
	}
	close(work)
	wg.Wait()
}

func (s *Source) readFile(f *file) {
	full := filepath.Join(s.path, f.path)
	text, err := readFile(full)
	if err != nil {
		f.err = err
		return
	}
	if f.answer = adminAnswer(text); f.answer != "" {
		f.text = text
		return
	}
	f.dumps, f.err = dump.SplitAll(s.store, text, dump.Options{Source: full})
	if f.err != nil {
		var e *dump.Error
		f.beside = errors.As(f.err, &e) && e.Foreign && isYAMLName(f.path) // much else is written in YAML
		return
	}
	for _, n := range f.dumps {
		if f.err = n.Dump.Settle(); f.err != nil {
			return
		}
	}
}

// assemble makes proxies of the dumps and gives each the admin answers beside it: those of the same directory when it holds one dump.
func (s *Source) assemble(files []*file) (*mesh.Survey, error) {
	sv := &mesh.Survey{}
	dumpsIn := map[string]int{}
	for _, f := range files {
		dumpsIn[filepath.Dir(f.path)] += len(f.dumps)
	}
	answers := map[string]map[string][]byte{}
	for _, f := range files {
		if f.answer == "" {
			continue
		}
		dir := filepath.Dir(f.path)
		if dumpsIn[dir] > 1 {
			f.err = fmt.Errorf("it holds Envoy's /%s, but its directory has %d dumps; put each proxy's files in a directory of its own", f.answer, dumpsIn[dir])
			continue
		}
		if answers[dir] == nil {
			answers[dir] = map[string][]byte{}
		}
		answers[dir][f.answer] = f.text
	}
	var firstErr error
	for _, f := range files {
		if f.beside {
			continue
		}
		if f.err != nil {
			if firstErr == nil {
				firstErr = f.err
			}
			sv.Failures = append(sv.Failures, mesh.Failure{Source: filepath.Join(s.path, f.path), Stage: "open", Reason: f.err.Error(), Err: f.err})
			continue
		}
		for _, n := range f.dumps {
			dir := filepath.Dir(f.path)
			s.add(sv, n, filepath.Join(s.path, f.path), stem(filepath.ToSlash(f.path)), &proxyFiles{dump: n.Dump, admin: answers[dir]})
			if dumpsIn[dir] == 1 {
				delete(answers, dir)
			}
		}
	}
	for dir, admin := range answers {
		empty, err := dump.Split(s.store, []byte(`{"configs":[]}`), dump.Options{Source: filepath.Join(s.path, dir)})
		if err != nil {
			return nil, s.unreachable(err)
		}
		s.add(sv, &dump.Named{Dump: empty}, filepath.Join(s.path, dir), filepath.ToSlash(filepath.Join(filepath.Base(s.path), dir)), &proxyFiles{dump: empty, admin: admin})
	}
	if len(sv.Proxies) == 0 {
		return nil, s.unreachable(cmp.Or(firstErr, errors.New("no file of the directory has configuration of Envoy")))
	}
	return sv, nil
}

// stem is a path without what tells its type.
func stem(path string) string {
	path = strings.TrimSuffix(path, ".gz")
	return strings.TrimSuffix(path, filepath.Ext(path))
}

// answerKeys tell Envoy's admin answers by a field that each has at its top and a dump has not.
var answerKeys = []struct{ key, answer string }{
	{"cluster_statuses", "clusters"},
	{"listener_statuses", "listeners"},
	{"certificates", "certs"},
	{"stats", "stats"},
	{"hot_restart_version", "server_info"},
	{"command_line_options", "server_info"},
}

// adminAnswer tells which admin answer a text is, "" for none. It looks at the first key only: the answers have one or start with a
// telling one.
func adminAnswer(text []byte) string {
	head := bytes.TrimLeft(text, " \t\r\n\ufeff{")
	if len(text) > 0 && len(head) == len(text) {
		return ""
	}
	end := min(len(head), 64)
	for _, k := range answerKeys {
		if bytes.HasPrefix(head[:end], []byte(`"`+k.key+`"`)) {
			return k.answer
		}
	}
	if bytes.HasPrefix(head[:end], []byte(`"version"`)) && rawjson.Value(bytes.TrimSpace(text)).Get("command_line_options").Exists() {
		return "server_info"
	}
	return ""
}

// proxyFiles is what files say of one proxy.
type proxyFiles struct {
	dump  *dump.Dump
	admin map[string][]byte
}

// Read gives the whole dump.
func (p *proxyFiles) Read(context.Context, mesh.Request) (mesh.Answer, error) {
	return mesh.Answer{Dump: p.dump, Covers: mesh.CoversAll}, nil
}

// Admin gives the admin answer that was saved beside the dump.
func (p *proxyFiles) Admin(_ context.Context, path string, read func(io.Reader) error) (int64, error) {
	what, _, _ := strings.Cut(path, "?")
	if b := p.admin[what]; b != nil {
		if err := read(bytes.NewReader(b)); err != nil {
			return 0, fmt.Errorf("/%s as saved beside the dump: %w", what, err)
		}
		return int64(len(b)), nil
	}
	hint := what
	if slices.Contains([]string{"clusters", "stats", "listeners"}, what) {
		hint += "?format=json"
	}
	return 0, fmt.Errorf("/%s: %w: it was not saved beside the dump (save Envoy's /%s in a directory with it)", what, mesh.ErrNotAvailable, hint)
}

var _ mesh.Source = (*Source)(nil)
