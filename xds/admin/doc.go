// Package admin reads what Envoy's admin interface answers besides the config dump: live hosts and their health
// (/clusters), what the process is (/server_info), its certificates (/certs) and its counters (/stats).
//
// Every reader takes a whole body and gives typed values or an [*Error] that says where the body stops being such an answer.
// Fields newer than this package are no error. Numbers are kept as Envoy wrote them (see [Number]). Nothing is
// fetched here.
package admin
