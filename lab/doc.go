// Package lab brings up a mesh on this machine, made of the real programs: etcd and kube-apiserver, two istiods and one Envoy for
// each pod of the bookinfo sample, all on loopback addresses and without containers.
//
// Each pod is a process with a loopback address of its own, 127.X.Y.N, so that every Envoy can have its admin interface on port 15000
// and every istiod its debug interface on 15014, as in a cluster. Kubernetes knows the pod by another address, 10.244.0.N, because an
// EndpointSlice takes no loopback address. A stand-in for the kubelet connects the two: a port-forward to a pod ends at its process.
//
//	l, err := lab.Start(ctx, lab.Options{})
//	if err != nil { ... }
//	defer l.Close()
//	// l.Kubeconfig, l.Istiod("default").Debug, l.Envoy("reviews-v1").Admin, l.AuditLog ...
//	undo, err := l.Stale(ctx, "reviews-v1")
//
// With [Options].Traffic each pod has a network of its own, and [Lab.Request] sends requests through the Envoys.
//
// The lab needs Linux, whose whole network 127.0.0.0/8 is loopback, Go and an Envoy.
package lab
