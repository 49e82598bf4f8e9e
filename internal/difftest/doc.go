// Package difftest compares what meshlark predicts with what a real Envoy does.
//
// Its tests generate configurations and requests from a seed, load the configurations into an Envoy, send the requests over loopback, and compare what
// became of each with the prediction. A difference prints the seed, and a smaller configuration that still shows it.
//
// There are five: TestRoutes (connection manager, virtual hosts, routes, what reaches the upstream), TestChains (listener filters, filter chains),
// TestRBAC (access rules, with client certificates), TestFilters (the other HTTP filters, with tokens, and who the client is) and TestBalance (which
// endpoints get requests, and how many of all requests together).
//
// By default a small slice runs. Flags choose more; -least makes a run fail in which an arm of a condition was not seen both ways often enough:
//
//	go test ./internal/difftest -v -configs 1000 -requests 25 -least 100 -seed 7
package difftest
