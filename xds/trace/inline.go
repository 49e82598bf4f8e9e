package trace

import (
	"strings"

	"github.com/meshlark/meshlark/xds/match"
)

// inline are the request headers of which Envoy has one line only: further lines are appended to the first.
var inline = func() map[string]bool {
	names := map[string]bool{}
	for name := range strings.FieldsSeq(`
		accept accept-encoding access-control-request-headers access-control-request-method access-control-request-private-network authorization cache-control cdn-loop
		connection content-encoding content-length content-type expect grpc-accept-encoding grpc-timeout keep-alive origin proxy-connection proxy-status referer te
		transfer-encoding upgrade user-agent via x-client-trace-id x-envoy-attempt-count x-envoy-decorator-operation x-envoy-downstream-service-cluster
		x-envoy-downstream-service-node x-envoy-expected-rq-timeout-ms x-envoy-external-address x-envoy-force-trace x-envoy-hedge-on-per-try-timeout x-envoy-internal
		x-envoy-ip-tags x-envoy-is-timeout-retry x-envoy-max-retries x-envoy-original-host x-envoy-original-path x-envoy-original-url x-envoy-retriable-header-names
		x-envoy-retriable-status-codes x-envoy-retry-grpc-on x-envoy-retry-on x-envoy-upstream-alt-stat-name x-envoy-upstream-rq-per-try-timeout-ms
		x-envoy-upstream-rq-timeout-alt-response x-envoy-upstream-rq-timeout-ms x-envoy-upstream-stream-duration-ms x-forwarded-client-cert x-forwarded-for
		x-forwarded-host x-forwarded-port x-forwarded-proto x-request-id`) {
		names[name] = true
	}
	return names
}()

// join makes one line of the lines of each inline header.
func join(headers match.Headers) match.Headers {
	out := make(match.Headers, 0, len(headers))
	at := map[string]int{}
	for _, h := range headers {
		i, again := at[h.Name]
		switch {
		case !inline[h.Name]:
			out = append(out, h)
		case !again:
			at[h.Name] = len(out)
			out = append(out, h)
		case out[i].Value == "":
			out[i].Value = h.Value
		case h.Value != "":
			out[i].Value += "," + h.Value
		}
	}
	return out
}
