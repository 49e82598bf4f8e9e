// Package difftest compares what meshlark predicts with what a real Envoy does.
//
// Its tests generate configurations and requests from a seed, load the configurations into an Envoy, send the requests, and compare what became of each
// with the prediction. A difference prints the seed, and a smaller configuration that still shows it.
//
// Over loopback: TestRoutes (connection manager, virtual hosts, routes, what reaches the upstream), TestChains (listener filters, filter chains), TestRBAC
// (access rules, with client certificates), TestFilters (the other HTTP filters, with tokens, and who the client is), TestBalance (which endpoints get
// requests, and how many of all requests together) and TestShares (how many of many requests each endpoint gets, aggregates too).
//
// In a network namespace that the test makes and redirects connections in, as it is done in a pod: TestHandOff (which listener has a connection that was
// redirected to 15001 or 15006) and TestMesh (from a client's proxy to the one of a service, with mutual TLS, access rules, internal listeners, scoped routes
// and aggregates; both access logs are compared) and TestTunnel (to a waypoint by a tunnel, through its listeners inside and by another tunnel to a pod). These
// three take root, and the programs ip, iptables and ip6tables; without them they are skipped.
//
// By default a small slice runs. Flags choose more; -least makes a run fail in which an arm of a condition was not seen both ways often enough, -scene is
// for TestShares, -balanced for TestBalance. Those in a namespace run an eighth of -configs:
//
//	go test ./internal/difftest -v -timeout 30m -configs 1000 -requests 50 -least 100 -scene 10000 -seed 7
package difftest
