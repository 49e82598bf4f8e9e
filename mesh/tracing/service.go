package tracing

import (
	"fmt"
	"net/netip"
	"strings"

	"github.com/meshlark/meshlark/mesh"
	"github.com/meshlark/meshlark/xds/pattern"
	"github.com/meshlark/meshlark/xds/rawjson"
)

// services gives Services of Kubernetes. That there are none to be had, or that they cannot be read, is no fault of a trace: other ways are tried, and
// nothing is recorded.
func (v *view) services(name, namespace string) []mesh.Object {
	q := mesh.ObjectQuery{Kind: "Service", Namespace: pattern.Exact(namespace)}
	if name != "" {
		q.Name = pattern.Exact(name)
	}
	found, err := v.config.Proxy().Mesh().Objects(mesh.WithRecorder(v.ctx, &mesh.Recorder{}), q)
	if err != nil {
		return nil
	}
	return found.Items
}

// addressOfService looks for the Service that one of the names is of, and gives its address. A headless one has none.
func (v *view) addressOfService(names []string) (netip.Addr, string) {
	for _, host := range names {
		short, _, ok := strings.Cut(host, ".svc.")
		name, namespace, qualified := strings.Cut(short, ".")
		if !ok || !qualified || strings.Contains(namespace, ".") {
			continue
		}
		for _, s := range v.services(name, namespace) {
			if ip, err := netip.ParseAddr(s.JSON.Str("spec", "clusterIP")); err == nil {
				return ip, s.Name + "." + s.Namespace
			}
		}
	}
	return netip.Addr{}, ""
}

// targetPort looks for the Service in front of a gateway that has a port, and gives the port of the gateway's pod that it sends connections to; ok is
// false when there is no such Service, or when it names the port.
func (v *view) targetPort(port uint16) (target uint16, why string, ok bool) {
	p := v.config.Proxy()
	if p.Namespace == "" || len(p.Labels) == 0 {
		return 0, "", false
	}
	for _, s := range v.services("", p.Namespace) {
		selector := s.JSON.Get("spec", "selector")
		if selector.Len() == 0 || !selects(selector, p.Labels) {
			continue
		}
		for entry := range s.JSON.Get("spec", "ports").Elems() {
			if n, _ := entry.Get("port").Uint(); n != uint64(port) || entry.Str("protocol") == "UDP" {
				continue
			}
			n := uint64(port)
			if t := entry.Get("targetPort"); t.Exists() {
				n, ok = t.Uint()
				if !ok {
					continue
				}
			}
			if n > 0 && n < 1<<16 {
				return uint16(n), fmt.Sprintf("the Service %s.%s sends its port %d there", s.Name, s.Namespace, port), true
			}
		}
	}
	return 0, "", false
}

// selects reports whether a Service's selector holds for the labels of a pod.
func selects(selector rawjson.Value, labels map[string]string) bool {
	for key, want := range selector.Members() {
		if have, ok := labels[key]; !ok || have != want.Text() {
			return false
		}
	}
	return true
}
