package fetch_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/meshlark/meshlark/mesh"
	"github.com/meshlark/meshlark/mesh/source/fetch"
)

func TestGet(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, r.Method, " ", r.URL.RequestURI())
	}))
	defer server.Close()
	b, err := fetch.New("x", server.URL+"/", fetch.Options{}).Get(t.Context(), "config_dump?mask=a%2Cb")
	if want := "GET /config_dump?mask=a%2Cb"; err != nil || string(b) != want {
		t.Errorf("got %q, error %v; want %q", b, err, want)
	}
}

// Each way to fail has its own words, and all of them but a cancelled call are an UnreachableError.
func TestFaults(t *testing.T) {
	refused, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	refused.Close()
	hang := make(chan struct{})
	t.Cleanup(func() { close(hang) })
	for _, test := range []struct {
		name    string
		handler http.HandlerFunc
		want    string
	}{
		{"refused", nil, "connection refused"},
		{"hangs", func(http.ResponseWriter, *http.Request) { <-hang }, "no answer within 300ms"},
		{"stalls", func(w http.ResponseWriter, _ *http.Request) {
			fmt.Fprint(w, "12345")
			w.(http.Flusher).Flush()
			<-hang
		}, "after 5 bytes"},
		{"closes", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, "closed without an answer"},
		{"closes half way", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "100")
			fmt.Fprint(w, "12345")
			w.(http.Flusher).Flush()
			panic(http.ErrAbortHandler)
		}, "in the middle of the answer, after 5 bytes"},
		{"503", func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(503)
			fmt.Fprint(w, "\n  no healthy upstream\x1b[31m\nmore")
		}, "HTTP status 503 Service Unavailable: no healthy upstream [31m"},
		{"redirect", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/login", http.StatusFound) }, "HTTP status 302"},
		{"too long", func(w http.ResponseWriter, _ *http.Request) {
			fmt.Fprint(w, strings.Repeat("x", 2000))
			w.(http.Flusher).Flush()
		}, "more than the limit of 1000 bytes"},
		{"too long and says so", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "2000")
			fmt.Fprint(w, strings.Repeat("x", 2000))
		}, "has 2000 bytes, more than the limit of 1000 bytes"},
	} {
		t.Run(test.name, func(t *testing.T) {
			base := "http://" + refused.Addr().String()
			if test.handler != nil {
				server := httptest.NewUnstartedServer(test.handler)
				server.Config.ErrorLog = nil
				server.Start()
				t.Cleanup(server.CloseClientConnections)
				base = server.URL
			}
			_, err := fetch.New("the-spec", base, fetch.Options{Timeout: 300 * time.Millisecond, MaxBytes: 1000}).Get(context.Background(), "x")
			var unreachable *mesh.UnreachableError
			if !errors.As(err, &unreachable) || unreachable.Source != "the-spec" || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %v, want an UnreachableError of the-spec with %q", err, test.want)
			}
		})
	}
}

func TestCancel(t *testing.T) {
	hang := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-hang }))
	defer server.Close()
	defer close(hang)
	ctx, cancel := context.WithCancelCause(context.Background())
	why := errors.New("interrupted")
	time.AfterFunc(20*time.Millisecond, func() { cancel(why) })
	if _, err := fetch.New("x", server.URL, fetch.Options{}).Get(ctx, "x"); !errors.Is(err, why) {
		t.Errorf("error %v, want the cause of the cancellation", err)
	}
}

// A source that hangs uses up half of the time there is, and the rest is left for those that do not. One from which something still comes is waited for
// longer than one that is silent.
func TestHalfTheTime(t *testing.T) {
	hang := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/begins" {
			fmt.Fprint(w, "x")
			w.(http.Flusher).Flush()
		}
		<-hang
	}))
	defer server.Close()
	defer close(hang)
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	for _, path := range []string{"silent", "begins"} {
		_, err := fetch.New("x", server.URL, fetch.Options{}).Get(ctx, path)
		var unreachable *mesh.UnreachableError
		if !errors.As(err, &unreachable) || !errors.Is(err, context.DeadlineExceeded) || ctx.Err() != nil {
			t.Errorf("%s: error %v with %v left of the question, want that this source was late and time left", path, err, ctx.Err())
		}
	}
}

func TestQuiet(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for range 20 {
			fmt.Fprint(w, "x")
			w.(http.Flusher).Flush()
			time.Sleep(20 * time.Millisecond)
		}
		if r.URL.Path == "/hangs" {
			<-r.Context().Done()
		}
	}))
	defer server.Close()
	defer server.CloseClientConnections()
	c := fetch.New("x", server.URL, fetch.Options{Quiet: 300 * time.Millisecond})
	if b, err := c.Get(context.Background(), "slow"); err != nil || len(b) != 20 {
		t.Errorf("a slow answer: %q, %v", b, err)
	}
	if _, err := c.Get(context.Background(), "hangs"); err == nil || !strings.Contains(err.Error(), "no end of the answer within 300ms, after 20 bytes") {
		t.Errorf("an answer that stops in the middle: error %v", err)
	}
}

func TestParallel(t *testing.T) {
	var now, most atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		n := now.Add(1)
		defer now.Add(-1)
		for {
			m := most.Load()
			if n <= m || most.CompareAndSwap(m, n) {
				break
			}
		}
		time.Sleep(5 * time.Millisecond)
	}))
	defer server.Close()
	c := fetch.New("x", server.URL, fetch.Options{Parallel: 2})
	done := make(chan error)
	for range 10 {
		go func() {
			_, err := c.Get(context.Background(), "x")
			done <- err
		}()
	}
	for range 10 {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	if most.Load() > 2 {
		t.Errorf("%d requests at a time, want at most 2", most.Load())
	}
}

func TestJSON(t *testing.T) {
	for body, want := range map[string]string{
		`{"a":1}`: "", "\n [1]": "", "": "empty", " \n": "empty", "<html>\n": "is HTML", strings.Repeat(" ", 1<<20) + "[1]": "",
		"Failed to convert protobuf message to JSON string: INTERNAL": "plain text, want JSON: Failed to convert",
	} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, body) }))
		var got []byte
		size, err := fetch.New("x", server.URL, fetch.Options{}).JSON(t.Context(), "y", func(r io.Reader) (err error) {
			got, err = io.ReadAll(r)
			return err
		})
		server.Close()
		if want == "" && (err != nil || string(got) != body || size != int64(len(body))) || want != "" && (err == nil || got != nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%.60q: got %.60q of %d bytes, error %v; want %q", body, got, size, err, want)
		}
	}
}

// Messages name the source before the document, so that the document need not.
func TestDocument(t *testing.T) {
	for _, test := range []struct{ spec, base, path, want string }{
		{"http://10.0.0.1:15000", "http://10.0.0.1:15000", "clusters?format=json", "/clusters?format=json"},
		{"istiod+http://istiod:15014", "http://istiod:15014", "debug/syncz", "/debug/syncz"},
		{"web-0.shop", "http://web-0.shop:15500", "certs", ":15500/certs"},
		{"web-0.shop", "http://10.0.0.1:15000", "certs", "http://10.0.0.1:15000/certs"},
		{"web-0.shop", "http://web-0.shop:15000", "config_dump?mask=static_clusters,dynamic_active_clusters&name_regex=x", ":15000/config_dump?..."},
	} {
		if got := fetch.New(test.spec, test.base, fetch.Options{}).Document(test.path); got != test.want {
			t.Errorf("%s of %s: %q, want %q", test.path, test.spec, got, test.want)
		}
	}
}

// Whoever takes an answer may refuse it in the middle: what he says is the error, and the connection serves the next request.
func TestRefusedAnswer(t *testing.T) {
	connections := map[string]bool{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		connections[r.RemoteAddr] = true
		fmt.Fprint(w, "[", strings.Repeat(" ", 1<<20), "]")
	}))
	defer server.Close()
	c := fetch.New("the-spec", server.URL, fetch.Options{})
	why := errors.New("not what it should be")
	for range 3 {
		_, err := c.JSON(t.Context(), "y", func(r io.Reader) error {
			r.Read(make([]byte, 10))
			return why
		})
		var unreachable *mesh.UnreachableError
		if !errors.Is(err, why) || !errors.As(err, &unreachable) {
			t.Errorf("error %v, want an UnreachableError with %v", err, why)
		}
	}
	if len(connections) != 1 {
		t.Errorf("%d connections, want one", len(connections))
	}
}
