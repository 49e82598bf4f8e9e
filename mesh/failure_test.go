package mesh_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/meshlark/meshlark/mesh"
)

// What all proxies met is told once.
func TestAllFailed(t *testing.T) {
	e := &mesh.AllFailedError{What: "clusters"}
	add := func(proxy, reason string) {
		e.Failures = append(e.Failures, mesh.Failure{Proxy: proxy, Stage: "clusters", Reason: reason, Err: errors.New(reason)})
	}
	for i := range 3 {
		name := fmt.Sprintf("web-%d", i)
		add(name+".shop", fmt.Sprintf("cannot read %s.shop: GET http://%s.shop:1500%d/x: reach pod %s of namespace shop: forbidden: by role", name, name, i, name))
	}
	const want = "clusters of web-0.shop: cannot read web-0.shop: GET http://web-0.shop:15000/x: reach pod web-0 of namespace shop: forbidden: by role (and the same of 2 more)"
	if got := e.Error(); got != "clusters failed everywhere (3 of 3): "+want {
		t.Errorf("one reason: %s", got)
	}
	for i := range 4 {
		add(fmt.Sprintf("api-%d.shop", i), fmt.Sprintf("broken in way %d", i))
	}
	if got := e.Error(); got != "clusters failed everywhere (7 of 7): "+want+"; clusters of api-0.shop: broken in way 0; clusters of api-1.shop: broken in way 1; 2 more reasons" {
		t.Errorf("several reasons: %s", got)
	}
}
