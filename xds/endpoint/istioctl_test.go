package endpoint_test

import (
	"strings"
	"testing"

	"github.com/meshlark/meshlark/internal/viewtest"
	"github.com/meshlark/meshlark/xds/endpoint"
)

const root = "../.."

func TestCellsAreIstioctls(t *testing.T) {
	for proxy, dump := range viewtest.IstiodDumps(t, root) {
		t.Run(proxy, func(t *testing.T) {
			compare(t, dump, viewtest.IstiodTable(root, "eds", proxy))
		})
	}
	t.Run("envoy", func(t *testing.T) {
		compare(t, viewtest.EnvoyDump(root), "testdata/istioctl-envoy-1.40.txt")
	})
}

func compare(t *testing.T, dump, table string) {
	rows := [][]string{{"NAME", "STATUS", "LOCALITY", "CLUSTER"}}
	for _, r := range viewtest.Read(t, dump, viewtest.Endpoints) {
		a := endpoint.New(r.Body)
		for _, e := range a.Endpoints() {
			cell := e.Cell()
			if a.ClusterName() == "xds" {
				cell = "127.0.0.1:38105" // the recording's control plane, on another port each time
			}
			// istioctl writes neither the brackets of IPv6 addresses nor unix://.
			cell = strings.NewReplacer("[", "", "]", "", "unix://", "").Replace(cell)
			rows = append(rows, []string{cell, e.Health(), e.Locality().String(), a.ClusterName()})
		}
	}
	viewtest.Compare(t, table, 5, rows)
}
