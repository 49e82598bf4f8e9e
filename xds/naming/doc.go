// Package naming knows what Envoy's and Istio's names mean: node ids, cluster names, hosts and their short forms, references
// to the Istio objects a piece of configuration came from, type URLs, versions, and how a proxy introduces itself in its
// node metadata.
//
// What a name does not say is left empty; nothing is made up, and where a value is a guess the result says so.
package naming
