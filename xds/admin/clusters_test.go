package admin

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	adminv3 "github.com/envoyproxy/go-control-plane/envoy/admin/v3"
	corev3 "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/meshlark/meshlark/xds/rawjson"
	"github.com/meshlark/meshlark/xds/resource"
)

// recorded is where the answers of a real Envoy 1.40 are.
const recorded = "../dump/testdata/envoy-1.40"

func readFile(t testing.TB, path ...string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(path...))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func readClusters(t testing.TB, src []byte) map[string]ClusterStatus {
	t.Helper()
	list, err := ReadClusters(bytes.NewReader(src), resource.NewStore())
	if err != nil {
		t.Fatal(err)
	}
	out := make(map[string]ClusterStatus, len(list))
	for _, c := range list {
		out[c.Name] = c
	}
	return out
}

// TestClustersAgreeWithText holds what is read from JSON against the text form that the same Envoy wrote of the same moment.
func TestClustersAgreeWithText(t *testing.T) {
	for name, pair := range map[string][2]string{
		"istio names":   {recorded + "/clusters.json", recorded + "/clusters.txt"},
		"address kinds": {"testdata/clusters.json", "testdata/clusters.txt"},
	} {
		t.Run(name, func(t *testing.T) {
			want := textClusters(string(readFile(t, pair[1])))
			got := map[string]string{}
			for name, c := range readClusters(t, readFile(t, pair[0])) {
				got[name+"::added_via_api"] = fmt.Sprint(c.AddedViaAPI)
				got[name+"::observability_name"] = c.ObservabilityName()
				if c.EDSServiceName != "" {
					got[name+"::eds_service_name"] = c.EDSServiceName
				}
				for _, l := range c.Limits() {
					prefix := name + "::" + strings.ToLower(l.Priority) + "_priority::"
					got[prefix+"max_connections"] = string(l.MaxConnections)
					got[prefix+"max_pending_requests"] = string(l.MaxPendingRequests)
					got[prefix+"max_requests"] = string(l.MaxRequests)
					got[prefix+"max_retries"] = string(l.MaxRetries)
				}
				for _, h := range c.Hosts {
					addHost(got, name+"::"+h.Address().String()+"::", h)
				}
			}
			for key := range want {
				if strings.Contains(key, "::canary") || strings.Contains(key, "::outlier::") {
					delete(want, key) // text only
				}
			}
			if len(want) < 50 {
				t.Fatalf("the text form has only %d lines", len(want))
			}
			diff := cmp.Diff(want, got)
			if diff != "" {
				t.Errorf("text form (-) and JSON (+) differ:\n%s", diff)
			}
		})
	}
}

// textClusters reads the lines of the text form: value by everything before it. Pipes are written without unix://.
func textClusters(text string) map[string]string {
	out := map[string]string{}
	for line := range strings.Lines(text) {
		line = strings.TrimSuffix(line, "\n")
		i := strings.LastIndex(line, "::")
		out[strings.ReplaceAll(line[:i], "::/", "::unix:///")] = line[i+2:]
	}
	return out
}

func addHost(got map[string]string, prefix string, h Host) {
	got[prefix+"hostname"] = h.Hostname()
	got[prefix+"weight"] = fmt.Sprint(h.Weight())
	got[prefix+"priority"] = fmt.Sprint(h.Priority())
	parts := append(strings.Split(h.Locality(), "/"), "", "")
	got[prefix+"region"], got[prefix+"zone"], got[prefix+"sub_zone"] = parts[0], parts[1], parts[2]
	for name, rate := range map[string]Number{"success_rate": h.SuccessRate(), "local_origin_success_rate": h.LocalOriginSuccessRate()} {
		if rate == "" {
			rate = "-1"
		}
		got[prefix+name] = string(rate)
	}
	for _, s := range h.Stats() {
		got[prefix+s.Name] = string(s.Value)
	}
	text := map[string]string{
		FailedActiveHealthCheck: "/failed_active_hc", FailedActiveDegradedCheck: "/degraded_active_hc",
		FailedDegradedOutlierDetection: "/degraded_outlier_detection",
	}
	var flags []string
	for _, f := range h.Health().Flags {
		if short := text[f]; short != "" {
			flags = append(flags, short)
		} else {
			flags = append(flags, "/"+f)
		}
	}
	eds := map[string]string{"UNHEALTHY": "/failed_eds_health", "DEGRADED": "/degraded_eds_health", "DRAINING": "/eds_status_draining"}
	if f := eds[h.Health().EDS]; f != "" {
		flags = append(flags, f)
	}
	got[prefix+"health_flags"] = strings.Join(flags, "")
	if len(flags) == 0 {
		got[prefix+"health_flags"] = "healthy"
	}
}

func TestCell(t *testing.T) {
	var got []string
	for _, c := range readClusters(t, readFile(t, "testdata/clusters.json")) {
		for _, h := range c.Hosts {
			got = append(got, h.Cell())
		}
	}
	slices.Sort(got)
	want := []string{"127.0.0.1:1", "127.0.0.1:19701", "::1:9", "envoy://internal/10.0.0.9:80", "unix:///etc/envoy/sock"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	for address, want := range map[string]string{
		`{}`:   "unknown",
		`null`: "unknown",
		`{"socket_address":{"address":"10.0.0.1"}}`:                          "10.0.0.1",
		`{"socketAddress":{"address":"10.0.0.1","portValue":80}}`:            "10.0.0.1:80",
		`{"envoyInternalAddress":{"serverListenerName":"l"}}`:                "envoy://l/",
		`{"pipe":{"path":"@abstract"}}`:                                      "unix://@abstract",
		`{"socket_address":{"address":"10.0.0.1","port_value":99999999999}}`: "10.0.0.1:4294967295",
	} {
		src := `{"cluster_statuses":[{"name":"c","host_statuses":[{"address":` + address + `}]}]}`
		if got := readClusters(t, []byte(src))["c"].Hosts[0].Cell(); got != want {
			t.Errorf("address %s: cell %q, want %q", address, got, want)
		}
	}
}

// TestEveryHealthFlag sets each flag of the proto message in turn, so that one that is added there is seen here.
func TestEveryHealthFlag(t *testing.T) {
	known := []string{FailedActiveHealthCheck, FailedOutlierCheck, FailedActiveDegradedCheck, PendingDynamicRemoval, PendingActiveHC,
		ExcludedViaImmediateHCFail, ActiveHCTimeout, FailedDegradedOutlierDetection}
	fields := (&adminv3.HostHealthStatus{}).ProtoReflect().Descriptor().Fields()
	var flags []string
	for i := range fields.Len() {
		f := fields.Get(i)
		if f.Kind() != protoreflect.BoolKind {
			if f.Name() != "eds_health_status" {
				t.Errorf("HostHealthStatus has %s of a kind that is not read", f.Name())
			}
			continue
		}
		flags = append(flags, string(f.Name()))
		msg := &adminv3.HostHealthStatus{}
		msg.ProtoReflect().Set(f, protoreflect.ValueOfBool(true))
		for _, camel := range []bool{false, true} {
			h := hostOf(t, &adminv3.HostStatus{HealthStatus: msg}, camel)
			if want := []string{string(f.Name())}; !slices.Equal(h.Health().Flags, want) {
				t.Errorf("%s set, camelCase %v: flags %v", f.Name(), camel, h.Health().Flags)
			}
		}
	}
	slices.Sort(flags)
	slices.Sort(known)
	if diff := cmp.Diff(flags, known); diff != "" {
		t.Errorf("flags of the message (-) and constants (+) differ:\n%s", diff)
	}
	for name, number := range corev3.HealthStatus_value {
		want := name
		h := hostOf(t, &adminv3.HostStatus{HealthStatus: &adminv3.HostHealthStatus{EdsHealthStatus: corev3.HealthStatus(number)}}, false)
		if got := h.Health().EDS; got != want {
			t.Errorf("EDS status %s read as %s", want, got)
		}
		if got := readHealth(rawjson.Value(fmt.Sprintf(`{"eds_health_status":%d}`, number))).EDS; got != want {
			t.Errorf("EDS status %d read as %s, want %s", number, got, want)
		}
	}
}

// hostOf prints a host as Envoy does and reads it.
func hostOf(t *testing.T, msg *adminv3.HostStatus, camel bool) Host {
	t.Helper()
	clusters := &adminv3.Clusters{ClusterStatuses: []*adminv3.ClusterStatus{{Name: "c", HostStatuses: []*adminv3.HostStatus{msg}}}}
	src, err := protojson.MarshalOptions{UseProtoNames: !camel}.Marshal(clusters)
	if err != nil {
		t.Fatal(err)
	}
	return readClusters(t, src)["c"].Hosts[0]
}

// TestEveryFieldHasAPlace says of every field of the messages whether it is shared by proxies. A field that is added to
// them has to be looked at before the store fills up with counters.
func TestEveryFieldHasAPlace(t *testing.T) {
	places := map[proto.Message]map[string]string{
		&adminv3.HostStatus{}: {
			"address": "shared", "hostname": "shared", "locality": "shared", "weight": "shared", "priority": "shared",
			"stats": "own", "health_status": "own", "success_rate": "own", "local_origin_success_rate": "own",
		},
		&adminv3.ClusterStatus{}: {
			"name": "shared", "added_via_api": "shared", "circuit_breakers": "shared", "observability_name": "shared",
			"eds_service_name": "shared", "host_statuses": "own", "success_rate_ejection_threshold": "own",
			"local_origin_success_rate_ejection_threshold": "own",
		},
	}
	for msg, want := range places {
		got := map[string]string{}
		fields := msg.ProtoReflect().Descriptor().Fields()
		for i := range fields.Len() {
			name := string(fields.Get(i).Name())
			got[name] = want[name]
			src := fmt.Sprintf(`{"cluster_statuses":[{"name":"c","host_statuses":[{%q:"v"}]}]}`, name)
			if _, ok := msg.(*adminv3.ClusterStatus); ok {
				src = fmt.Sprintf(`{"cluster_statuses":[{"name":"c",%q:"v"}]}`, name)
			}
			c := readClusters(t, []byte(src))
			for _, status := range c {
				shared := status.Config()
				if len(status.Hosts) > 0 {
					shared = status.Hosts[0].Config()
				}
				if isShared := len(shared.Get(name)) > 0; isShared != (want[name] == "shared") {
					t.Errorf("%T: %s is shared: %v, want it %s", msg, name, isShared, want[name])
				}
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%T (-want +got):\n%s", msg, diff)
		}
	}
}

func TestCoarse(t *testing.T) {
	tests := []struct {
		h    Health
		want string
	}{
		{Health{EDS: "HEALTHY"}, "healthy"},
		{Health{EDS: "UNKNOWN", Flags: []string{PendingActiveHC}}, "healthy"},
		{Health{EDS: "HEALTHY", Flags: []string{FailedActiveDegradedCheck}}, "degraded"},
		{Health{EDS: "HEALTHY", Flags: []string{FailedDegradedOutlierDetection}}, "degraded"},
		{Health{EDS: "DEGRADED"}, "degraded"},
		{Health{EDS: "DEGRADED", Flags: []string{FailedOutlierCheck}}, "unhealthy"},
		{Health{EDS: "HEALTHY", Flags: []string{FailedActiveHealthCheck}}, "unhealthy"},
		{Health{EDS: "UNHEALTHY"}, "unhealthy"},
		{Health{EDS: "TIMEOUT"}, "unhealthy"},
		{Health{EDS: "DRAINING"}, "unhealthy"},
	}
	for _, tt := range tests {
		if got := tt.h.Coarse(); got != tt.want {
			t.Errorf("%+v is %s, want %s", tt.h, got, tt.want)
		}
	}
}

// TestSharing reads the same clusters with other counters, as a second proxy has them: nothing may be stored for it.
func TestSharing(t *testing.T) {
	first := string(readFile(t, recorded, "clusters.json"))
	second := strings.ReplaceAll(first, `"name": "cx_total"`, `"value": "18446744073709551615", "name": "cx_total"`)
	second = strings.ReplaceAll(second, `"eds_health_status": "HEALTHY"`, `"failed_outlier_check": true, "eds_health_status": "HEALTHY"`)
	if first == second {
		t.Fatal("the recording has no counters to change")
	}
	store := resource.NewStore()
	a, err := ReadClusters(strings.NewReader(first), store)
	if err != nil {
		t.Fatal(err)
	}
	bodies, bytes := store.Stats()
	b, err := ReadClusters(strings.NewReader(second), store)
	if err != nil {
		t.Fatal(err)
	}
	if n, size := store.Stats(); n != bodies || size != bytes {
		t.Errorf("a second proxy took the store from %d bodies (%d bytes) to %d (%d)", bodies, bytes, n, size)
	}
	hosts := 0
	states := map[*hostState]bool{}
	for i := range a {
		for j := range a[i].Hosts {
			x, y := a[i].Hosts[j], b[i].Hosts[j]
			if x.config != y.config {
				t.Errorf("%s: host %s is stored twice", a[i].Name, x.Cell())
			}
			if !y.Health().Has(FailedOutlierCheck) && y.Health().EDS == "HEALTHY" {
				t.Errorf("%s: host %s: health of the second proxy was lost: %+v", a[i].Name, y.Cell(), y.Health())
			}
			if cx := y.Stats()[1]; cx.Name != "cx_total" || cx.Value != "18446744073709551615" && x.Stats()[1].Value == "0" {
				t.Errorf("%s: host %s: stat %+v", a[i].Name, y.Cell(), cx)
			}
			states[x.state] = true
			hosts++
		}
	}
	if len(states) > hosts/2 {
		t.Errorf("%d hosts have %d states; those that do alike should refer to one", hosts, len(states))
	}
}

// An answer that comes in many pieces is the same clusters, and one that breaks off is no answer.
func TestClustersInPieces(t *testing.T) {
	one := bytes.TrimSpace(readFile(t, recorded, "clusters.json"))
	from, to := bytes.IndexByte(one, '['), bytes.LastIndexByte(one, ']')
	elements := one[from+1 : to]
	store := resource.NewStore()
	want, err := ReadClusters(bytes.NewReader(one), store)
	if err != nil {
		t.Fatal(err)
	}
	const times = 50
	long := slices.Concat(one[:from+1], bytes.Repeat(append(bytes.Clone(elements), ','), times-1), one[from+1:])
	got, err := ReadClusters(iotest.HalfReader(bytes.NewReader(long)), store)
	if err != nil || len(got) != times*len(want) {
		t.Fatalf("%d clusters, error %v, want %d times %d", len(got), err, times, len(want))
	}
	for i, c := range got {
		if string(c.Raw()) != string(want[i%len(want)].Raw()) {
			t.Fatalf("%d: got %s, want %s", i, c.Raw(), want[i%len(want)].Raw())
		}
	}
	why := errors.New("cut off")
	if _, err := ReadClusters(io.MultiReader(bytes.NewReader(long[:len(long)/2]), iotest.ErrReader(why)), store); !errors.Is(err, why) {
		t.Errorf("an answer that breaks off: error %v, want %v", err, why)
	}
	bad := append(bytes.Clone(long), 'x')
	var e *Error
	if _, err := ReadClusters(bytes.NewReader(bad), store); !errors.As(err, &e) || e.Offset != int64(len(bad)-1) {
		t.Errorf("a fault at %d: error %v", len(bad)-1, err)
	}
}

func TestRawLosesNothing(t *testing.T) {
	for _, path := range []string{recorded + "/clusters.json", "testdata/clusters.json"} {
		src := readFile(t, path)
		list, err := ReadClusters(bytes.NewReader(src), resource.NewStore())
		if err != nil {
			t.Fatal(err)
		}
		again := []byte(`{"cluster_statuses":[`)
		for i, c := range list {
			if i > 0 {
				again = append(again, ',')
			}
			again = append(again, c.Raw()...)
		}
		again = append(again, "]}"...)
		if diff := cmp.Diff(canonical(t, src), canonical(t, again)); diff != "" {
			t.Errorf("%s: put together again (-before +after):\n%s", path, diff)
		}
	}
	src := `{"cluster_statuses":[{"name":"c","success_rate_ejection_threshold":{"value":87.50},` +
		`"local_origin_success_rate_ejection_threshold":{"value":"NaN"},"host_statuses":[{"success_rate":{},"new":1,"stats":[{"name":"x","value":"+1"}]}]}]}`
	c := readClusters(t, []byte(src))["c"]
	want := `{"name":"c","success_rate_ejection_threshold":{"value":87.50},"local_origin_success_rate_ejection_threshold":{"value":"NaN"},` +
		`"host_statuses":[{"new":1,"success_rate":{},"stats":[{"name":"x","value":"+1"}]}]}`
	if got := string(c.Raw()); got != want {
		t.Errorf("Raw() = %s\nwant    %s", got, want)
	}
	if c.Hosts[0].SuccessRate() != "0" || c.Hosts[0].LocalOriginSuccessRate() != "" {
		t.Errorf("success rates %q %q", c.Hosts[0].SuccessRate(), c.Hosts[0].LocalOriginSuccessRate())
	}
}

func canonical(t *testing.T, src []byte) string {
	t.Helper()
	v, err := rawjson.Compact(nil, src)
	if err != nil {
		t.Fatalf("%v in %s", err, src)
	}
	return string(rawjson.Canonical(nil, v))
}

func TestIstioctlArray(t *testing.T) {
	src := `[{"name":"outbound|80||a","addedViaApi":true,"edsServiceName":"e","hostStatuses":[
		{"address":{"socketAddress":{"address":"10.0.0.1","portValue":80}},"healthStatus":{"failedOutlierCheck":true,"edsHealthStatus":"DRAINING"},"weight":2}]}]`
	c := readClusters(t, []byte(src))["outbound|80||a"]
	if !c.AddedViaAPI || c.EDSServiceName != "e" || len(c.Hosts) != 1 {
		t.Fatalf("read %+v", c)
	}
	h := c.Hosts[0]
	if diff := cmp.Diff(Health{EDS: "DRAINING", Flags: []string{FailedOutlierCheck}}, h.Health()); diff != "" || h.Cell() != "10.0.0.1:80" || h.Weight() != 2 {
		t.Errorf("host %s weight %d health %s", h.Cell(), h.Weight(), diff)
	}
}

func TestZeroValues(t *testing.T) {
	var c ClusterStatus
	var h Host
	if c.Config() != nil || c.Limits() != nil || c.ObservabilityName() != "" || h.Cell() != "unknown" || h.Health().Coarse() != "healthy" ||
		len(h.Stats()) != 0 || h.SuccessRate() != "" || h.Raw() != nil {
		t.Error("zero values are not empty")
	}
}
