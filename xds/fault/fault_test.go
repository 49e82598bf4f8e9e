package fault_test

import (
	"fmt"
	"testing"

	"github.com/meshlark/meshlark/xds/fault"
	"github.com/meshlark/meshlark/xds/match"
	"github.com/meshlark/meshlark/xds/rawjson"
)

func TestCheck(t *testing.T) {
	const abort = `"abort":{"http_status":418,"percentage":{"numerator":100}}`
	for _, tc := range []struct {
		config, header string // name=value
		want           string // delay and its share, status, gRPC status and share
	}{
		{`{}`, "", "0s 0, 0 0"},
		{`{` + abort + `}`, "", "0s 0, 418 1"},
		{`{"abort":{"http_status":418,"percentage":{"numerator":1,"denominator":"MILLION"}}}`, "", "0s 0, 418 1e-06"},
		{`{"abort":{"http_status":418}}`, "", "0s 0, 0 0"},
		{`{"abort":{"grpc_status":14,"percentage":{"numerator":50}}}`, "", "0s 0, 200 0.5 grpc 14"},
		{`{"abort":{"header_abort":{},"percentage":{"numerator":100}}}`, "", "0s 0, 0 0"},
		{`{"abort":{"header_abort":{},"percentage":{"numerator":100}}}`, "x-envoy-fault-abort-request=503", "0s 0, 503 1"},
		{`{"abort":{"header_abort":{},"percentage":{"numerator":100}}}`, "x-envoy-fault-abort-request=99", "0s 0, 0 0"},
		{`{"abort":{"header_abort":{},"percentage":{"numerator":100}}}`, "x-envoy-fault-abort-grpc-request=5", "0s 0, 200 1 grpc 5"},
		{`{"delay":{"fixed_delay":"1.5s","percentage":{"numerator":10}},` + abort + `}`, "", "1.5s 0.1, 418 1"},
		{`{"delay":{"header_delay":{},"percentage":{"numerator":100}}}`, "x-envoy-fault-delay-request=20", "20ms 1, 0 0"},
		{`{"delay":{"header_delay":{},"percentage":{"numerator":50}}}`, "x-envoy-fault-delay-request-percentage=100", "0s 0, 0 0"},
		{`{"delay":{"fixed_delay":"x","percentage":{"numerator":100}}}`, "", "0s 0, 0 0"},
		{`{"upstream_cluster":"c",` + abort + `}`, "", "0s 0, 418 1"},
		{`{"upstream_cluster":"d",` + abort + `}`, "", "0s 0, 0 0"},
		{`{"downstream_nodes":["n"],` + abort + `}`, "", "0s 0, 0 0"},
		{`{"downstream_nodes":["n"],` + abort + `}`, "x-envoy-downstream-service-node=n", "0s 0, 418 1"},
		{`{"headers":[{"name":"a"}],` + abort + `}`, "", "0s 0, 0 0"},
		{`{"headers":[{"name":"a"}],` + abort + `}`, "a=1", "0s 0, 418 1"},
		{`{"max_active_faults":0,` + abort + `}`, "", "0s 0, 0 0"},
		{`{"abort_percent_runtime":"half",` + abort + `}`, "", "0s 0, 418 0.5"},
		{`{"abort_percent_runtime":"half",` + abort + `}`, "x-envoy-downstream-service-cluster=me", "0s 0, 418 0.25"},
		{`{"abort_http_status_runtime":"status",` + abort + `}`, "", "0s 0, 599 1"},
	} {
		r := &match.Request{Path: "/", Runtime: map[string]any{"half": 50, "status": 599, "fault.http.me.abort.abort_percent": 25}}
		if tc.header != "" {
			var h match.Header
			for i := range tc.header {
				if tc.header[i] == '=' {
					h = match.Header{Name: tc.header[:i], Value: tc.header[i+1:]}
				}
			}
			r.Headers = match.Headers{h}
		}
		d := fault.Check("f", rawjson.Value(tc.config), r, "c")
		got := fmt.Sprintf("%v %v, %d %v", d.Delay, d.DelayShare, d.Code, d.AbortShare)
		if d.GRPC != "" {
			got += " grpc " + d.GRPC
		}
		if got != tc.want || d.Step.Answer == "" {
			t.Errorf("%s with %s: %s (%s), want %s", tc.config, tc.header, got, d.Step.Answer, tc.want)
		}
	}
}

func FuzzCheck(f *testing.F) {
	f.Add([]byte(`{"abort":{"header_abort":{},"percentage":{"numerator":100}},"delay":{"fixed_delay":"1s","percentage":{"numerator":1}}}`), "x-envoy-fault-abort-request", "503")
	f.Fuzz(func(t *testing.T, config []byte, name, value string) {
		d := fault.Check("f", config, &match.Request{Path: "/", Headers: match.Headers{{Name: name, Value: value}}}, "c")
		if d.AbortShare < 0 || d.AbortShare > 1 || d.DelayShare < 0 || d.DelayShare > 1 || d.Delay < 0 {
			t.Errorf("%+v", d)
		}
	})
}
