// Package trace follows a request through the configuration of proxies: listener, filter chain, HTTP filters, virtual host, route, cluster,
// endpoints, and on to the proxy at the other end.
//
// The decisions are made by the packages for each: filterchain (listeners and filter chains), routing (virtual hosts and routes), rbac (access rules),
// balance (endpoints), match (the conditions all of them use). This package connects them and does what the HTTP connection manager does before a
// route is looked up. It does no I/O: a [Config] is what one proxy has, a [Mesh] knows whose address is whose.
//
// # What is modelled
//
//   - Original destination hand-off between listeners (exact address, then any address), internal listeners, the TLS, HTTP and original destination
//     inspectors, the nine levels of filter chain matching, the default chain, filter_chain_matcher.
//   - TLS termination as far as it decides: plaintext to a chain that wants TLS, and no certificate where one is required.
//   - The connection manager: missing host and path, path normalisation, merging slashes, escaped slashes, ports and a trailing dot in the host,
//     inline, RDS and scoped route tables.
//   - Everything of package routing: virtual hosts, all conditions of routes, clusters with weights, redirects, direct responses, rewriting, headers.
//   - RBAC filters of both layers, with shadow rules and per-route settings. Filters that are disabled, and those a route turns off.
//   - Clusters of type STATIC, EDS, STRICT_DNS and LOGICAL_DNS with the endpoints that are known, ORIGINAL_DST, aggregate clusters, endpoints that are
//     internal listeners; health, priorities, panic, localities, weights, subsets; the transport socket of each endpoint.
//   - The next proxy, entered with the identity and the protocol of the cluster's transport socket.
//
// # What is not
//
//   - Other HTTP and network filters: a filter that may answer by itself is named in the hop (external authorization, JWT, fault injection, rate limits, Lua, Wasm
//     and all that are not known); what it would do is not computed. Filters that change headers or clear the route cache are not run.
//   - x-envoy-internal and the trusted address from X-Forwarded-For: they are as the request gives them.
//   - Verification of certificates and names, session resumption, QUIC.
//   - Retries, hedging, circuit breakers and outlier detection as events: state of a live proxy, not configuration.
//   - Cluster specifier plugins, route_specifiers, CEL, extensions of matchers, zone aware routing, dynamic forward proxy resolution.
package trace
