package admin

import "github.com/meshlark/meshlark/xds/rawjson"

const statsPath = "/stats?format=json"

// Stats are an Envoy's counters, gauges, text readouts and histograms. That a statistic is missing does not mean that it is zero:
// Istio's sidecars are told to keep few of them, and `usedonly` leaves out those never touched.
type Stats struct {
	Values     []Stat // in the order Envoy writes them: text readouts before the rest
	Histograms []Histogram
}

// A Stat is a counter, a gauge or a text readout. The answer does not tell counters from gauges.
type Stat struct {
	Name   string
	Number Number // empty for a text readout
	Text   string // a text readout's text
}

// A Histogram is a distribution, over the last flush interval and since the start. What is filled in depends on the parameter
// histogram_buckets of the request: Quantiles unless it was given, Buckets with cumulative or disjoint, Totals,
// Intervals and Quantiles with detailed.
type Histogram struct {
	Name      string
	Quantiles []Quantile
	Buckets   []Bucket
	Totals    []Bin // since the start
	Intervals []Bin // of the last interval
}

// A Quantile is the value below which Percent of the samples lie. Interval and Cumulative are empty when there were no samples.
type Quantile struct{ Percent, Interval, Cumulative Number }

// A Bucket counts samples up to UpperBound.
type Bucket struct{ UpperBound, Interval, Cumulative Number }

// A Bin counts samples from LowerBound up to Width above it.
type Bin struct{ LowerBound, Width, Count Number }

// ReadStats reads the answer of /stats?format=json with any of its filters.
func ReadStats(src []byte) (*Stats, error) {
	doc, err := compact(statsPath, src)
	if err != nil {
		return nil, err
	}
	list, err := section(statsPath, doc, "stats")
	if err != nil {
		return nil, err
	}
	s := &Stats{}
	for v := range list.Elems() {
		var stat Stat
		named := false
		for key, val := range v.Members() {
			switch key {
			case "name":
				stat.Name, named = val.Text(), true
			case "value":
				if val.Kind() == rawjson.String {
					stat.Text = val.Text()
				} else {
					stat.Number = number(val)
				}
			case "histograms":
				s.Histograms = append(s.Histograms, histograms(val)...)
			}
		}
		if named {
			s.Values = append(s.Values, stat)
		}
	}
	return s, nil
}

func histograms(v rawjson.Value) []Histogram {
	var out []Histogram
	if v.Kind() == rawjson.Array {
		for h := range v.Elems() {
			out = append(out, Histogram{Name: h.Str("name"), Buckets: buckets(h.Get("buckets"))})
		}
		return out
	}
	quantiles := numbers(v.Get("supported_quantiles"))
	for h := range v.Get("computed_quantiles").Elems() {
		out = append(out, Histogram{Name: h.Str("name"), Quantiles: quantileValues(quantiles, h.Get("values"))})
	}
	percentiles := numbers(v.Get("supported_percentiles"))
	for h := range v.Get("details").Elems() {
		out = append(out, Histogram{
			Name:      h.Str("name"),
			Quantiles: quantileValues(percentiles, h.Get("percentiles")),
			Totals:    bins(h.Get("totals")),
			Intervals: bins(h.Get("intervals")),
		})
	}
	return out
}

func numbers(list rawjson.Value) []Number {
	var out []Number
	for v := range list.Elems() {
		out = append(out, number(v))
	}
	return out
}

// quantileValues pairs a histogram's values with the quantiles that are listed once for all of them.
func quantileValues(percents []Number, values rawjson.Value) []Quantile {
	out := make([]Quantile, 0, len(percents))
	for v := range values.Elems() {
		if len(out) == len(percents) {
			break
		}
		out = append(out, Quantile{percents[len(out)], number(v.Get("interval")), number(v.Get("cumulative"))})
	}
	return out
}

func buckets(list rawjson.Value) []Bucket {
	var out []Bucket
	for v := range list.Elems() {
		out = append(out, Bucket{number(v.Get("upper_bound")), number(v.Get("interval")), number(v.Get("cumulative"))})
	}
	return out
}

func bins(list rawjson.Value) []Bin {
	var out []Bin
	for v := range list.Elems() {
		out = append(out, Bin{number(v.Get("lower_bound")), number(v.Get("width")), number(v.Get("count"))})
	}
	return out
}
