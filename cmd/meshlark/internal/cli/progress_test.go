package cli

import "testing"

func TestHowFar(t *testing.T) {
	for _, test := range []struct {
		waiting []string
		want    string
	}{
		{nil, "clusters: 8 of 9 proxies"},
		{[]string{"web-0.shop"}, "clusters: 8 of 9 proxies; waiting for web-0.shop"},
		{[]string{"web-0.shop", "web-1.shop", "web-2.shop"}, "clusters: 8 of 9 proxies; waiting for web-0.shop and 2 more"},
	} {
		if got := howFar("clusters", 8, 9, test.waiting); got != test.want {
			t.Errorf("waiting for %v: %q, want %q", test.waiting, got, test.want)
		}
	}
}
