package trace

import (
	"strings"

	"github.com/meshlark/meshlark/xds/explain"
	"github.com/meshlark/meshlark/xds/extension"
	"github.com/meshlark/meshlark/xds/match"
	"github.com/meshlark/meshlark/xds/rawjson"
)

// healthCheck is the filter that answers health checks. That the proxy has been told to fail them is the state of a live proxy and not looked at.
func (p *passage) healthCheck(c extension.Config) *Verdict {
	step := explain.Step{Question: "does filter " + name(c) + " answer?"}
	defer func() { p.step(step) }()
	for h := range c.Value.Get("headers").Elems() {
		if condition := match.NewHeaderMatch(h); !condition.Match(p.request) {
			step.Answer = "no: " + condition.Why(p.request)
			return nil
		}
	}
	if pass := c.Value.Get("pass_through_mode"); pass.IsTrue() {
		step.Answer = "no: health checks pass through"
		if len(c.Value.Get("cache_time")) > 0 {
			step.Answer = "it may, with the upstream's last answer"
			p.sometimes(c, 0, Verdict{Code: 200, Details: "health_check_cached", Reason: name(c) + " has the upstream's last answer"})
		}
		return nil
	}
	v := &Verdict{Code: 200, Details: "health_check_ok", Reason: name(c) + " answers health checks"}
	for cluster, least := range c.Value.Get("cluster_min_healthy_percentages").Members() {
		v.Details = "health_check_ok_cluster_healthy"
		if failed := p.unhealthy(cluster, least); failed != "" {
			v.Code, v.Flags, v.Details = 503, "LH", failed
			v.Reason += ", and cluster " + cluster + " has too few healthy endpoints"
			break
		}
	}
	step.Answer = "yes: " + v.String()
	return v
}

// unhealthy says in Envoy's words why a cluster has fewer healthy endpoints than a percentage, "" when it has enough.
func (p *passage) unhealthy(cluster string, percentage rawjson.Value) string {
	c, ok := p.at.config.Cluster(cluster)
	if !ok {
		return "health_check_failed_no_cluster_found"
	}
	least, _ := percentage.Get("value").Float()
	assignment, _ := p.at.config.Endpoints(c)
	healthy, total := 0, 0
	for _, e := range assignment.Endpoints() {
		total++
		if h := strings.ToUpper(e.Health()); h == "HEALTHY" || h == "UNKNOWN" || h == "DEGRADED" || h == "" {
			healthy++
		}
	}
	switch {
	case total == 0 && least == 0:
		return ""
	case total == 0:
		return "health_check_failed_cluster_empty"
	case float64(100*healthy) < float64(total)*least:
		return "health_check_failed_cluster_unhealthy"
	}
	return ""
}
