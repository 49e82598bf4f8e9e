package builtins

import (
	"fmt"
	"strconv"
	"strings"
	"sync"

	"github.com/meshlark/meshlark/xds/rawjson"
	"go.starlark.net/starlark"
)

// objectCells are the cells of an object's row, by the name of their column; found when they are first asked for.
type objectCells struct {
	once  sync.Once
	cells map[string]string
}

func (k *KubernetesObject) cell(column string) string {
	k.columns.once.Do(func() {
		if read := objectRows[k.o.Kind]; read != nil {
			k.columns.cells = read(k.raw)
		}
	})
	return k.columns.cells[column]
}

// objectColumns are the columns of the table of objects: what kubectl get shows of the kinds that people of a mesh look at. Those that no object of
// the table has anything in are left out.
func objectColumns() []column {
	type o = *KubernetesObject
	cols := []column{
		{Column: Column{Name: "KIND"}, Optional: true, Cell: func(v starlark.Value) string {
			if v.(o).told {
				return ""
			}
			return v.(o).o.Kind
		}},
		{Column: Column{Name: "NAME", Elide: ElideMiddle}, Cell: func(v starlark.Value) string { return v.(o).o.Name }},
		{Column: Column{Name: "NAMESPACE", Elide: ElideMiddle}, Optional: true, Cell: func(v starlark.Value) string { return v.(o).o.Namespace }},
		{Column: Column{Name: "SOURCE", Priority: 2, Elide: ElideMiddle}, Optional: true, Cell: func(v starlark.Value) string {
			if !v.(o).several {
				return ""
			}
			return v.(o).o.Source
		}},
	}
	for _, c := range []Column{
		{Name: "READY"}, {Name: "STATUS"}, {Name: "RESTARTS", Priority: 4, Align: Right},
		{Name: "GATEWAYS", Elide: ElideEnd, Priority: 2}, {Name: "HOSTS", Elide: ElideEnd}, {Name: "HOST", Elide: ElideMiddle}, {Name: "SUBSETS", Elide: ElideEnd, Priority: 2},
		{Name: "LOCATION", Priority: 3}, {Name: "RESOLUTION", Priority: 3},
		{Name: "SELECTOR", Elide: ElideEnd, Priority: 2}, {Name: "SERVERS", Elide: ElideEnd}, {Name: "CLASS", Elide: ElideMiddle}, {Name: "ADDRESS", Elide: ElideEnd}, {Name: "PROGRAMMED", Priority: 2},
		{Name: "ACTION"}, {Name: "RULES", Align: Right, Priority: 2}, {Name: "MODE"},
		{Name: "TYPE", Elide: ElideEnd}, {Name: "CLUSTER-IP"}, {Name: "EXTERNAL-IP", Elide: ElideEnd, Priority: 3}, {Name: "PORTS", Elide: ElideEnd, Priority: 1}, {Name: "DATA", Align: Right},
		{Name: "IP", Priority: 3},
	} {
		cols = append(cols, column{Column: c, Optional: true, Cell: func(v starlark.Value) string { return v.(o).cell(c.Name) }})
	}
	return append(cols,
		column{Column: Column{Name: "AGE"}, Cell: func(v starlark.Value) string {
			k := v.(o)
			if k.created().IsZero() {
				return ""
			}
			return AgeText(k.now.Sub(k.created()))
		}},
		column{Column: Column{Name: "API VERSION", Priority: 9}, Wide: true, Cell: func(v starlark.Value) string { return v.(o).o.APIVersion }},
		column{Column: Column{Name: "NODE", Priority: 9}, Wide: true, Optional: true, Cell: func(v starlark.Value) string { return v.(o).raw.Str("spec", "nodeName") }},
		column{Column: Column{Name: "LABELS", Priority: 9, Elide: ElideEnd}, Wide: true, Cell: func(v starlark.Value) string { return pairsCell(v.(o).raw.Get("metadata", "labels")) }},
	)
}

// objectRows read the cells of a kind.
var objectRows = map[string]func(rawjson.Value) map[string]string{
	"VirtualService": func(v rawjson.Value) map[string]string {
		return map[string]string{"GATEWAYS": listCell(v.Get("spec", "gateways")), "HOSTS": listCell(v.Get("spec", "hosts"))}
	},
	"DestinationRule": func(v rawjson.Value) map[string]string {
		return map[string]string{"HOST": v.Str("spec", "host"), "SUBSETS": eachCell(v.Get("spec", "subsets"), func(s rawjson.Value) string { return s.Str("name") })}
	},
	"ServiceEntry": func(v rawjson.Value) map[string]string {
		return map[string]string{"HOSTS": listCell(v.Get("spec", "hosts")), "LOCATION": v.Str("spec", "location"), "RESOLUTION": v.Str("spec", "resolution")}
	},
	"Gateway": func(v rawjson.Value) map[string]string {
		return map[string]string{
			"SELECTOR": pairsCell(v.Get("spec", "selector")),
			"SERVERS": eachCell(v.Get("spec", "servers"), func(s rawjson.Value) string {
				return s.Str("port", "protocol") + "/" + s.Get("port", "number").Text()
			}),
			// Of the Gateway API.
			"CLASS":      v.Str("spec", "gatewayClassName"),
			"ADDRESS":    eachCell(v.Get("status", "addresses"), func(a rawjson.Value) string { return a.Str("value") }),
			"PROGRAMMED": condition(v, "Programmed"),
		}
	},
	"HTTPRoute": routeRow, "GRPCRoute": routeRow, "TLSRoute": routeRow, "TCPRoute": routeRow,
	"AuthorizationPolicy": func(v rawjson.Value) map[string]string {
		action := v.Str("spec", "action")
		if action == "" {
			action = "ALLOW"
		}
		return map[string]string{"ACTION": action, "RULES": strconv.Itoa(v.Get("spec", "rules").Len()), "SELECTOR": pairsCell(v.Get("spec", "selector", "matchLabels"))}
	},
	"PeerAuthentication": func(v rawjson.Value) map[string]string {
		return map[string]string{"MODE": v.Str("spec", "mtls", "mode"), "SELECTOR": pairsCell(v.Get("spec", "selector", "matchLabels"))}
	},
	"EnvoyFilter": func(v rawjson.Value) map[string]string {
		return map[string]string{"SELECTOR": pairsCell(v.Get("spec", "workloadSelector", "labels"))}
	},
	"Service": func(v rawjson.Value) map[string]string {
		return map[string]string{
			"TYPE": v.Str("spec", "type"), "CLUSTER-IP": v.Str("spec", "clusterIP"),
			"EXTERNAL-IP": eachCell(v.Get("status", "loadBalancer", "ingress"), func(i rawjson.Value) string { return i.Str("ip") + i.Str("hostname") }),
			"PORTS": eachCell(v.Get("spec", "ports"), func(p rawjson.Value) string {
				protocol := p.Str("protocol")
				if protocol == "" {
					protocol = "TCP"
				}
				return p.Get("port").Text() + "/" + protocol
			}),
		}
	},
	"Pod": func(v rawjson.Value) map[string]string {
		ready, restarts := 0, int64(0)
		wanted := v.Get("spec", "containers").Len()
		reason := v.Str("status", "reason")
		sidecars := map[string]bool{} // init containers that go on running count like the others, as in kubectl
		for c := range v.Get("spec", "initContainers").Elems() {
			if c.Str("restartPolicy") == "Always" {
				sidecars[c.Str("name")] = true
				wanted++
			}
		}
		for c := range v.Get("status", "initContainerStatuses").Elems() {
			if !sidecars[c.Str("name")] {
				continue
			}
			if c.Get("ready").IsTrue() {
				ready++
			}
			n, _ := c.Get("restartCount").Int()
			restarts += n
		}
		for c := range v.Get("status", "containerStatuses").Elems() {
			if c.Get("ready").IsTrue() {
				ready++
			}
			n, _ := c.Get("restartCount").Int()
			restarts += n
			for _, why := range []string{c.Str("state", "terminated", "reason"), c.Str("state", "waiting", "reason")} {
				if why != "" && reason == "" {
					reason = why
				}
			}
		}
		if reason == "" {
			reason = v.Str("status", "phase")
		}
		if v.Get("metadata", "deletionTimestamp").Exists() {
			reason = "Terminating"
		}
		return map[string]string{
			"READY": fmt.Sprintf("%d/%d", ready, wanted), "STATUS": reason,
			"RESTARTS": strconv.FormatInt(restarts, 10), "IP": v.Str("status", "podIP"),
		}
	},
	"Deployment": replicasRow, "StatefulSet": replicasRow, "ReplicaSet": replicasRow,
	"Secret": func(v rawjson.Value) map[string]string {
		return map[string]string{"TYPE": v.Str("type"), "DATA": strconv.Itoa(v.Get("data").Len())}
	},
	"ConfigMap": func(v rawjson.Value) map[string]string {
		return map[string]string{"DATA": strconv.Itoa(v.Get("data").Len() + v.Get("binaryData").Len())}
	},
	"Namespace": func(v rawjson.Value) map[string]string {
		return map[string]string{"STATUS": v.Str("status", "phase")}
	},
}

func routeRow(v rawjson.Value) map[string]string {
	return map[string]string{
		"HOSTS":    listCell(v.Get("spec", "hostnames")),
		"GATEWAYS": eachCell(v.Get("spec", "parentRefs"), func(p rawjson.Value) string { return p.Str("name") }),
	}
}

func replicasRow(v rawjson.Value) map[string]string {
	wanted := int64(1)
	if n, ok := v.Get("spec", "replicas").Int(); ok {
		wanted = n
	}
	ready, _ := v.Get("status", "readyReplicas").Int()
	return map[string]string{"READY": fmt.Sprintf("%d/%d", ready, wanted)}
}

// condition is the status of a condition: True, False, Unknown; "" when it is not there.
func condition(v rawjson.Value, typ string) string {
	for c := range v.Get("status", "conditions").Elems() {
		if c.Str("type") == typ {
			return c.Str("status")
		}
	}
	return ""
}

func listCell(list rawjson.Value) string {
	return eachCell(list, func(v rawjson.Value) string { return v.Text() })
}

func eachCell(list rawjson.Value, cell func(rawjson.Value) string) string {
	var parts []string
	for v := range list.Elems() {
		if s := cell(v); s != "" {
			parts = append(parts, s)
		}
	}
	return strings.Join(parts, ",")
}

// pairsCell writes labels as kubectl does.
func pairsCell(object rawjson.Value) string {
	var parts []string
	for k, v := range object.Members() {
		parts = append(parts, k+"="+v.Text())
	}
	return strings.Join(parts, ",")
}
