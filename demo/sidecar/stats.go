package sidecar

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/envoyproxy/go-control-plane/pkg/resource/v3"
)

// A stat has a number or a text.
type stat struct {
	Name  string `json:"name"`
	Value any    `json:"value"`
}

// stats answers /stats with the counters and gauges that tell how the configuration got here. An Envoy has hundreds more, about traffic; an
// Istio sidecar leaves most of those out too.
func (s *Sidecar) stats(w http.ResponseWriter, req *http.Request) {
	query := req.URL.Query()
	match := func(string) bool { return true }
	if filter := query.Get("filter"); filter != "" {
		m, err := partMatch(filter)
		if err != nil {
			plain(w, http.StatusBadRequest, "Invalid re2 regex: "+err.Error())
			return
		}
		match = m
	}
	s.mu.Lock()
	all := s.counted()
	s.mu.Unlock()
	all = slices.DeleteFunc(all, func(x stat) bool {
		return !match(x.Name) || query.Has("usedonly") && (x.Value == uint64(0) || x.Value == "")
	})
	switch query.Get("format") {
	case "json":
		statsJSON(w, all, query.Get("filter") == "")
	case "", "text":
		var b strings.Builder
		for _, x := range all {
			if text, ok := x.Value.(string); ok {
				fmt.Fprintf(&b, "%s: %q\n", x.Name, text)
				continue
			}
			fmt.Fprintf(&b, "%s: %v\n", x.Name, x.Value)
		}
		plain(w, http.StatusOK, b.String())
	default:
		plain(w, http.StatusBadRequest, "usage: /stats?format=(html|active-html|json|prometheus|text)\n\n")
	}
}

// statsJSON is Envoy's own form, not that of a message: one line, and the histograms, of which there are none, at the end. Envoy leaves them
// out where a filter has left none.
func statsJSON(w http.ResponseWriter, all []stat, histograms bool) {
	type quantiles struct {
		Supported []float64 `json:"supported_quantiles"`
		Computed  []any     `json:"computed_quantiles"`
	}
	list := make([]any, 0, len(all)+1)
	for _, x := range all {
		list = append(list, x)
	}
	if histograms {
		list = append(list, map[string]any{"histograms": quantiles{[]float64{0, 25, 50, 75, 90, 95, 99, 99.5, 99.9, 100}, []any{}}})
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(map[string]any{"stats": list}); err != nil {
		plain(w, http.StatusInternalServerError, err.Error())
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(bytes.TrimSuffix(b.Bytes(), []byte("\n")))
}

// counted gives texts, then numbers, each by name. The lock is held.
func (s *Sidecar) counted() []stat {
	var texts, numbers []stat
	count := func(name string, n int) { numbers = append(numbers, stat{name, uint64(max(n, 0))}) }
	updates := func(prefix, typeURL string) {
		c := s.state.counts[typeURL]
		texts = append(texts, stat{prefix + "version_text", s.state.versions[typeURL]})
		count(prefix+"init_fetch_timeout", 0)
		count(prefix+"update_attempt", c.attempts+1)
		count(prefix+"update_failure", 0)
		count(prefix+"update_rejected", c.rejections)
		count(prefix+"update_success", c.successes)
	}
	updates("cluster_manager.cds.", resource.ClusterType)
	updates("listener_manager.lds.", resource.ListenerType)
	texts = append(texts, stat{"control_plane.identifier", ""})
	for _, name := range sortedKeys(s.state.listeners) {
		for _, m := range managers(s.state.listeners[name].message) {
			if rds := m.GetRds(); rds != nil {
				s.countRoutes("http."+m.GetStatPrefix()+"rds."+rds.GetRouteConfigName()+".", rds.GetRouteConfigName(), &texts, count)
			}
		}
	}
	active, warming := 0, 0
	for _, e := range s.state.clusters {
		if s.state.warm(e.message) {
			active++
		} else {
			warming++
		}
	}
	static := s.options.Bootstrap.GetStaticResources()
	count("cluster_manager.active_clusters", active+len(static.GetClusters()))
	count("cluster_manager.warming_clusters", warming)
	active, warming = 0, 0
	for _, e := range s.state.listeners {
		if s.state.ready(e.message) {
			active++
		} else {
			warming++
		}
	}
	count("listener_manager.total_listeners_active", active+len(static.GetListeners()))
	count("listener_manager.total_listeners_warming", warming)
	count("listener_manager.total_listeners_draining", len(s.drainingNames()))
	count("control_plane.connected_state", 1)
	count("server.concurrency", 2)
	count("server.live", 1)
	count("server.state", 0)
	count("server.uptime", int(s.options.Now().Sub(s.started)/time.Second))
	count("server.days_until_first_cert_expiring", s.firstExpiry())
	s.countEjections(count)
	byName := func(a, b stat) int { return strings.Compare(a.Name, b.Name) }
	slices.SortFunc(texts, byName)
	slices.SortFunc(numbers, byName)
	return append(texts, numbers...)
}

func (s *Sidecar) countRoutes(prefix, name string, texts *[]stat, count func(string, int)) {
	e, ok := s.state.routes[name]
	*texts = append(*texts, stat{prefix + "version_text", e.version})
	had := 0
	if ok {
		had = 1
	}
	count(prefix+"config_reload", had)
	count(prefix+"update_rejected", 0)
	count(prefix+"update_success", had)
}

func (s *Sidecar) countEjections(count func(string, int)) {
	for _, u := range s.upstreams() {
		ejected := 0
		for _, group := range u.hosts.GetEndpoints() {
			for _, h := range group.GetLbEndpoints() {
				if s.ejected(h) {
					ejected++
				}
			}
		}
		if ejected > 0 {
			count("cluster."+u.cluster.GetName()+".outlier_detection.ejections_active", ejected)
		}
	}
}

func (s *Sidecar) firstExpiry() int {
	first := -1
	for _, secret := range s.options.Secrets {
		pems := append([]byte{}, secret.GetTlsCertificate().GetCertificateChain().GetInlineBytes()...)
		for _, cert := range parse(append(pems, secret.GetValidationContext().GetTrustedCa().GetInlineBytes()...)) {
			if days := int(s.daysLeft(cert)); first < 0 || days < first {
				first = days
			}
		}
	}
	return first
}
