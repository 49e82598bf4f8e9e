package routing

import (
	"slices"

	"github.com/meshlark/meshlark/xds/match"
	"github.com/meshlark/meshlark/xds/rawjson"
)

// Resume is what becomes of a request on the route that was found for it when filters have changed the request since: its headers, path and host are made
// anew, where it goes stays.
func (r Result) Resume(changed *match.Request) Result {
	if r.resume == nil {
		r.Path, r.Host = changed.Path, changed.Host
		return r
	}
	return r.resume(changed)
}

// resumable keeps what Resume needs: before is the result as it is before the route is followed.
func (r *Result) resumable(before Result, follow func(out *Result, r *match.Request)) {
	before.Steps, before.Unmodelled = slices.Clip(before.Steps), slices.Clip(before.Unmodelled)
	r.resume = func(changed *match.Request) Result {
		out := before
		out.Path, out.Host = changed.Path, changed.Host
		follow(&out, changed)
		out.resumable(before, follow)
		return out
	}
}

// An Answer is a response as it is known where a format string asks for it: that of an upstream, or of Envoy's own.
type Answer struct {
	Headers        *match.Headers
	Own            bool
	Flags, Details string
}

// Fill fills in a format string (%REQ(:path)%) for a filter. on is what the route table has made of the request, the zero Result for a connection; answer is nil on the
// request's way to the upstream. absent is for a command without a value; unmodelled are the commands that are not known.
func Fill(text, absent string, r *match.Request, on Result, answer *Answer) (filled string, unmodelled []string) {
	f := &formatter{request: r, response: new(match.Headers), route: on.Route, cluster: on.Cluster}
	if on.VirtualCluster != "other" {
		f.virtualCluster = on.VirtualCluster
	}
	if on.Found {
		f.metadata = on.View.Fields().Get("metadata", "filter_metadata")
	}
	if on.HostFound {
		f.hostMetadata = on.HostView.Fields().Get("metadata", "filter_metadata")
	}
	if answer != nil {
		f.response, f.phase, f.flags, f.details = answer.Headers, receiving, answer.Flags, answer.Details
		if answer.Own {
			f.phase = answering
		}
	}
	return f.formatOr(text, absent), f.unmodelled
}

// FillFormat fills in an envoy.config.core.v3.SubstitutionFormatString; ok is false for one whose text is not in the configuration.
func FillFormat(v rawjson.Value, r *match.Request, on Result, answer *Answer) (filled string, unmodelled []string, ok bool) {
	text := v.Get("text_format_source", "inline_string")
	if old := v.Get("text_format"); old.Exists() {
		text = old
	}
	if !text.Exists() {
		return "", nil, false
	}
	absent := "-"
	if v.Get("omit_empty_values").IsTrue() {
		absent = ""
	}
	filled, unmodelled = Fill(text.Text(), absent, r, on, answer)
	return filled, unmodelled, true
}
