package cli

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"syscall"
	"testing"

	"github.com/meshlark/meshlark/display"
)

// Interrupted while it waits for a source, while it computes, and before it
// began: the status is always the same, and nothing is taken for a result.
func TestInterrupt(t *testing.T) {
	for _, test := range []struct {
		name string
		args func(url string) []string
		now  bool // interrupted before it began
	}{
		{"fetching", func(url string) []string { return []string{"-s", url, "-e", "clusters()"} }, false},
		{"a check fetching", func(url string) []string { return []string{"check", "-s", url, "testdata/clusters.star"} }, false},
		{"computing", func(string) []string { return []string{"-e", "x = [i for i in range(1 << 60)]"} }, true},
		{"with a document", func(url string) []string { return []string{"-s", url, "-o", "json", "-e", "clusters()"} }, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			ctx, interrupt := context.WithCancel(t.Context())
			defer interrupt()
			server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				interrupt()
				<-r.Context().Done()
			}))
			defer server.Close()
			if test.now {
				interrupt()
			}
			var stdout, stderr strings.Builder
			status := Run(ctx, test.args(server.URL), strings.NewReader(""), &stdout, &stderr, nil)
			if status != exitInterrupted {
				t.Errorf("exit status %d, want %d; stderr:\n%s", status, exitInterrupted, stderr.String())
			}
			if stdout.Len() > 0 {
				t.Errorf("standard output has %q", stdout.String())
			}
		})
	}
}

// A reader that has seen enough is no error.
func TestBrokenPipe(t *testing.T) {
	for _, err := range []error{syscall.EPIPE} {
		var stderr strings.Builder
		status := Run(t.Context(), []string{"-e", "list(range(100000))"}, strings.NewReader(""), failingWriter{err}, &stderr, nil)
		if status != exitOK || stderr.Len() > 0 {
			t.Errorf("%v: exit status %d and %q, want %d and silence", err, status, stderr.String(), exitOK)
		}
	}
	var stderr strings.Builder
	status := Run(t.Context(), []string{"-e", "1"}, strings.NewReader(""), failingWriter{errors.New("no space left on device")}, &stderr, nil)
	if status == exitOK || !strings.Contains(stderr.String(), "no space left") {
		t.Errorf("disk full: exit status %d and %q, want a failure that says so", status, stderr.String())
	}
}

type failingWriter struct{ err error }

func (w failingWriter) Write([]byte) (int, error) { return 0, w.err }

func TestStyle(t *testing.T) {
	for _, test := range []struct {
		env   []string
		color bool
	}{
		{nil, false},
		{[]string{"CLICOLOR_FORCE=1"}, true},
		{[]string{"CLICOLOR_FORCE=0"}, false},
		{[]string{"CLICOLOR_FORCE=1", "NO_COLOR=1"}, false},
		{[]string{"CLICOLOR_FORCE=1", "NO_COLOR="}, true},
	} {
		got := newEnvironment(test.env).style(&strings.Builder{})
		if want := (display.Style{Color: test.color}); got != want {
			t.Errorf("%v: %+v, want %+v", test.env, got, want)
		}
	}
}

func TestByteSize(t *testing.T) {
	for _, test := range []struct {
		text string
		want int64
		back string
	}{
		{"0", 0, "0"}, {"500", 500, "500"}, {"500B", 500, "500"}, {"2GB", 2e9, "2GB"}, {"1.5 mb", 15e5, "1500KB"}, {"1KiB", 1024, "1024"}, {"2gib", 2 << 30, "2147483648"},
	} {
		var b byteSize
		if err := b.Set(test.text); err != nil {
			t.Errorf("%q: %v", test.text, err)
		} else if int64(b) != test.want || b.String() != test.back {
			t.Errorf("%q = %d, %s; want %d, %s", test.text, int64(b), &b, test.want, test.back)
		}
	}
	for _, text := range []string{"", "GB", "-1", "1e30", "NaN", "2 apples", "Inf"} {
		var b byteSize
		if err := b.Set(text); err == nil {
			t.Errorf("%q = %d, want an error", text, int64(b))
		}
	}
}
