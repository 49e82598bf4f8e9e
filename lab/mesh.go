package lab

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
)

const meshConfig = "accessLogFile: /dev/stdout\nrootNamespace: istio-system\ntrustDomain: cluster.local\n"

// applyMesh writes all objects of the mesh and gives the pods that are to have an Envoy.
func (l *Lab) applyMesh(ctx context.Context) ([]*Pod, error) {
	for _, apply := range []func(context.Context) error{l.applySystem, l.applySample, l.addIstiods} {
		if err := apply(ctx); err != nil {
			return nil, err
		}
	}
	gateway := gatewayPod("istio-ingressgateway", "6bd9cf7b6d", "2nq8z", "ingressgateway").place(l.block, 20)
	gateway.secure = true
	nativeSidecar := sidecarPod("reviews", "v2", "556d6457d", "kz8tq", "default").place(l.block, 13)
	nativeSidecar.native = true
	otherPort := sidecarPod("ratings", "v1", "75b9c6c6d8", "vj6pl", "canary").place(l.block, 16)
	otherPort.AdminPort = 15500
	pods := []*Pod{
		sidecarPod("productpage", "v1", "54bb874995", "h4wzq", "default").place(l.block, 11),
		sidecarPod("reviews", "v1", "598b896c9d", "9bxvm", "default").place(l.block, 12),
		nativeSidecar,
		sidecarPod("reviews", "v3", "564544b4d6", "m5r9d", "canary").place(l.block, 14),
		sidecarPod("details", "v1", "79dfbd6fff", "t7c5k", "default").place(l.block, 15),
		otherPort,
		gateway,
	}
	services := map[string][]*Pod{}
	for _, p := range pods {
		if err := l.addPod(ctx, p); err != nil {
			return nil, err
		}
		services[p.Labels["app"]] = append(services[p.Labels["app"]], p)
	}
	for service, of := range services {
		ports := map[string]int{"http": 9080}
		if service == gateway.Workload {
			ports = map[string]int{"status-port": 15021, "http2": 8080, "https": 8443}
		}
		if _, err := l.cluster.apply(ctx, endpointSlice(service, of[0].Namespace, ports, of)); err != nil {
			return nil, err
		}
	}
	if err := l.applySecret(ctx, "bookinfo-cert", "bookinfo.example.com"); err != nil {
		return nil, err
	}
	var err error
	if l.mesh, err = fill("mesh.yaml", map[string]any{"Gateway": l.bind(gateway)}); err != nil {
		return nil, err
	}
	return pods, l.cluster.applyAll(ctx, l.mesh)
}

// bind is the address that the listeners of a gateway are bound to; "" for any, where no other pod has the same ports.
func (l *Lab) bind(p *Pod) string {
	if l.network != nil {
		return ""
	}
	return p.Address
}

// applySystem writes what Istio and the mesh stand on.
func (l *Lab) applySystem(ctx context.Context) error {
	if err := l.cluster.applyDefinitions(ctx, filepath.Join(l.programs.IstioDir, "manifests/charts/base/files/crd-all.gen.yaml")); err != nil {
		return err
	}
	type webhook struct{ Name, Revision, Tag, Service string }
	manifest, err := fill("system.yaml", map[string]any{
		"Kubelet": l.block.address(1), "KubeletPort": kubeletPort, "Mesh": meshConfig,
		"Webhooks": []webhook{
			{"istio-sidecar-injector", "default", "", "istiod"},
			{"istio-sidecar-injector-canary", "canary", "", "istiod-canary"},
			{"istio-revision-tag-default", "default", "default", "istiod"},
			{"istio-revision-tag-next", "canary", "next", "istiod-canary"},
		},
	})
	if err != nil {
		return err
	}
	return l.cluster.applyAll(ctx, manifest)
}

// applySample writes Istio's bookinfo sample.
func (l *Lab) applySample(ctx context.Context) error {
	manifest, err := os.ReadFile(filepath.Join(l.programs.IstioDir, "samples/bookinfo/platform/kube/bookinfo.yaml"))
	if err != nil {
		return fmt.Errorf("read Istio's bookinfo sample: %w", err)
	}
	return l.cluster.applyAll(ctx, manifest)
}

// addIstiods writes the pods of the istiods; they are started later.
func (l *Lab) addIstiods(ctx context.Context) error {
	for _, p := range []*Pod{
		istiodPod("istiod", "7d4b9c6f8d", "k2xvm", "default").place(l.block, 5),
		istiodPod("istiod-canary", "5c8f7d9b64", "w9q2z", "canary").place(l.block, 6),
	} {
		if err := l.addPod(ctx, p); err != nil {
			return err
		}
		slice := endpointSlice(p.Workload, p.Namespace, map[string]int{
			"grpc-xds": 15010, "https-dns": 15012, "https-webhook": 15017, "http-monitoring": 15014,
		}, []*Pod{p})
		if _, err := l.cluster.apply(ctx, slice); err != nil {
			return err
		}
		l.istiods = append(l.istiods, &Istiod{
			Pod: *p, Debug: "http://" + p.Address + ":15014", GRPC: p.Address + ":15010", Secure: p.Address + ":15012", lab: l,
		})
	}
	return nil
}

// applySecret makes a certificate for a host that a gateway can name.
func (l *Lab) applySecret(ctx context.Context, name, host string) error {
	chain, key, err := l.authority.host(host)
	if err != nil {
		return err
	}
	manifest, err := fill("secret.yaml", map[string]any{"Name": name, "Chain": string(chain), "Key": string(key)})
	if err != nil {
		return err
	}
	return l.cluster.applyAll(ctx, manifest)
}
