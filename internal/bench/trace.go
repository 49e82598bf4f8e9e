//go:build unix

package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
)

// further is how many traces follow the first where the cost of each further one is wanted.
const further = 5000

// tracing follows a request to the first of the hosts, and then as many as it is told to each of them in turn.
const tracing = `
hosts = arg("hosts", type="list", doc="whom the requests are for")
more = arg("more", default=0, doc="how many further ones")
p = proxies()[0]

def ask(host):
    hop = p.trace("http://%s/" % host).hops[0]
    return "%s %s" % (hop.virtual_host, hop.cluster)

def go():
    for i in range(more):
        ask(hosts[i % len(hosts)])

print(ask(hosts[0]))
go()
`

// traces compares a trace with what jq takes to find the same virtual host and cluster, for a user who knows already which route table and which
// domain to look for.
func (b *bench) traces(file string) error {
	const virtualHosts = `.configs[] | (.dynamic_route_configs // [])[] | .route_config | select(.name == "8080") | .virtual_hosts[]`
	out, err := exec.Command("jq", "-r", virtualHosts+` | select(.routes[0].route.cluster // "" | startswith("outbound|8080|")) | .domains[0]`, file).Output()
	if err != nil {
		return fmt.Errorf("choosing hosts: %w", err)
	}
	domains := strings.Fields(string(out))
	if len(domains) == 0 {
		return fmt.Errorf("%s: no route table 8080 to follow requests through", file)
	}
	var hosts []string
	for i := range 100 {
		domain := domains[(len(domains)/2+i*17)%len(domains)]
		hosts = append(hosts, strings.TrimSuffix(domain, ":8080")+":8080")
	}
	script := filepath.Join(b.dir, "traces.star")
	if err := os.WriteFile(script, []byte(tracing), 0o600); err != nil {
		return err
	}
	meshlark := []string{b.meshlark, "-s", file, "run", script, "--hosts", strings.Join(hosts, ",")}
	jq := fmt.Sprintf(`. as $d | [%s | select(.domains | index(%q))][0] as $v | $v.routes[0].route.cluster as $name
		| [$d.configs[] | (.dynamic_active_clusters // [])[] | .cluster | select(.name == $name)][0] | $v.name + " " + .name`, virtualHosts, domains[len(domains)/2])
	results := b.compare("a first trace", []contender{
		{"meshlark p.trace(url)", meshlark, strings1},
		{"jq, virtual host, cluster", []string{"jq", "-r", jq, file}, strings1},
	})
	results = append(results, b.compare(fmt.Sprintf("a first trace and %d further ones", further), []contender{
		{"meshlark p.trace(url)", append(meshlark, "--more", strconv.Itoa(further)), strings1},
	})...)
	if len(results) == 3 {
		first, beside, all := median(results[0].wall), median(results[1].wall), median(results[2].wall)
		each := (all - first).Seconds() / further
		fmt.Fprintf(b.out, "    each further one %.6f s: the first takes %.0f times as long, jq %.0f times\n", each, first.Seconds()/each, beside.Seconds()/each)
	}
	return nil
}
