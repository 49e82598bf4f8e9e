package fetch_test

import (
	"context"
	"errors"
	"fmt"
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
		{"hangs", func(http.ResponseWriter, *http.Request) { <-hang }, "no answer in time"},
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
		}, "longer than the limit of 1000 bytes"},
		{"too long and says so", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "2000")
			fmt.Fprint(w, strings.Repeat("x", 2000))
		}, "has 2000 bytes, more than the limit of 1000"},
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

func TestCheckJSON(t *testing.T) {
	for body, want := range map[string]string{
		`{"a":1}`: "", "\n [1]": "", "": "empty", " \n": "empty", "<html>\n": "is HTML",
		"Failed to convert protobuf message to JSON string: INTERNAL": "plain text, want JSON: Failed to convert",
	} {
		err := fetch.CheckJSON("http://x/y", []byte(body))
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("CheckJSON(%q) = %v, want %q", body, err, want)
		}
	}
}
