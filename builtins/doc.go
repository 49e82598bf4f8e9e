// Package builtins is the language of meshlark: the functions that scripts
// and the prompt see, and the values those functions give.
//
// Everything a user can name is described once, in a declarative table (see
// [Registry]): name, parameters with their types, defaults and allowed
// values, result, documentation and an example that runs. The table drives
// argument unpacking, attribute lookup, help, completion and the generated
// reference, so none of them can disagree with what the code does.
//
// # Values
//
// A mesh, its proxies, and the configuration each proxy holds (listeners,
// route tables, clusters, endpoints, secrets, bootstrap) are immutable
// Starlark values. Attributes never do input or output; what has to be
// fetched is a call. Calls of the plural kind give a [Collection], which
// slices, filters and groups, and which remembers what could not be fetched.
// Any two values of a kind have a [Diff].
//
// # JSON
//
// Every value has a JSON form, see [Body]: a resource is what Envoy or the
// control plane sent, token for token; a collection is the array of the forms
// of its elements; other values are their typed fields, see [Item]. jq filters
// work on that form.
package builtins
