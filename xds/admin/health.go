package admin

import (
	"slices"

	"github.com/meshlark/meshlark/xds/rawjson"
)

// The flags of a host's health, by their names in envoy.admin.v3.HostHealthStatus.
const (
	FailedActiveHealthCheck        = "failed_active_health_check"
	FailedOutlierCheck             = "failed_outlier_check"
	FailedActiveDegradedCheck      = "failed_active_degraded_check"
	PendingDynamicRemoval          = "pending_dynamic_removal"        // gone from discovery, kept while it passes health checks
	PendingActiveHC                = "pending_active_hc"              // not checked yet
	ExcludedViaImmediateHCFail     = "excluded_via_immediate_hc_fail" // a response said x-envoy-immediate-health-check-fail
	ActiveHCTimeout                = "active_hc_timeout"
	FailedDegradedOutlierDetection = "failed_degraded_outlier_detection"
)

// A Health is what Envoy thinks of one host.
type Health struct {
	// EDS is the status discovery gave the host, as envoy.config.core.v3.HealthStatus has it: HEALTHY, UNHEALTHY, DRAINING,
	// TIMEOUT, DEGRADED, UNKNOWN. Envoy shows a host discovery said nothing about as HEALTHY.
	EDS string
	// Flags are the names of the flags that are set, in the order they were sent, ones this package does not know among them.
	Flags []string
}

// Has reports whether a flag is set.
func (h Health) Has(flag string) bool { return slices.Contains(h.Flags, flag) }

// Coarse is the one of three states that load balancing goes by (Host::coarseHealth): "unhealthy" when a check failed or discovery
// says so, otherwise "degraded" when something says that, otherwise "healthy".
func (h Health) Coarse() string {
	switch {
	case h.EDS == "UNHEALTHY", h.EDS == "DRAINING", h.EDS == "TIMEOUT", h.Has(FailedActiveHealthCheck), h.Has(FailedOutlierCheck):
		return "unhealthy"
	case h.EDS == "DEGRADED", h.Has(FailedActiveDegradedCheck), h.Has(FailedDegradedOutlierDetection):
		return "degraded"
	default:
		return "healthy"
	}
}

// readHealth reads an envoy.admin.v3.HostHealthStatus: one enumeration, everything else is a flag.
func readHealth(v rawjson.Value) Health {
	h := Health{EDS: "UNKNOWN"}
	for key, val := range v.Members() {
		name := snake(key)
		switch {
		case name == "eds_health_status":
			h.EDS = healthStatus(val)
		case val.IsTrue() && !h.Has(name):
			h.Flags = append(h.Flags, name)
		}
	}
	return h
}

// healthStatus gives the enumeration's name; proto JSON also allows its number.
func healthStatus(v rawjson.Value) string {
	names := [...]string{"UNKNOWN", "HEALTHY", "UNHEALTHY", "DRAINING", "TIMEOUT", "DEGRADED"}
	if n, ok := v.Uint(); ok && n < uint64(len(names)) {
		return names[n]
	}
	if text := v.Text(); text != "" {
		return text
	}
	return names[0]
}
