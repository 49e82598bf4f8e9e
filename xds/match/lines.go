package match

// joined reports a request header that Envoy has as one line, whatever came: the values of several lines are joined with commas when they are read, before
// anything looks at them. These are the headers Envoy itself or one of its filters works with; all others keep their lines.
func joined(name string) bool {
	switch name {
	case "accept", "accept-encoding", "access-control-request-headers", "access-control-request-method",
		"access-control-request-private-network", "authentication", "authorization", "cache-control", "cdn-loop", "connection",
		"content-encoding", "content-length", "content-type", "expect", "grpc-accept-encoding", "grpc-timeout", "if-match",
		"if-modified-since", "if-none-match", "if-range", "if-unmodified-since", "keep-alive", "origin", "pragma",
		"proxy-connection", "proxy-status", "referer", "te", "transfer-encoding", "upgrade", "user-agent", "via",
		"x-client-trace-id", "x-envoy-attempt-count", "x-envoy-decorator-operation", "x-envoy-downstream-service-cluster",
		"x-envoy-downstream-service-node", "x-envoy-expected-rq-timeout-ms", "x-envoy-external-address", "x-envoy-force-trace",
		"x-envoy-hedge-on-per-try-timeout", "x-envoy-internal", "x-envoy-ip-tags", "x-envoy-is-timeout-retry",
		"x-envoy-max-retries", "x-envoy-original-host", "x-envoy-original-path", "x-envoy-original-url",
		"x-envoy-retriable-header-names", "x-envoy-retriable-status-codes", "x-envoy-retry-grpc-on", "x-envoy-retry-on",
		"x-envoy-upstream-alt-stat-name", "x-envoy-upstream-rq-per-try-timeout-ms", "x-envoy-upstream-rq-timeout-alt-response",
		"x-envoy-upstream-rq-timeout-ms", "x-envoy-upstream-stream-duration-ms", "x-forwarded-client-cert", "x-forwarded-for",
		"x-forwarded-host", "x-forwarded-port", "x-forwarded-proto", "x-request-id":
		return true
	}
	return false
}

// Joined has one line in the place of the lines of each header that Envoy has as one.
func (h Headers) Joined() Headers {
	out := make(Headers, 0, len(h))
	for _, line := range h {
		if !joined(line.Name) {
			out = append(out, line)
		} else if _, there := out.Get(line.Name); !there {
			out = append(out, Header{Name: line.Name, Value: h.Values(line.Name)[0]})
		}
	}
	return out
}
