package envoy_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/meshlark/meshlark/internal/envoytest"
	"github.com/meshlark/meshlark/mesh"
	"github.com/meshlark/meshlark/mesh/source/envoy"
	"github.com/meshlark/meshlark/mesh/source/fetch"
)

func examine(t *testing.T, base string, o fetch.Options) []string {
	t.Helper()
	var lines []string
	for _, f := range envoy.New(base, base, o).Examine(t.Context(), mesh.Examination{Now: time.Now, Wait: 30 * time.Second}) {
		lines = append(lines, strings.TrimSpace(strings.ReplaceAll(fmt.Sprintf("%s %s: %s %s", f.Outcome, f.Subject, f.Detail, strings.Join(f.Questions, " ")), base, "URL")))
	}
	return lines
}

// A real Envoy answers every path that is asked, in its smallest form.
func TestExamineEnvoy(t *testing.T) {
	scene := envoytest.StartScene(t)
	s := &spy{}
	got := examine(t, scene.AdminURL(), fetch.Options{Transport: s})
	if len(got) != 2 || !strings.HasPrefix(got[0], "ok admin interface: Envoy 1.") || !strings.HasPrefix(got[1], "ok paths: /config_dump /clusters /certs /stats ") {
		t.Errorf("found %q", got)
	}
	const most = 160 << 10 // of which /server_info, with its list of extensions, is 126 kB
	if s.moved > most {
		t.Errorf("%d bytes were moved to find out that it answers", s.moved)
	}
}

// What is refused is told by its path, with what it leaves open.
func TestExamineRefused(t *testing.T) {
	var mu sync.Mutex
	var asked []string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		asked = append(asked, r.URL.Path)
		mu.Unlock()
		switch r.URL.Path {
		case "/server_info":
			io.WriteString(w, `{"version":"abc/1.36.0/Clean/RELEASE/BoringSSL"}`)
		case "/clusters", "/certs":
			http.Error(w, "not allowed", http.StatusForbidden)
		default:
			io.WriteString(w, "{}")
		}
	}))
	t.Cleanup(server.Close)
	want := []string{
		"ok admin interface: Envoy 1.36.0 p.server_info()",
		"ok paths: /config_dump /stats p.listeners() p.routes() p.clusters() p.endpoints() p.secrets() p.bootstrap() p.stats()",
		"denied /clusters: it answers with HTTP status 403 e.health e.live e.stats",
		"denied /certs: it answers with HTTP status 403 p.certs()",
	}
	if diff := cmp.Diff(want, examine(t, server.URL, fetch.Options{})); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	slices.Sort(asked)
	if diff := cmp.Diff([]string{"/certs", "/clusters", "/config_dump", "/server_info", "/stats"}, asked); diff != "" {
		t.Errorf("asked, -want +got:\n%s", diff)
	}
}

func TestExamineUnreachable(t *testing.T) {
	other := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(other.Close)
	for base, want := range map[string]string{
		"http://127.0.0.1:1": "unreachable admin interface: GET /server_info: ",
		other.URL:            "unreachable admin interface: GET /server_info: HTTP status 404",
	} {
		got := examine(t, base, fetch.Options{})
		if len(got) != 1 || !strings.HasPrefix(got[0], want) || !strings.HasSuffix(got[0], mesh.Everything) {
			t.Errorf("%s: %q, want %q", base, got, want)
		}
	}
}
