// Package dumpfile reads configuration dumps that were saved to files: by curl from Envoy's admin interface, by istioctl, by egctl, from
// an istiod's debug API. A source is one file, a directory of them, or standard input.
//
// A dump that says which node it is of is that proxy; one that does not is named after its file. Beside a dump, files with
// Envoy's other admin answers (/clusters?format=json, /server_info, /certs, /stats?format=json, /listeners?format=json) in the same directory are taken as
// that proxy's, told by what is in them.
package dumpfile

import (
	"bytes"
	"compress/gzip"
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

	"golang.org/x/sync/errgroup"

	"github.com/meshlark/meshlark/mesh"
	"github.com/meshlark/meshlark/xds/dump"
	"github.com/meshlark/meshlark/xds/naming"
	"github.com/meshlark/meshlark/xds/rawjson"
	"github.com/meshlark/meshlark/xds/resource"
)

// maxBytes bounds one file, compressed or not, and what a compressed one unpacks to.
const maxBytes = 4 << 30

// Source is a file, a directory, or a stream.
type Source struct {
	spec  string
	path  string
	stdin io.Reader // read once, when path is "-"

	mu     sync.Mutex
	store  *resource.Store
	stream []byte
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
		return s.readStream()
	}
	info, err := os.Stat(s.path)
	if err != nil {
		return nil, s.unreachable(err)
	}
	if info.IsDir() {
		return s.readDir(ctx)
	}
	text, err := readFile(s.path)
	if err != nil {
		return nil, s.unreachable(err)
	}
	return s.readOne(s.path, text)
}

func (s *Source) unreachable(err error) error {
	var pe *fs.PathError
	if errors.As(err, &pe) {
		// The path is the spec that the message starts with.
		err = pe.Err
	}
	return &mesh.UnreachableError{Source: s.spec, Err: err}
}

func (s *Source) readStream() (*mesh.Survey, error) {
	if s.stream == nil {
		if s.stdin == nil {
			return nil, s.unreachable(errors.New("there is no standard input"))
		}
		text, err := readAll(s.stdin)
		if err != nil {
			return nil, s.unreachable(err)
		}
		s.stream = text
	}
	return s.readOne("stdin", s.stream)
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
		s.add(sv, n, stem(filepath.Base(path)), &proxyFiles{dump: n.Dump})
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
	s.add(sv, &dump.Named{Dump: empty}, stem(filepath.Base(path)), files)
	return sv, nil
}

// add makes a proxy of a dump and the files beside it.
func (s *Source) add(sv *mesh.Survey, n *dump.Named, fallback string, files *proxyFiles) {
	id, metadata := n.Dump.Node()
	r := mesh.Record{NodeID: id, Metadata: metadata, Actual: files}
	info := rawjson.Value(files.admin["server_info"])
	if b := n.Dump.Bootstrap(); b != nil {
		if raw, err := b.Raw(); err == nil {
			if v := naming.NodeEnvoyVersion(raw.Get("node")); v != "" {
				r.BuildInfo = "/" + v
			}
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
}

func (s *Source) readDir(ctx context.Context) (*mesh.Survey, error) {
	var files []*file
	err := filepath.WalkDir(s.path, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && path != s.path && strings.HasPrefix(d.Name(), ".") {
			return filepath.SkipDir
		}
		if d.Type().IsRegular() && isJSONName(d.Name()) {
			rel, err := filepath.Rel(s.path, path)
			if err != nil {
				return err
			}
			files = append(files, &file{path: rel})
		}
		return nil
	})
	if err != nil {
		return nil, s.unreachable(err)
	}
	if len(files) == 0 {
		return nil, s.unreachable(errors.New("the directory has no .json or .json.gz file"))
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
		if f.err != nil {
			if firstErr == nil {
				firstErr = f.err
			}
			sv.Failures = append(sv.Failures, mesh.Failure{Source: filepath.Join(s.path, f.path), Stage: "open", Reason: f.err.Error(), Err: f.err})
			continue
		}
		for _, n := range f.dumps {
			dir := filepath.Dir(f.path)
			s.add(sv, n, stem(filepath.ToSlash(f.path)), &proxyFiles{dump: n.Dump, admin: answers[dir]})
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
		s.add(sv, &dump.Named{Dump: empty}, filepath.ToSlash(filepath.Join(filepath.Base(s.path), dir)), &proxyFiles{dump: empty, admin: admin})
	}
	if len(sv.Proxies) == 0 {
		return nil, s.unreachable(firstErr)
	}
	return sv, nil
}

// isJSONName tells files that may hold a dump from others that lie beside them.
func isJSONName(name string) bool {
	name = strings.ToLower(name)
	return strings.HasSuffix(name, ".json") || strings.HasSuffix(name, ".json.gz")
}

// stem is a path without what tells its type.
func stem(path string) string {
	path = strings.TrimSuffix(path, ".gz")
	return strings.TrimSuffix(path, filepath.Ext(path))
}

func readFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if info.Size() > maxBytes {
		return nil, fmt.Errorf("the file has %d bytes, more than the limit of %d", info.Size(), int64(maxBytes))
	}
	text, err := readWhole(f, info.Size())
	if err != nil {
		return nil, err
	}
	return unpack(text)
}

// readWhole reads a file of a known size in parts at a time: most of the time goes to fresh memory, which every processor can get its own of.
func readWhole(f *os.File, size int64) ([]byte, error) {
	const part = 4 << 20
	text := make([]byte, size)
	wantHugePages(text)
	var group errgroup.Group
	group.SetLimit(runtime.GOMAXPROCS(0))
	for at := int64(0); at < size; at += part {
		group.Go(func() error {
			_, err := f.ReadAt(text[at:min(at+part, size)], at)
			if errors.Is(err, io.EOF) {
				return errors.New("the file became shorter while it was read")
			}
			return err
		})
	}
	return text, group.Wait()
}

func readAll(r io.Reader) ([]byte, error) {
	var buf bytes.Buffer
	if _, err := buf.ReadFrom(io.LimitReader(r, maxBytes+1)); err != nil {
		return nil, err
	}
	if buf.Len() > maxBytes {
		return nil, fmt.Errorf("it has more than the limit of %d bytes", int64(maxBytes))
	}
	return unpack(buf.Bytes())
}

func unpack(text []byte) ([]byte, error) {
	if !bytes.HasPrefix(text, []byte{0x1f, 0x8b}) {
		return text, nil
	}
	z, err := gzip.NewReader(bytes.NewReader(text))
	if err != nil {
		return nil, fmt.Errorf("unpacking gzip: %w", err)
	}
	var buf bytes.Buffer
	if _, err := buf.ReadFrom(io.LimitReader(z, maxBytes+1)); err != nil {
		return nil, fmt.Errorf("unpacking gzip after %d bytes: %w", buf.Len(), err)
	}
	if buf.Len() > maxBytes {
		return nil, fmt.Errorf("it unpacks to more than the limit of %d bytes", int64(maxBytes))
	}
	return buf.Bytes(), nil
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
func (p *proxyFiles) Admin(_ context.Context, path string) ([]byte, error) {
	what, _, _ := strings.Cut(path, "?")
	if b := p.admin[what]; b != nil {
		return b, nil
	}
	hint := what
	if slices.Contains([]string{"clusters", "stats", "listeners"}, what) {
		hint += "?format=json"
	}
	return nil, fmt.Errorf("/%s: %w: it was not saved beside the dump (save Envoy's /%s in a directory with it)", what, mesh.ErrNotAvailable, hint)
}

var _ mesh.Source = (*Source)(nil)
