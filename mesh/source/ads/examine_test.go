package ads_test

import (
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/meshlark/meshlark/mesh"
	"github.com/meshlark/meshlark/mesh/source/ads"
)

func TestExamine(t *testing.T) {
	refusing := serve(t, &istiod{t: t, refuse: status.Error(codes.Unauthenticated, "authentication required")})
	for spec, want := range map[string]string{
		"xds://" + plane(t) + "?node=" + webNode:       "ok: sends " + webNode + " 2 clusters and 0 listeners",
		"xds://" + serve(t, &istiod{t: t}):             "ok: 2 proxies connected",
		"xds://" + refusing:                            "denied: ask for istio.io/debug/syncz at 127.0.0.1",
		"xds://" + refusing + "?node=a":                "denied: ask for CDS, LDS at 127.0.0.1",
		"xds://127.0.0.1:1?node=a":                     "unreachable: ask for CDS, LDS at 127.0.0.1:1: Unavailable",
		"xds://127.0.0.1:1?metadata=/nosuch/file.json": "unreachable: metadata of the node",
	} {
		s, err := ads.ParseSpec(spec)
		if err != nil {
			t.Fatal(err)
		}
		found := ads.New(s, ads.Options{}).Examine(t.Context(), mesh.Examination{Now: time.Now, Wait: 10 * time.Second})
		if len(found) != 1 || !strings.HasPrefix(string(found[0].Outcome)+": "+found[0].Detail, want) {
			t.Errorf("%s: %+v, want %q", spec, found, want)
			continue
		}
		if f := found[0]; f.Fatal() != (f.Outcome != mesh.OutcomeOK) || f.Next != "" && strings.Contains(f.Detail, f.Next) {
			t.Errorf("%s: %+v", spec, f)
		}
	}
}
