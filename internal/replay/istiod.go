// Package replay serves recordings of a real istiod or Envoy over HTTP as the real one would, for tests. It answers what was recorded and nothing
// else.
package replay

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"sync"
)

// Istiod serves the debug API from a folder of recordings (mesh/source/istiod/testdata/recorded; its README says how they were made):
// syncz, adsz, connections, list, clusterz, registryz, edsz and config_dump, the last with istiod's own way to find a proxy
// and to refuse one, and with the parameter types as istiod answers it.
type Istiod struct {
	dir string

	mu    sync.Mutex
	asked []string
}

// NewIstiod makes a handler of the recordings in a folder.
func NewIstiod(dir string) *Istiod { return &Istiod{dir: dir} }

// Asked gives the request lines so far, sorted, as "GET /debug/syncz".
func (s *Istiod) Asked() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	asked := append([]string(nil), s.asked...)
	sort.Strings(asked)
	return asked
}

func (s *Istiod) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	s.asked = append(s.asked, r.Method+" "+r.URL.RequestURI())
	s.mu.Unlock()
	switch path := strings.TrimPrefix(r.URL.Path, "/"); path {
	case "version":
		s.file(w, "version.txt", "text/plain; charset=utf-8")
	case "debug/config_dump":
		s.configDump(w, r)
	default:
		s.file(w, filepath.Base(path)+".json", "application/json")
	}
}

func (s *Istiod) file(w http.ResponseWriter, name, contentType string) {
	b, err := ReadFile(filepath.Join(s.dir, name))
	if err != nil {
		http.Error(w, "404 page not found", http.StatusNotFound)
		return
	}
	w.Header().Set("Content-Type", contentType)
	_, _ = w.Write(b)
}

// configDump finds the proxy as istiod does: the first connection whose id contains what was asked.
func (s *Istiod) configDump(w http.ResponseWriter, r *http.Request) {
	id := r.URL.Query().Get("proxyID")
	if id == "" {
		http.Error(w, "You must provide a proxyID in the query string", http.StatusBadRequest)
		return
	}
	var adsz struct {
		Clients []struct {
			ConnectionID string `json:"connectionId"`
		} `json:"clients"`
	}
	b, err := ReadFile(filepath.Join(s.dir, "adsz.json"))
	if err == nil {
		err = json.Unmarshal(b, &adsz)
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	for _, c := range adsz.Clients {
		if !strings.Contains(c.ConnectionID, id) {
			continue
		}
		proxy := c.ConnectionID[:strings.LastIndex(c.ConnectionID, "-")]
		dump, err := ReadFile(filepath.Join(s.dir, "config_dump-"+proxy+".json"))
		if err != nil {
			continue
		}
		if t := r.URL.Query().Get("types"); t != "" {
			if dump, err = flatten(dump, t); err != nil {
				http.Error(w, err.Error(), http.StatusInternalServerError)
				return
			}
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(dump)
		return
	}
	http.Error(w, "Proxy not connected to this Pilot instance. It may be connected to another instance.", http.StatusNotFound)
}

// lists are where a dump keeps the resources of the types that the parameter of that name names.
var lists = map[string]struct{ list, inner string }{
	"cds": {"dynamicActiveClusters", "cluster"}, "eds": {"dynamicEndpointConfigs", "endpointConfig"},
	"rds": {"dynamicRouteConfigs", "routeConfig"}, "sds": {"dynamicActiveSecrets", "secret"}, "ecds": {"ecdsFilters", "ecdsFilter"},
	"lds": {"dynamicListeners", "listener"},
}

// flatten gives the flat list that istiod answers when types are named.
func flatten(dump []byte, types string) ([]byte, error) {
	var d struct {
		Configs []map[string]json.RawMessage `json:"configs"`
	}
	if err := json.Unmarshal(dump, &d); err != nil {
		return nil, err
	}
	flat := []json.RawMessage{}
	for _, t := range strings.Split(types, ",") {
		at, ok := lists[t]
		if !ok {
			return nil, fmt.Errorf("type %q is not recorded", t)
		}
		for _, section := range d.Configs {
			var elems []map[string]json.RawMessage
			if raw, ok := section[at.list]; !ok || json.Unmarshal(raw, &elems) != nil {
				continue
			}
			for _, e := range elems {
				if raw, ok := e["activeState"]; ok {
					if err := json.Unmarshal(raw, &e); err != nil {
						return nil, err
					}
				}
				flat = append(flat, e[at.inner])
			}
		}
	}
	return json.Marshal(map[string]any{"configs": flat})
}

// ReadFile reads a recording, unpacking it where only its .gz form is there.
func ReadFile(path string) ([]byte, error) {
	b, err := os.ReadFile(path)
	if !os.IsNotExist(err) {
		return b, err
	}
	packed, gzErr := os.ReadFile(path + ".gz")
	if gzErr != nil {
		return nil, err
	}
	z, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return nil, err
	}
	return io.ReadAll(z)
}
