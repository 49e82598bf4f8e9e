// Package diff tells how two configurations differ: not by lines of text but by what they say.
//
// [Compare] takes the resources of two proxies, [Meshes] those of two sets of proxies and [Values] two pieces of JSON. Resources belong
// together by kind, name and state, virtual hosts by name, filter chains by name or else by their match, endpoints by address; routes and
// filters keep their order, and one that is inserted is one addition. [ListPolicies] has the rule of every list.
//
// Where the Envoy API's definitions know a message, two ways to say one thing are equal: a field that is absent and one that is
// zero (unless the field has presence, so that an empty message or a wrapped 0 differ from none), "1s" and "1.000s", "5" and 5 for a
// 64-bit number, names and numbers of enums, snake_case and lowerCamelCase, forms of base64. Elsewhere values are equal when their canonical
// JSON is (rawjson.Canonical). Three tables list what else makes no difference: [Ignored], [SameAsAbsent] and [Rewrites].
// With [Options.Exact] none of this holds, and two configurations are equal when they are token for token.
//
// A difference can be applied: [Diff.Apply] turns what was on the left into something equal to what was on the right.
package diff
