package routing

import (
	"cmp"
	"fmt"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/meshlark/meshlark/xds/explain"
	"github.com/meshlark/meshlark/xds/match"
	"github.com/meshlark/meshlark/xds/rawjson"
	"github.com/meshlark/meshlark/xds/resource"
	"github.com/meshlark/meshlark/xds/route"
)

// A Table is a route table that is ready for requests.
type Table struct {
	view         route.RouteConfig
	settings     rawjson.Value // the body without the virtual hosts
	hosts        []*host
	exact        map[string]int // by domain in lower case
	suffixes     wildcards      // *.example.com
	prefixes     wildcards      // www.*
	any          int            // the virtual host of *, -1 for none
	ignorePort   bool
	ignoreParams bool   // what follows a ; in a path is not matched
	hostHeader   string // in place of :authority
	specificWins bool   // header rules of a route act after those of the table
	headers      headerRules
	plugins      rawjson.Value     // cluster specifier plugins, by which routes name clusters
	known        func(string) bool // whether a cluster exists; nil when that is not known
}

// WithClusters is the same table with somebody who knows which clusters exist: a request to one that does not is answered by Envoy.
func (t *Table) WithClusters(known func(name string) bool) *Table {
	with := *t
	with.known = known
	return &with
}

// wildcards are domains with a * at one end, by how long the rest of them is.
type wildcards struct {
	byLength map[int]map[string]int
	lengths  []int // longest first
}

func (w *wildcards) add(fixed string, host int) {
	m := w.byLength[len(fixed)]
	if m == nil {
		if w.byLength == nil {
			w.byLength = map[int]map[string]int{}
		}
		m = map[string]int{}
		w.byLength[len(fixed)] = m
		w.lengths = append(w.lengths, len(fixed))
	}
	if _, taken := m[fixed]; !taken {
		m[fixed] = host
	}
}

// A host is a virtual host.
type host struct {
	index   int
	view    route.VirtualHost
	once    sync.Once
	routes  []*entry
	name    string
	tls     string // require_tls
	tree    rawjson.Value
	headers headerRules
	plugins rawjson.Value // cluster specifier plugins of the table
}

// New indexes a table.
func New(config route.RouteConfig) *Table {
	t := &Table{view: config, exact: map[string]int{}, any: -1}
	t.settings = rawjson.Value("{")
	for key, v := range config.Body().Members() {
		if key == "virtual_hosts" || key == "virtualHosts" {
			continue
		}
		if len(t.settings) > 1 {
			t.settings = append(t.settings, ',')
		}
		t.settings = append(append(rawjson.Quote(t.settings, key), ':'), v...)
		switch key {
		case "ignore_port_in_host_matching", "ignorePortInHostMatching":
			t.ignorePort = v.IsTrue()
		case "ignore_path_parameters_in_path_matching", "ignorePathParametersInPathMatching":
			t.ignoreParams = v.IsTrue()
		case "most_specific_header_mutations_wins", "mostSpecificHeaderMutationsWins":
			t.specificWins = v.IsTrue()
		case "cluster_specifier_plugins", "clusterSpecifierPlugins":
			t.plugins = v
		case "vhost_header", "vhostHeader":
			t.hostHeader = match.Lower(v.Text())
		default:
			t.headers.read(key, v)
		}
	}
	t.settings = append(t.settings, '}')
	views := config.VirtualHosts()
	hosts := make([]host, len(views))
	for i, domains := range domainsOf(views) {
		hosts[i] = host{index: i, view: views[i], plugins: t.plugins}
		t.hosts = append(t.hosts, &hosts[i])
		for _, domain := range domains {
			t.addDomain(domain, i)
		}
	}
	for _, w := range [...]*wildcards{&t.suffixes, &t.prefixes} {
		slices.SortFunc(w.lengths, func(a, b int) int { return cmp.Compare(b, a) })
	}
	return t
}

// domainsOf reads the domains of virtual hosts, in lower case. Of those of a large table all processors read a part.
func domainsOf(views []route.VirtualHost) [][]string {
	const each = 256
	out := make([][]string, len(views))
	workers := min(runtime.GOMAXPROCS(0), len(views)/each+1)
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			for i := len(views) * w / workers; i < len(views)*(w+1)/workers; i++ {
				for _, domain := range views[i].Domains() {
					out[i] = append(out[i], match.Lower(domain))
				}
			}
		})
	}
	wg.Wait()
	return out
}

type derivedKey struct{}

// Of is the index of a table that is stored, made once for all proxies that have it.
func Of(b *resource.Body) *Table {
	return b.Derived(derivedKey{}, func(raw rawjson.Value) any { return New(route.New(raw)) }).(*Table)
}

// addDomain files a domain. Envoy refuses a table that has one twice; here the first counts.
func (t *Table) addDomain(domain string, i int) {
	switch {
	case domain == "*":
		if t.any < 0 {
			t.any = i
		}
	case strings.HasPrefix(domain, "*"):
		t.suffixes.add(domain[1:], i)
	case strings.HasSuffix(domain, "*"):
		t.prefixes.add(domain[:len(domain)-1], i)
	default:
		if _, taken := t.exact[domain]; !taken {
			t.exact[domain] = i
		}
	}
}

// Config is the table the index was made from.
func (t *Table) Config() route.RouteConfig { return t.view }

// Settings is the body of the table without its virtual hosts, among which nothing else is found quickly.
func (t *Table) Settings() rawjson.Value { return t.settings }

// ready reads the virtual host's routes once.
func (h *host) ready() *host {
	h.once.Do(func() {
		h.view = h.view.Index()
		for key, v := range h.view.Body().Members() {
			switch key {
			case "name":
				h.name = v.Text()
			case "matcher":
				h.tree = v
			default:
				h.headers.read(key, v)
			}
		}
		h.tls = h.view.RequireTLS()
		for i, view := range h.view.Routes() {
			h.routes = append(h.routes, newEntry(view, h.where()+".routes["+strconv.Itoa(i)+"]", h.plugins))
		}
	})
	return h
}

func (h *host) where() string { return "virtual_hosts[" + strconv.Itoa(h.index) + "]" }

// find looks for the virtual host of a request, as steps: the exact domain, the longest *suffix, the longest prefix*, and *. The first that there is
// decides, whether it has a route for the request or not.
func (t *Table) find(r *match.Request) (*host, explain.Step) {
	step := explain.Step{Question: "which virtual host?"}
	if len(t.exact) == 0 && len(t.suffixes.lengths) == 0 && len(t.prefixes.lengths) == 0 {
		step.Inputs = []explain.Input{{Name: "host", Value: r.Host}}
		if t.any < 0 {
			step.Answer = "none: the table has no domains"
			return nil, step
		}
		return t.choose(&step, []hit{{t.any, "*", "the only domain there is"}})
	}
	name, value := "host", r.Host
	if t.hostHeader != "" {
		name = "header " + t.hostHeader
		value, _ = r.First(t.hostHeader)
	}
	step.Inputs = []explain.Input{{Name: name, Value: value}}
	if value == "" {
		if _, ok := r.First(cmp.Or(t.hostHeader, ":authority")); !ok {
			step.Answer = "none: the request has no " + name
			return nil, step
		}
	}
	if t.ignorePort {
		if i := portStart(value); i >= 0 {
			value = value[:i]
			step.Inputs = append(step.Inputs, explain.Input{Name: "without port", Value: value})
		}
	}
	value = match.Lower(value)
	var hits []hit
	if i, ok := t.exact[value]; ok {
		hits = append(hits, hit{i, value, "the exact name"})
	}
	for _, n := range t.suffixes.lengths {
		if n >= len(value) {
			continue
		}
		if i, ok := t.suffixes.byLength[n][value[len(value)-n:]]; ok {
			hits = append(hits, hit{i, "*" + value[len(value)-n:], "the longest suffix"})
		}
	}
	for _, n := range t.prefixes.lengths {
		if n >= len(value) {
			continue
		}
		if i, ok := t.prefixes.byLength[n][value[:n]]; ok {
			hits = append(hits, hit{i, value[:n] + "*", "the longest prefix"})
		}
	}
	if t.any >= 0 {
		hits = append(hits, hit{t.any, "*", "for any host"})
	}
	if len(hits) == 0 {
		step.Answer = fmt.Sprintf("none: no domain of the %d virtual hosts fits %s", len(t.hosts), value)
		return nil, step
	}
	return t.choose(&step, hits)
}

// VirtualHost finds the virtual host of a request.
func (t *Table) VirtualHost(r *match.Request) (route.VirtualHost, bool) {
	h, _ := t.find(r)
	if h == nil {
		return route.VirtualHost{}, false
	}
	return h.view, true
}

// A hit is a domain that fits the host.
type hit struct {
	host   int
	domain string
	why    string
}

// choose takes the first hit.
func (t *Table) choose(step *explain.Step, hits []hit) (*host, explain.Step) {
	for i, hit := range hits {
		h := t.hosts[hit.host].ready()
		c := explain.Candidate{Name: h.name, Where: h.where(), Won: i == 0}
		switch {
		case i == 0:
			c.Why = hit.domain + ": " + hit.why
		case hit.domain == "*":
			c.Why = "* is only for hosts that no other domain fits"
		default:
			c.Why = hit.domain + " is less specific than " + hits[0].domain
		}
		step.Candidates = append(step.Candidates, c)
	}
	h := t.hosts[hits[0].host]
	step.Answer = h.name
	return h, *step
}

// portStart is where the port begins in a host, the colon included, -1 for none. It need not be a number.
func portStart(host string) int {
	i := strings.LastIndexByte(host, ':')
	if i < 0 || strings.LastIndexByte(host, ']') > i {
		return -1
	}
	return i
}
