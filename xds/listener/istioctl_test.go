package listener_test

import (
	"strconv"
	"strings"
	"testing"

	"github.com/meshlark/meshlark/internal/viewtest"
	"github.com/meshlark/meshlark/xds/listener"
)

const root = "../.."

func TestCellsAreIstioctls(t *testing.T) {
	for proxy, dump := range viewtest.IstiodDumps(t, root) {
		// An empty list of listeners is an error to istioctl.
		if strings.HasPrefix(proxy, "istio-ingressgateway-") {
			continue
		}
		t.Run(proxy, func(t *testing.T) {
			compare(t, dump, viewtest.IstiodTable(root, "listener", proxy))
		})
	}
	t.Run("envoy", func(t *testing.T) {
		compare(t, viewtest.EnvoyDump(root), "testdata/istioctl-envoy-1.40.txt")
	})
}

func compare(t *testing.T, dump, table string) {
	rows := [][]string{{"ADDRESSES", "PORT", "MATCH", "DESTINATION"}}
	for _, r := range viewtest.Read(t, dump, viewtest.Listeners) {
		l := listener.New(r.Body)
		for _, c := range l.Chains() {
			destination := c.Destination()
			// istioctl leaves weighted clusters out.
			if proxy, ok := c.TCP(); ok && len(proxy.Clusters()) > 1 {
				destination = "Cluster: "
			}
			port := strconv.FormatUint(uint64(l.Port()), 10)
			rows = append(rows, []string{l.AddressCell(), port, c.Match().Cell(), destination})
		}
	}
	viewtest.Compare(t, table, 1, rows)
}
