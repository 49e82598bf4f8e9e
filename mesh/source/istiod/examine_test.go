package istiod_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/meshlark/meshlark/internal/replay"
	"github.com/meshlark/meshlark/mesh"
	"github.com/meshlark/meshlark/mesh/source/fetch"
	"github.com/meshlark/meshlark/mesh/source/istiod"
)

func TestExamine(t *testing.T) {
	recorded := replay.NewIstiod("testdata/recorded")
	refuse := func(path string, code int) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == path || path == "" {
				http.Error(w, "no", code)
				return
			}
			recorded.ServeHTTP(w, r)
		})
	}
	for name, test := range map[string]struct {
		h    http.Handler
		want []string // the beginning of each finding
	}{
		"well":    {recorded, []string{"ok ADDRESS: istiod 1.31-dev-eed52ebb66ad, 6 proxies connected istiods() proxies() p.desired() p.diff() p.connected"}},
		"no adsz": {refuse("/debug/adsz", 403), []string{"ok ", "limited debug/adsz: what the proxies say of themselves is not known: GET ADDRESS/debug/adsz: HTTP status 403"}},
		"refused": {refuse("", 401), []string{"denied debug API: GET ADDRESS/debug/syncz: HTTP status 401 Unauthorized: no; istiod trusts"}},
		"other":   {http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "<html>") }), []string{"unreachable debug API: GET ADDRESS/debug/syncz: the answer is HTML"}},
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(test.h)
			t.Cleanup(server.Close)
			found := istiod.New("istiod", server.URL, fetch.Options{}).Examine(t.Context(), mesh.Examination{Now: time.Now, Wait: 30 * time.Second})
			if len(found) != len(test.want) {
				t.Fatalf("found %+v", found)
			}
			for i, f := range found {
				got := fmt.Sprintf("%s %s: %s %s", f.Outcome, f.Subject, f.Detail, strings.Join(f.Questions, " "))
				got = strings.ReplaceAll(strings.ReplaceAll(got, "http://", ""), strings.TrimPrefix(server.URL, "http://"), "ADDRESS")
				if !strings.HasPrefix(got, test.want[i]) {
					t.Errorf("%s\nwant %s", got, test.want[i])
				}
				if strings.HasPrefix(got, "unreachable") && !f.Fatal() {
					t.Errorf("%s: want that it leaves everything open", got)
				}
			}
		})
	}
}
