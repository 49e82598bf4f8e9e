// Package trace follows a request through the configuration of proxies: listener, filter chain, HTTP filters, virtual host, route, cluster,
// endpoints, and on to the proxy at the other end.
//
// The decisions are made by the packages for each: filterchain (listeners and filter chains), routing (virtual hosts and routes), rbac (access rules), jwt
// (tokens), fault (fault injection), cors (preflights), balance (endpoints), match (the conditions all of them use). This package connects them and does
// what the HTTP connection manager does before a route is looked up. It does no I/O: a [Config] is what one proxy has, a [Mesh] knows whose address is whose.
//
// # What is modelled
//
//   - Original destination hand-off between listeners (exact address, then any address), internal listeners, the TLS, HTTP and original destination
//     inspectors, PROXY protocol, the nine levels of filter chain matching, the default chain, filter_chain_matcher.
//   - TLS termination as far as it decides: plaintext to a chain that wants TLS, no certificate where one is required, and names that the chain does not take.
//   - Tunnels: CONNECT requests that end in a proxy (connect_config), what they carry, TCP proxies that make them (tunneling_config), and what a listener inside
//     the proxy is told by the hop before: shared filter state (set_filter_state) and metadata of the endpoint. So requests are followed through waypoints.
//   - The connection manager: missing host and path, path normalisation, merging slashes, escaped slashes, ports and a trailing dot in the host,
//     inline, RDS and scoped route tables; the client's address from the connection, x-forwarded-for or a header (use_remote_address,
//     xff_num_trusted_hops, original IP detection), x-envoy-internal, the scheme, headers that only clients inside may set, upgrades.
//   - Everything of package routing: virtual hosts, all conditions of routes, clusters with weights, redirects, direct responses, rewriting, headers.
//   - RBAC filters of both layers, with shadow rules, conditions in CEL and matcher trees.
//   - HTTP filters before the router: JWT authentication (where tokens are looked for, issuer, audiences, times, subjects, signatures by keys that are in the
//     configuration; headers and metadata made of claims), fault injection (by header too), CORS, health checks, and whether external authorization is asked.
//     The route is looked up again where the JWT filter clears the route cache.
//   - Filters that change what later decisions go by: header_mutation, header_to_metadata, set_metadata, set_filter_state. What they and the route do to the headers
//     of answers, in the order in which they see these.
//   - Filters that are disabled, those a route turns off or on, those with a matcher or chosen by one (composite), and the settings of weighted cluster, route,
//     virtual host and table.
//   - Clusters of type STATIC, EDS, STRICT_DNS and LOGICAL_DNS with the endpoints that are known, ORIGINAL_DST, aggregate clusters, endpoints that are
//     internal listeners; health, priorities, panic, localities, weights, subsets, zone aware routing; the transport socket of each endpoint.
//   - The next proxy, entered with the identity and the protocol of the cluster's transport socket.
//
// # What is not
//
//   - What other HTTP and network filters do. One that may answer by itself is named in the hop (MayAnswer): external authorization, rate limits, Lua, Wasm, ext_proc, buffer
//     and all that are not known. Filters known to answer nothing pass (gRPC statistics and gRPC-Web, Istio's alpn, stats and peer metadata, compression);
//     others that change headers or metadata (credential_injector, stateful_session) are not run, and a step says so.
//   - What is the state of a live proxy: tokens left in a rate limit's bucket, faults that are active, whether it was told to fail health checks. A fault for a part of the
//     requests, a rate limit and a token whose signature was not verified are in Answers, and the request goes on.
//   - Keys that Envoy fetches (remote_jwks) or reads from a file, filter_state_rules, filters whose settings come by ECDS, settings of weighted clusters that
//     chance does not choose, requests that are too long, and the size of bodies.
//   - The proxy's own address in x-forwarded-for (for a client on its machine), via, x-request-id, what is written into x-forwarded-client-cert.
//   - Verification of certificates (they count as good) and of what servers present, session resumption, QUIC.
//   - Retries, hedging, circuit breakers and outlier detection as events: state of a live proxy, not configuration.
//   - What headers of the upstream's own answer filters go by (header_to_metadata's response_rules), typed metadata.
//   - Cluster specifier plugins but for the matcher, route_specifiers, dynamic forward proxy resolution, extensions of matchers other than those for CEL, addresses, metadata, hashes
//     and runtime values; in CEL what is known only of a live connection, and times.
//   - Members of an aggregate cluster that are aggregates themselves: Envoy passes them over too.
package trace
