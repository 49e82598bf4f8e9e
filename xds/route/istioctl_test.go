package route_test

import (
	"strings"
	"testing"

	"github.com/meshlark/meshlark/internal/viewtest"
	"github.com/meshlark/meshlark/xds/route"
)

const root = "../.."

func TestCellsAreIstioctls(t *testing.T) {
	for proxy, dump := range viewtest.IstiodDumps(t, root) {
		// An empty list of route tables is an error to istioctl.
		if strings.HasPrefix(proxy, "istio-ingressgateway-") {
			continue
		}
		t.Run(proxy, func(t *testing.T) {
			compare(t, dump, viewtest.IstiodTable(root, "route", proxy))
		})
	}
	t.Run("envoy", func(t *testing.T) {
		compare(t, viewtest.EnvoyDump(root), "testdata/istioctl-envoy-1.40.txt")
	})
}

func compare(t *testing.T, dump, table string) {
	rows := [][]string{{"NAME", "VHOST NAME", "DOMAINS", "MATCH", "VIRTUAL SERVICE"}}
	for _, r := range viewtest.Read(t, dump, viewtest.Routes) {
		config := route.New(r.Body)
		for _, h := range config.VirtualHosts() {
			row := []string{config.Name(), h.Name(), h.DomainsCell()}
			for _, r := range h.Routes() {
				// istioctl passes these over.
				if r.Cluster() != "PassthroughCluster" {
					rows = append(rows, append(row[:3:3], r.Match().Cell(), r.VirtualService()))
				}
			}
			if len(h.Routes()) == 0 {
				rows = append(rows, append(row[:3:3], "/*", "404"))
			}
		}
	}
	viewtest.Compare(t, table, 5, rows)
}
