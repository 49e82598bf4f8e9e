// Package routing finds the route an HTTP request takes through a route table (RDS), and what becomes of the request there, as Envoy's router
// does it.
//
// [New] indexes the domains of a table; routes are read when a request first reaches their virtual host. A Table may be used by
// many at once.
//
// What the HTTP connection manager does before a route is looked up (normalising the path, stripping ports, headers such as
// x-forwarded-proto) is not done here: a [match.Request] is what the connection manager hands on. Not modelled either: cluster
// specifier plugins, hash policies as the source of the random number for weighted clusters, route_specifiers, runtime keys of mirrors, and the
// commands of Envoy's format strings that need an upstream; a result that would depend on one of them says so in its steps, apart from mirrors,
// whose shares are then those without runtime.
package routing
