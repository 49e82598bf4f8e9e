package trace

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/meshlark/meshlark/xds/explain"
	"github.com/meshlark/meshlark/xds/extension"
	"github.com/meshlark/meshlark/xds/listener"
	"github.com/meshlark/meshlark/xds/match"
	"github.com/meshlark/meshlark/xds/rawjson"
	"github.com/meshlark/meshlark/xds/routing"
)

// identify finds out who the client is, as a connection manager does before it looks for a route: the address that counts as the client's, whether the
// request comes from inside, and by which scheme it came. Headers that only a client inside may set are taken off others.
func identify(manager listener.HTTPManager, table *routing.Table, r *match.Request) (explain.Step, *Verdict) {
	body := manager.Fields()
	c := &client{manager: body, request: r}
	c.hopByHop()
	set(r, "x-envoy-internal", "")
	useRemote := body.Get("use_remote_address").IsTrue()
	step := explain.Step{Question: "who is the client?"}
	if forwarded, ok := c.forwarded(); ok {
		step.Inputs = append(step.Inputs, explain.Input{Name: "x-forwarded-for", Value: forwarded})
	}
	if useRemote {
		c.byConnection()
	} else if refused := c.byHeaders(); refused != nil {
		step.Answer = "it is refused: " + refused.Reason
		return step, refused
	}
	c.scheme()
	r.Internal = c.trusted && c.address.IsValid() && internal(body, c.address, r.Envoy)
	if c.address.IsValid() {
		r.Connection.RemoteIP = netip.AddrPortFrom(c.address, r.Connection.Source.Port())
	}
	edge := useRemote && !r.Internal
	if !r.Internal {
		strip(r, edge, table)
	}
	if ip := r.Connection.Remote().Addr(); edge && ip.IsValid() {
		set(r, "x-envoy-external-address", ip.Unmap().String())
	}
	c.certificate()
	if body.Get("early_header_mutation_extensions").Len() > 0 {
		c.unmodelled = append(c.unmodelled, "early_header_mutation_extensions of the connection manager")
	}
	step.Answer = "an address that is not known"
	if ip := r.Connection.Remote().Addr(); ip.IsValid() {
		step.Answer = ip.Unmap().String()
	}
	if r.Internal {
		step.Answer += ", from inside"
	}
	step.Unmodelled = c.unmodelled
	return step, nil
}

// A client is what is found out about who sent a request.
type client struct {
	manager rawjson.Fields
	request *match.Request
	// address is the client's as far as it is known otherwise than from the connection, trusted whether it may count as one inside.
	address    netip.Addr
	trusted    bool
	unmodelled []string
}

// set gives a header one value, or none for "".
func set(r *match.Request, name, value string) {
	r.Headers = slices.DeleteFunc(r.Headers, func(h match.Header) bool { return h.Name == name })
	if value != "" {
		r.Headers = append(r.Headers, match.Header{Name: name, Value: value})
	}
}

// hopByHop takes off the headers that are for the connection only.
func (c *client) hopByHop() {
	r := c.request
	if to := upgrade(r); to == "" || to == "CONNECT" {
		set(r, "connection", "")
		set(r, "upgrade", "")
	}
	for _, name := range [...]string{"keep-alive", "proxy-connection", "transfer-encoding"} {
		set(r, name, "")
	}
}

// forwarded is the header x-forwarded-for as one line.
func (c *client) forwarded() (string, bool) {
	values := c.request.Headers.Values("x-forwarded-for")
	return strings.Join(values, ","), len(values) > 0
}

// byConnection is for a proxy at the edge: it takes the connection's address for the client's, or what the proxies it trusts have added to
// x-forwarded-for.
func (c *client) byConnection() {
	r := c.request
	forwarded, there := c.forwarded()
	hops, _ := c.manager.Get("xff_num_trusted_hops").Uint()
	c.trusted = !there
	if hops > 0 && there {
		c.address, _ = lastForwarded(forwarded, hops-1)
	}
	if !c.address.IsValid() {
		c.address = r.Connection.Source.Addr().Unmap()
	}
	if !c.manager.Get("skip_xff_append").IsTrue() {
		c.append()
	}
	if hops == 0 {
		set(r, "x-forwarded-proto", "") // then it is that of the connection
	}
	if _, ok := r.Headers.Get("x-forwarded-port"); c.manager.Get("append_x_forwarded_port").IsTrue() && (hops == 0 || !ok) {
		set(r, "x-forwarded-port", strconv.Itoa(int(r.Connection.Destination.Port())))
	}
}

// append adds the connection's address to x-forwarded-for.
func (c *client) append() {
	source := c.request.Connection.Source.Addr().Unmap()
	if !source.IsValid() {
		return
	}
	if source.IsLoopback() {
		c.unmodelled = append(c.unmodelled, "the proxy's own address, which it adds to x-forwarded-for for a client on its machine")
		return
	}
	text := source.String()
	if before, ok := c.forwarded(); ok && before != "" {
		text = before + "," + text
	}
	set(c.request, "x-forwarded-for", text)
}

// byHeaders is for a proxy behind others: headers say who the client is, read by x-forwarded-for or by extensions.
func (c *client) byHeaders() *Verdict {
	r := c.request
	hops, _ := c.manager.Get("xff_num_trusted_hops").Uint()
	extensions := c.manager.Get("original_ip_detection_extensions")
	if extensions.Len() == 0 {
		if forwarded, ok := c.forwarded(); ok {
			c.address, c.trusted = lastForwarded(forwarded, hops)
		}
	}
	for v := range extensions.Elems() {
		config := extension.New(v)
		switch config.ShortType() {
		case "XffConfig":
			c.byXff(config.Value)
		case "CustomHeaderConfig":
			value, _ := r.Headers.Get(match.Lower(config.Value.Str("header_name")))
			addr, err := netip.ParseAddr(value)
			if reject := config.Value.Get("reject_with_status"); err != nil && reject.Exists() {
				code := statusCode(reject, 403)
				return &Verdict{Code: code, Details: "rejecting_because_detection_failed", Reason: "header " + config.Value.Str("header_name") + " has no address"}
			} else if err == nil {
				c.address, c.trusted = addr.Unmap(), config.Value.Get("allow_extension_to_set_address_as_trusted").IsTrue()
			}
		default:
			c.unmodelled = append(c.unmodelled, "original address by "+config.Name)
		}
		if c.address.IsValid() {
			break
		}
	}
	if _, ok := r.Headers.Get("x-forwarded-port"); c.manager.Get("append_x_forwarded_port").IsTrue() && !ok {
		set(r, "x-forwarded-port", strconv.Itoa(int(r.Connection.Destination.Port())))
	}
	return nil
}

// byXff is for the extension that reads x-forwarded-for.
func (c *client) byXff(v rawjson.Value) {
	forwarded, there := c.forwarded()
	trusted := match.NewRanges(v.Get("xff_trusted_cidrs", "cidrs"))
	if len(trusted) == 0 {
		hops, _ := v.Get("xff_num_trusted_hops").Uint()
		if there {
			c.address, c.trusted = lastForwarded(forwarded, hops)
		}
	} else if !trusted.Contains(c.request.Connection.Source.Addr().Unmap()) {
		c.append() // whatever skip_xff_append says
		return
	} else {
		c.address, c.trusted = lastUntrusted(forwarded, trusted)
	}
	if skip := v.Get("skip_xff_append"); skip.Exists() && !skip.IsTrue() {
		c.append()
	}
}

// lastForwarded is the last address of x-forwarded-for after some at its end are left out. alone says that it is the only one there.
func lastForwarded(text string, skip uint64) (addr netip.Addr, alone bool) {
	for range skip {
		i := strings.LastIndexByte(text, ',')
		if i < 0 {
			return netip.Addr{}, false
		}
		text = text[:i]
	}
	i := strings.LastIndexByte(text, ',')
	if i >= 0 && i+1 < len(text) {
		text = text[i+1:]
	}
	addr, err := netip.ParseAddr(strings.TrimSpace(text))
	if err != nil {
		return netip.Addr{}, false
	}
	return addr.Unmap(), i < 0 && skip == 0
}

// mostForwarded is how many addresses of x-forwarded-for Envoy reads when it looks for one that is not a trusted proxy's.
const mostForwarded = 20

// lastUntrusted is the last address of x-forwarded-for that is no trusted proxy's, the first when all are.
func lastUntrusted(text string, trusted match.Ranges) (addr netip.Addr, alone bool) {
	entries := strings.Split(text, ",")
	if len(entries) > mostForwarded {
		return netip.Addr{}, false
	}
	for _, entry := range slices.Backward(entries) {
		var err error
		if addr, err = netip.ParseAddr(strings.TrimSpace(entry)); err != nil {
			return netip.Addr{}, false
		}
		if addr = addr.Unmap(); !trusted.Contains(addr) {
			break
		}
	}
	return addr, len(entries) == 1
}

// scheme decides by which scheme the request came: by x-forwarded-proto, else by the connection.
func (c *client) scheme() {
	r := c.request
	if to := c.manager.Str("scheme_header_transformation", "scheme_to_overwrite"); to != "" {
		r.Scheme = to
		set(r, "x-forwarded-proto", to)
	}
	if proto, ok := r.Headers.Get("x-forwarded-proto"); r.Scheme == "" && ok && (strings.EqualFold(proto, "http") || strings.EqualFold(proto, "https")) {
		r.Scheme = proto
	}
	r.Scheme = match.Lower(r.Scheme)
}

// private are the addresses that count as inside when no others are configured.
var private = match.NewRanges(rawjson.Value(`[{"address_prefix":"10.0.0.0","prefix_len":8},{"address_prefix":"192.168.0.0","prefix_len":16},
	{"address_prefix":"172.16.0.0","prefix_len":12},{"address_prefix":"127.0.0.1","prefix_len":32},{"address_prefix":"fd00::","prefix_len":8},{"address_prefix":"::1","prefix_len":128}]`))

// internal reports whether an address counts as inside. Since 1.33 none does where internal_address_config is not set.
func internal(manager rawjson.Fields, addr netip.Addr, v match.Version) bool {
	config := manager.Get("internal_address_config")
	if len(config) == 0 && v.AtLeast(1, 33) {
		return false
	}
	if ranges := config.Get("cidr_ranges"); ranges.Len() > 0 {
		return match.NewRanges(ranges).Contains(addr)
	}
	return private.Contains(addr)
}

// Headers that a client outside may not set: some at the edge only, some everywhere.
var (
	edgeOnly   = []string{"x-envoy-decorator-operation", "x-envoy-downstream-service-cluster", "x-envoy-downstream-service-node", "x-envoy-original-path", "x-envoy-original-host"}
	insideOnly = []string{
		"x-envoy-retriable-status-codes", "x-envoy-retriable-header-names", "x-envoy-retry-on", "x-envoy-retry-grpc-on", "x-envoy-max-retries",
		"x-envoy-upstream-alt-stat-name", "x-envoy-upstream-rq-timeout-ms", "x-envoy-upstream-rq-per-try-timeout-ms", "x-envoy-upstream-rq-timeout-alt-response",
		"x-envoy-expected-rq-timeout-ms", "x-envoy-force-trace", "x-envoy-ip-tags", "x-envoy-original-url", "x-envoy-hedge-on-per-try-timeout",
	}
)

// strip takes off the headers that only clients inside may set.
func strip(r *match.Request, edge bool, table *routing.Table) {
	gone := map[string]bool{}
	if edge {
		for _, name := range edgeOnly {
			gone[name] = true
		}
	}
	for _, name := range insideOnly {
		gone[name] = true
	}
	if table != nil {
		for v := range table.Settings().Get("internal_only_headers").Elems() {
			gone[match.Lower(v.Text())] = true
		}
	}
	r.Headers = slices.DeleteFunc(r.Headers, func(h match.Header) bool { return gone[h.Name] })
}

// certificate takes off x-forwarded-client-cert unless it is to be passed on.
func (c *client) certificate() {
	const name = "x-forwarded-client-cert"
	r := c.request
	mutual := r.Connection.TLS && r.Connection.Peer.Presented
	switch kind := c.manager.Str("forward_client_cert_details"); kind {
	case "ALWAYS_FORWARD_ONLY", "3":
	case "FORWARD_ONLY", "1", "APPEND_FORWARD", "2", "SANITIZE_SET", "4":
		if !mutual {
			set(r, name, "")
		} else if kind != "FORWARD_ONLY" && kind != "1" {
			c.unmodelled = append(c.unmodelled, "what is written into x-forwarded-client-cert")
		}
	default:
		set(r, name, "")
	}
}

// statusCode is the code of an envoy.type.v3.HttpStatus; one that is no error is as if there were none.
func statusCode(v rawjson.Value, otherwise int) int {
	if n, ok := v.Get("code").Uint(); ok && n >= 400 && n < 600 {
		return int(n)
	}
	return otherwise
}
