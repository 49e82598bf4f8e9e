package trace

import (
	"fmt"

	"github.com/meshlark/meshlark/xds/explain"
	"github.com/meshlark/meshlark/xds/extension"
	"github.com/meshlark/meshlark/xds/match"
	"github.com/meshlark/meshlark/xds/rawjson"
)

// localLimit is the local rate limit: whether its bucket has a token left is the state of a live proxy, whether it is asked for one is configuration.
func (p *passage) localLimit(c, own extension.Config) *Verdict {
	v := c.Value
	if own.Is("LocalRateLimit") {
		v = own.Value
	}
	step := explain.Step{Question: "does filter " + name(c) + " answer?"}
	fraction := func(field string) float64 {
		f := v.Get(field)
		if !f.Exists() {
			return 0
		}
		return match.RuntimeFraction(f, p.request.Runtime).Share()
	}
	enabled, enforced := fraction("filter_enabled"), fraction("filter_enforced")
	switch bucket := v.Get("token_bucket"); {
	case enabled == 0:
		step.Answer = "no: it is not enabled (filter_enabled)"
	case enforced == 0:
		step.Answer = "no: it is not enforced (filter_enforced)"
	case !bucket.Exists() && v.Get("descriptors").Len() == 0:
		step.Answer = "no: it has no token bucket"
	default:
		code := statusCode(v.Get("status"), 429)
		why := "when its bucket is empty: " + bucketText(bucket)
		if n := v.Get("descriptors").Len(); n > 0 {
			why += fmt.Sprintf("; %d descriptors have buckets of their own", n)
		}
		if share := enabled * enforced; share < 1 {
			why += fmt.Sprintf("; for %v%% of requests", share*100)
		}
		step.Answer = fmt.Sprintf("it may: %d %s", code, why)
		step.Unmodelled = []string{"how many tokens filter " + name(c) + " has left"}
		p.sometimes(c, 0, Verdict{Code: code, Flags: "RL", Details: "local_rate_limited", Reason: name(c) + " answers " + why})
	}
	p.step(step)
	return nil
}

func bucketText(bucket rawjson.Value) string {
	most, _ := bucket.Get("max_tokens").Uint()
	fill, ok := bucket.Get("tokens_per_fill").Uint()
	if !ok {
		fill = 1
	}
	return fmt.Sprintf("%d tokens, %d more every %s", most, fill, bucket.Str("fill_interval"))
}
