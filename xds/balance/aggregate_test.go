package balance_test

import (
	"math"
	"strings"
	"testing"

	"github.com/meshlark/meshlark/xds/balance"
	"github.com/meshlark/meshlark/xds/cluster"
	"github.com/meshlark/meshlark/xds/endpoint"
	"github.com/meshlark/meshlark/xds/rawjson"
)

// member is a cluster with endpoints of the healths given, priorities separated by commas.
func member(name, healths string) balance.Member {
	var localities []string
	for i, list := range strings.Split(healths, ",") {
		var hosts []string
		for h := range strings.FieldsSeq(list) {
			hosts = append(hosts, `{"health_status":"`+h+`","endpoint":{"address":{"socket_address":{"address":"10.0.0.1","port_value":80}}}}`)
		}
		localities = append(localities, `{"priority":`+string(rune('0'+i))+`,"lb_endpoints":[`+strings.Join(hosts, ",")+`]}`)
	}
	return balance.Member{
		Cluster:    cluster.New(rawjson.Value(`{"name":"` + name + `"}`)),
		Assignment: endpoint.New(rawjson.Value(`{"endpoints":[` + strings.Join(localities, ",") + `]}`)),
	}
}

// The shares were measured on an Envoy (internal/difftest, TestShares).
func TestAggregate(t *testing.T) {
	for _, tc := range []struct {
		what    string
		members []balance.Member
		want    []float64
		code    int
	}{
		{"the first is enough", []balance.Member{member("a", "HEALTHY"), member("b", "HEALTHY")}, []float64{1, 0}, 0},
		{"the first is unhealthy", []balance.Member{member("a", "UNHEALTHY"), member("b", "HEALTHY")}, []float64{0, 1}, 0},
		{"a third of the first, which is in panic by itself", []balance.Member{member("a", "HEALTHY UNHEALTHY UNHEALTHY"), member("b", "HEALTHY HEALTHY")}, []float64{.46 / 3, .46 / 3, .46 / 3, .27, .27}, 0},
		{"a priority without endpoints", []balance.Member{member("a", ",HEALTHY UNHEALTHY"), member("b", "HEALTHY")}, []float64{.7, 0, .3}, 0},
		{"the first has no endpoints", []balance.Member{member("a", ""), member("b", "HEALTHY")}, []float64{1}, 0},
		{"none has endpoints", []balance.Member{member("a", ""), member("b", "")}, nil, 503},
		{"no members", nil, nil, 503},
	} {
		got, of := balance.Aggregate(cluster.New(rawjson.Value(`{"name":"all"}`)), tc.members, balance.Options{})
		if len(got.Hosts) != len(tc.want) || len(of) != len(tc.want) || got.Code != tc.code {
			t.Errorf("%s: %d hosts of members %v, code %d; want %d, %d", tc.what, len(got.Hosts), of, got.Code, len(tc.want), tc.code)
			continue
		}
		for i, h := range got.Hosts {
			if math.Abs(h.Share-tc.want[i]) > 1e-9 {
				t.Errorf("%s: host %d of member %d gets %.3f, want %.3f (%s)", tc.what, i, of[i], h.Share, tc.want[i], h.Why)
			}
		}
	}
}
