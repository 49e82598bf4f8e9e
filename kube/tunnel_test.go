package kube_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math/rand"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/meshlark/meshlark/kube"
	"github.com/meshlark/meshlark/kube/kubetest"
)

func pod(namespace, name string) corev1.Pod {
	return corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}, Status: corev1.PodStatus{Phase: corev1.PodRunning}}
}

func open(t *testing.T, s *kubetest.Server) *kube.Cluster {
	t.Helper()
	config, err := kube.Load(kube.Options{Kubeconfig: s.Kubeconfig()})
	if err != nil {
		t.Fatal(err)
	}
	c, err := kube.New(config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func get(ctx context.Context, c *kube.Cluster, url string) ([]byte, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	response, err := c.Transport().RoundTrip(r)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	return io.ReadAll(response.Body)
}

var echo = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, r.URL.Path) })

// eventually waits for what happens on another goroutine; it fails when that does not happen at all.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for range 1000 {
		if ok() {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatalf("%s: not within 10 s", what)
}

func testBothWays(t *testing.T, test func(t *testing.T, s *kubetest.Server)) {
	t.Run("websocket", func(t *testing.T) { test(t, kubetest.New(t)) })
	t.Run("spdy", func(t *testing.T) {
		s := kubetest.New(t)
		s.NoWebsockets()
		test(t, s)
	})
}

func TestOneTunnelForManyRequests(t *testing.T) {
	testBothWays(t, func(t *testing.T, s *kubetest.Server) {
		s.Add(pod("default", "web.v1-0"))
		s.Listen("default", "web.v1-0", 15000, echo)
		s.Listen("default", "web.v1-0", 15014, echo)
		c := open(t, s)
		var wg sync.WaitGroup
		for i := range 40 {
			wg.Go(func() {
				port := []int{15000, 15014}[i%2]
				path := fmt.Sprintf("/%d", i)
				b, err := get(t.Context(), c, kube.PodURL("default", "web.v1-0", port)+path)
				if err != nil || string(b) != path {
					t.Errorf("GET %s: %q, %v", path, b, err)
				}
			})
		}
		wg.Wait()
		if _, opened := s.Tunnels(); opened != 1 {
			t.Errorf("%d tunnels were opened, want 1", opened)
		}
		c.Close()
		eventually(t, "the tunnel is closed", func() bool { open, _ := s.Tunnels(); return open == 0 })
	})
}

func TestTunnelCarriesLargeAnswers(t *testing.T) {
	testBothWays(t, func(t *testing.T, s *kubetest.Server) {
		body := make([]byte, 8<<20)
		rand.New(rand.NewSource(1)).Read(body)
		s.Add(pod("default", "web"))
		s.Listen("default", "web", 80, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.Write(body) }))
		c := open(t, s)
		var wg sync.WaitGroup
		for range 3 {
			wg.Go(func() {
				b, err := get(t.Context(), c, "http://web.default:80/")
				if err != nil || sha256.Sum256(b) != sha256.Sum256(body) {
					t.Errorf("%d bytes, %v; want %d, the same", len(b), err, len(body))
				}
			})
		}
		wg.Wait()
	})
}

func TestSPDYIsRemembered(t *testing.T) {
	s := kubetest.New(t)
	s.NoWebsockets()
	s.Add(pod("default", "a"), pod("default", "b"))
	s.Listen("default", "a", 80, echo)
	s.Listen("default", "b", 80, echo)
	c := open(t, s)
	for _, url := range []string{"http://a.default:80/", "http://b.default:80/"} {
		if _, err := get(t.Context(), c, url); err != nil {
			t.Fatal(err)
		}
	}
	want := "GET a, POST a, POST b"
	var got []string
	for _, r := range s.Requests() {
		method, path, _ := strings.Cut(r, " ")
		got = append(got, method+" "+strings.Split(path, "/")[6])
	}
	if strings.Join(got, ", ") != want {
		t.Errorf("requests: %s, want %s", strings.Join(got, ", "), want)
	}
}

// Who may only create, and not get, pods/portforward is served by SPDY.
func TestCreateAloneIsEnough(t *testing.T) {
	s := kubetest.New(t)
	s.Add(pod("default", "web"))
	s.Listen("default", "web", 80, echo)
	s.Refuse(func(r *http.Request) *metav1.Status {
		if r.Method == http.MethodGet && strings.HasSuffix(r.URL.Path, "/portforward") {
			return kubetest.Forbidden("no")
		}
		return nil
	})
	if _, err := get(t.Context(), open(t, s), "http://web.default:80/"); err != nil {
		t.Error(err)
	}
}

func TestTunnelErrors(t *testing.T) {
	tests := []struct {
		name    string
		prepare func(*kubetest.Server)
		problem kube.Problem
		text    string
	}{
		{"nothing listens", func(*kubetest.Server) {}, kube.NotListening, "nothing listens on port 15000 in pod web.default"},
		{"refused before the connection stands", func(s *kubetest.Server) {
			s.Reject("default", "web", 15000, "error forwarding port 15000 to pod: dial tcp 127.0.0.1:15000: connect: connection refused")
		}, kube.NotListening, "nothing listens on port 15000 in pod web.default"},
		{"no pod", func(s *kubetest.Server) { s.Remove("default", "web") }, kube.NotFound, "no such pod any more"},
		{"forbidden", func(s *kubetest.Server) {
			s.Refuse(func(*http.Request) *metav1.Status { return kubetest.Forbidden(`User "tester" cannot create`) })
		}, kube.Forbidden, `User "tester" cannot create`},
		{"expired", func(s *kubetest.Server) {
			s.Refuse(func(*http.Request) *metav1.Status {
				return &metav1.Status{Status: "Failure", Code: 401, Reason: metav1.StatusReasonUnauthorized, Message: "Unauthorized"}
			})
		}, kube.Unauthorized, "user tester"},
		{"node down", func(s *kubetest.Server) {
			s.Refuse(func(*http.Request) *metav1.Status {
				return &metav1.Status{Status: "Failure", Code: 500, Reason: metav1.StatusReasonInternalError, Message: "error dialing backend: dial tcp 10.0.0.1:10250: connect: connection refused"}
			})
		}, kube.Other, "cannot reach the pod's node"},
		{"API server down", func(s *kubetest.Server) { s.Close() }, kube.Unreachable, "connection refused"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			testBothWays(t, func(t *testing.T, s *kubetest.Server) {
				s.Add(pod("default", "web"))
				c := open(t, s)
				tt.prepare(s)
				_, err := get(t.Context(), c, "http://web.default:15000/")
				var e *kube.Error
				if !errors.As(err, &e) || e.Problem != tt.problem || !strings.Contains(e.Error(), tt.text) || e.Next == "" {
					t.Errorf("error %#v (%v), want %s with %q and what to do next", err, err, tt.problem, tt.text)
				}
			})
		})
	}
}

func TestTunnelIsCut(t *testing.T) {
	for _, gone := range []bool{false, true} {
		t.Run(fmt.Sprintf("gone=%v", gone), func(t *testing.T) {
			testBothWays(t, func(t *testing.T, s *kubetest.Server) {
				s.Add(pod("default", "web"))
				s.Listen("default", "web", 80, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					if r.URL.Path == "/whole" {
						return
					}
					w.Header().Set("Content-Length", "1000000")
					w.Write(bytes.Repeat([]byte("x"), 1000))
					w.(http.Flusher).Flush()
					if gone {
						s.Remove("default", "web")
					}
					s.Cut()
					<-r.Context().Done()
				}))
				c := open(t, s)
				_, err := get(t.Context(), c, "http://web.default:80/")
				want := kube.Lost
				if gone {
					want = kube.NotFound
				}
				if !errors.Is(err, want) {
					t.Errorf("error %v, want %s", err, want)
				}
				if gone {
					return
				}
				if _, err := get(t.Context(), c, "http://web.default:80/whole"); err != nil {
					t.Errorf("the next request: %v", err)
				}
			})
		})
	}
}

// A process that ends closes its connections in good order.
func TestConnectionEnds(t *testing.T) {
	s := kubetest.New(t)
	p := pod("default", "web")
	p.DeletionTimestamp = &metav1.Time{Time: time.Unix(0, 0)}
	s.Add(p)
	s.Listen("default", "web", 80, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/half" {
			w.Header().Set("Content-Length", "10")
			w.Write([]byte("half"))
			w.(http.Flusher).Flush()
		}
		panic(http.ErrAbortHandler)
	}))
	c := open(t, s)
	for _, path := range []string{"/none", "/half"} {
		_, err := get(t.Context(), c, "http://web.default:80"+path)
		if !errors.Is(err, kube.Lost) || !strings.Contains(err.Error(), "ended the connection; the pod is being deleted") {
			t.Errorf("GET %s: %v, want that the pod ended the connection and is being deleted", path, err)
		}
	}
}

// A request that is given up leaves nothing behind, and the next one is served.
func TestGivenUp(t *testing.T) {
	testBothWays(t, func(t *testing.T, s *kubetest.Server) {
		started := make(chan bool, 1)
		s.Add(pod("default", "web"))
		s.Listen("default", "web", 80, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/hang" {
				started <- true
				<-r.Context().Done()
			}
		}))
		c := open(t, s)
		ctx, cancel := context.WithCancel(t.Context())
		go func() {
			<-started
			cancel()
		}()
		if _, err := get(ctx, c, "http://web.default:80/hang"); !errors.Is(err, context.Canceled) {
			t.Errorf("error %v, want %v", err, context.Canceled)
		}
		if _, err := get(t.Context(), c, "http://web.default:80/"); err != nil {
			t.Error(err)
		}
		eventually(t, "the tunnel of the request that was given up is closed", func() bool { open, _ := s.Tunnels(); return open <= 1 })
	})
}

// An answer that nobody reads to its end is sent to its end all the same: the next request gets a tunnel of its own.
func TestGivenUpInTheMiddle(t *testing.T) {
	testBothWays(t, func(t *testing.T, s *kubetest.Server) {
		s.Add(pod("default", "web"))
		s.Listen("default", "web", 80, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			for r.URL.Path == "/endless" && r.Context().Err() == nil {
				if _, err := w.Write(make([]byte, 64<<10)); err != nil {
					return
				}
			}
		}))
		c := open(t, s)
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://web.default:80/endless", nil)
		if err != nil {
			t.Fatal(err)
		}
		response, err := c.Transport().RoundTrip(r)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(response.Body, make([]byte, 1000)); err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		eventually(t, "another tunnel is opened", func() bool {
			if _, err := get(t.Context(), c, "http://web.default:80/"); err != nil {
				t.Fatal(err)
			}
			_, opened := s.Tunnels()
			return opened == 2
		})
		eventually(t, "the tunnel of the answer that was given up is closed", func() bool { open, _ := s.Tunnels(); return open == 1 })
	})
}

// The first of two who wait for a tunnel may give up without the second noticing.
func TestGivenUpWhileOpening(t *testing.T) {
	s := kubetest.New(t)
	s.Add(pod("default", "web"))
	s.Listen("default", "web", 80, echo)
	asked, proceed := make(chan bool, 1), make(chan bool)
	s.Refuse(func(r *http.Request) *metav1.Status {
		asked <- true
		<-proceed
		return nil
	})
	c := open(t, s)
	ctx, cancel := context.WithCancel(t.Context())
	first, second := make(chan error, 1), make(chan error, 1)
	go func() {
		_, err := c.DialPod(ctx, "default", "web", 80)
		first <- err
	}()
	<-asked
	go func() {
		conn, err := c.DialPod(t.Context(), "default", "web", 80)
		if err == nil {
			conn.Close()
		}
		second <- err
	}()
	// Whether the second waits already makes no difference to what has to come out.
	cancel()
	if err := <-first; !errors.Is(err, context.Canceled) {
		t.Errorf("the first: %v, want %v", err, context.Canceled)
	}
	go func() {
		for range asked {
		}
	}()
	close(proceed)
	if err := <-second; err != nil {
		t.Errorf("the second: %v", err)
	}
}

func TestDeadlineOfConnection(t *testing.T) {
	s := kubetest.New(t)
	s.Add(pod("default", "web"))
	s.Listen("default", "web", 80, echo)
	conn, err := open(t, s).DialPod(t.Context(), "default", "web", 80)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetReadDeadline(time.Now().Add(-time.Second))
	var timeout interface{ Timeout() bool }
	if _, err := conn.Read(make([]byte, 1)); !errors.As(err, &timeout) || !timeout.Timeout() {
		t.Errorf("read past the deadline: %v, want a time-out", err)
	}
}

func TestAddresses(t *testing.T) {
	c := open(t, kubetest.New(t))
	for _, url := range []string{"http://pod:15000/", "http://pod.default:0/", "http://127.0.0.1./", "http://.default:1/"} {
		if _, err := get(t.Context(), c, url); err == nil || !strings.Contains(err.Error(), "pod.namespace:port") {
			t.Errorf("GET %s: %v, want an error that says the form", url, err)
		}
	}
}
