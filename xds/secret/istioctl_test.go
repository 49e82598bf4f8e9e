package secret_test

import (
	"strconv"
	"testing"
	"time"

	"github.com/meshlark/meshlark/internal/viewtest"
	"github.com/meshlark/meshlark/xds/secret"
)

const root = "../.."

func TestRowsAreIstioctls(t *testing.T) {
	// The day the recordings were made, when istioctl looked at the certificates.
	now := time.Date(2026, 11, 23, 1, 0, 0, 0, time.UTC)
	for proxy, dump := range viewtest.IstiodDumps(t, root) {
		t.Run(proxy, func(t *testing.T) {
			rows := [][]string{{"RESOURCE NAME", "TYPE", "STATUS", "VALID CERT", "SERIAL NUMBER", "NOT AFTER", "NOT BEFORE"}}
			for _, r := range viewtest.Read(t, dump, viewtest.Secrets) {
				for _, row := range secret.New(r.Body).Rows() {
					rows = append(rows, []string{
						r.Name, row.Type, r.State, strconv.FormatBool(row.Valid(now)), row.Serial, row.NotAfter, row.NotBefore,
					})
				}
			}
			if len(rows) == 1 {
				rows = [][]string{{"No active or warming secrets found."}}
			}
			viewtest.Compare(t, viewtest.IstiodTable(root, "secret", proxy), 5, rows)
		})
	}
}
