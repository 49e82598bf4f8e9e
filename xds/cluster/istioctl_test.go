package cluster_test

import (
	"testing"

	"github.com/meshlark/meshlark/internal/viewtest"
	"github.com/meshlark/meshlark/xds/cluster"
)

const root = "../.."

// istioctlType is what istioctl prints for the custom cluster types in the recordings: the enumeration's zero.
var istioctlType = map[string]string{
	"envoy.clusters.aggregate": "STATIC",
	"envoy.cluster.dns":        "STATIC",
}

func TestCellsAreIstioctls(t *testing.T) {
	for proxy, dump := range viewtest.IstiodDumps(t, root) {
		t.Run(proxy, func(t *testing.T) {
			compare(t, dump, viewtest.IstiodTable(root, "cluster", proxy))
		})
	}
	t.Run("envoy", func(t *testing.T) {
		compare(t, viewtest.EnvoyDump(root), "testdata/istioctl-envoy-1.40.txt")
	})
}

func compare(t *testing.T, dump, table string) {
	rows := [][]string{{"SERVICE FQDN", "PORT", "SUBSET", "DIRECTION", "TYPE", "DESTINATION RULE"}}
	for _, r := range viewtest.Read(t, dump, viewtest.Clusters) {
		cells := cluster.New(r.Body).Summary().Cells()
		if printed, ok := istioctlType[cells[4]]; ok {
			cells[4] = printed
		}
		rows = append(rows, cells[:])
	}
	viewtest.Compare(t, table, 5, rows)
}
