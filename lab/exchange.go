package lab

import (
	"bufio"
	"cmp"
	"io"
	"net/http"
	"slices"
	"time"
)

// An Exchange is an HTTP request that went to a pod through a port-forward, and what became of it.
type Exchange struct {
	Pod    string // "name.namespace"
	Port   int
	Method string
	URI    string
	Status int       // of the answer; 0 if none came
	Bytes  int64     // of the body of the answer
	Began  time.Time // before the pod had the request
	Ended  time.Time // before the client had the whole answer, or when the tunnel was closed; zero until then
	Whole  bool      // the answer came to its end
}

// Exchanges are those of all tunnels since the start of the lab or the last Forget, in the order in which they began.
func (k *Kubelet) Exchanges() []Exchange {
	var out []Exchange
	for _, t := range k.Tunnels() {
		out = append(out, t.Exchanges...)
	}
	slices.SortStableFunc(out, func(a, b Exchange) int { return a.Began.Compare(b.Began) })
	return out
}

// AtOnce tells how many of the exchanges were under way at the same time: most with any one pod, and in all. One that has not ended is under way still.
func AtOnce(exchanges []Exchange) (pod, all int) {
	type change struct {
		at    time.Time
		pod   string
		delta int
	}
	var changes []change
	for _, e := range exchanges {
		changes = append(changes, change{e.Began, e.Pod, +1})
		if !e.Ended.IsZero() {
			changes = append(changes, change{e.Ended, e.Pod, -1})
		}
	}
	// What ends at the moment at which something else begins was over.
	slices.SortStableFunc(changes, func(a, b change) int { return cmp.Or(a.at.Compare(b.at), cmp.Compare(a.delta, b.delta)) })
	pods, now := map[string]int{}, 0
	for _, c := range changes {
		now += c.delta
		pods[c.pod] += c.delta
		pod, all = max(pod, pods[c.pod]), max(all, now)
	}
	return pod, all
}

// A feed hands what is written to it to a reader on another goroutine. A Write returns when that has taken all of it and waits for more, so that what
// it makes of it is known before the same bytes go on elsewhere. It never fails: a reader that has given up reads nothing any more.
type feed struct{ w *io.PipeWriter }

func (f feed) Write(p []byte) (int, error) {
	if _, err := f.w.Write(p); err == nil {
		f.w.Write(nil)
	}
	return len(p), nil
}

func (f feed) end() { f.w.Close() }

// follow writes down the exchanges of a tunnel: what is asked and what is answered have to be written to the two feeds.
func (k *Kubelet) follow(t *tunnel) (asked, answered feed) {
	start := func(read func(*bufio.Reader)) feed {
		r, w := io.Pipe()
		go func() {
			defer r.Close()
			read(bufio.NewReaderSize(r, 32<<10))
		}()
		return feed{w}
	}
	return start(func(r *bufio.Reader) { k.noteRequests(t, r) }), start(func(r *bufio.Reader) { k.noteAnswers(t, r) })
}

func (k *Kubelet) noteRequests(t *tunnel, r *bufio.Reader) {
	for {
		req, err := http.ReadRequest(r)
		if err != nil {
			return
		}
		k.mu.Lock()
		t.Exchanges = append(t.Exchanges, Exchange{Pod: t.Pod, Port: t.Port, Method: req.Method, URI: req.RequestURI, Began: time.Now()})
		k.mu.Unlock()
		if _, err := io.Copy(io.Discard, req.Body); err != nil {
			return
		}
	}
}

func (k *Kubelet) noteAnswers(t *tunnel, r *bufio.Reader) {
	for n := 0; ; {
		answer, err := http.ReadResponse(r, nil)
		if err != nil {
			return
		}
		if answer.StatusCode < 200 {
			continue
		}
		var size int64
		size, err = io.Copy(io.Discard, answer.Body)
		k.mu.Lock()
		if n < len(t.Exchanges) {
			e := &t.Exchanges[n]
			e.Status, e.Bytes = answer.StatusCode, size
			if err == nil {
				e.Whole, e.Ended = true, time.Now()
			}
		}
		k.mu.Unlock()
		if err != nil {
			return
		}
		n++
	}
}

// abandon ends what is under way in a tunnel that is closed. The caller holds the mutex of the kubelet.
func (t *tunnel) abandon(now time.Time) {
	for n := range t.Exchanges {
		if e := &t.Exchanges[n]; e.Ended.IsZero() {
			e.Ended = now
		}
	}
}
