package lab

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"
)

// Undo takes back what a scene has done, and returns when the mesh is healthy again.
type Undo func(context.Context) error

// scene makes a change to one proxy ("name.namespace"), waits until it shows and all others are in order, and gives the way back. If that does not
// come about, the change is taken back at once. Several scenes may be on together if they are of different proxies.
func (l *Lab) scene(ctx context.Context, proxy string, do func() error, undo Undo) (Undo, error) {
	l.disturb(proxy, +1)
	back := func(ctx context.Context) error {
		l.disturb(proxy, -1)
		return errors.Join(undo(ctx), l.Healthy(ctx))
	}
	err := do()
	if err == nil {
		err = l.Healthy(ctx)
	}
	if err == nil {
		return back, nil
	}
	// The way back must not fail for the same reason, such as a context that has ended.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	return nil, errors.Join(err, back(ctx))
}

// disturb counts the scenes that a proxy is in.
func (l *Lab) disturb(proxy string, n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.disturbed[proxy] += n
}

// Healthy returns when every proxy has acknowledged all that it asked its istiod for; those that a scene has put out of order are left out.
func (l *Lab) Healthy(ctx context.Context) error {
	// istiod gathers changes for a tenth of a second before it sends anything: until then a change that was just made does not show.
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(500 * time.Millisecond):
	}
	return together(l.Envoys(), func(e *Envoy) error {
		l.mu.Lock()
		disturbed := l.disturbed[e.ID()] > 0
		l.mu.Unlock()
		if disturbed {
			return nil
		}
		i := l.Istiod(e.Revision)
		return poll(ctx, time.Minute, e.ID()+" to be in order", i.process, func() (bool, string) {
			syncs, err := i.Syncs(ctx)
			if err != nil {
				return false, err.Error()
			}
			types := syncs[e.ID()]
			for _, s := range types {
				if s.State() != "SYNCED" {
					return false, fmt.Sprintf("%+v", types)
				}
			}
			return types["CDS"].Sent != "" && types["LDS"].Sent != "" && types["EDS"].Sent != "", fmt.Sprintf("%+v", types)
		})
	})
}

// Stale stops the Envoy of a workload and then changes the weights of VirtualService reviews from 80 and 20 to 50 and 50: its routes are STALE,
// as is what else istiod sends it until the end of the scene. Its admin interface does not answer meanwhile.
func (l *Lab) Stale(ctx context.Context, workload string) (Undo, error) {
	e := l.Envoy(workload)
	return l.scene(ctx, e.ID(), func() error {
		if err := e.Pause(); err != nil {
			return err
		}
		manifest, err := fill("stale.yaml", nil)
		if err != nil {
			return err
		}
		if err := l.cluster.applyAll(ctx, manifest); err != nil {
			return err
		}
		return l.Istiod(e.Revision).WaitSync(ctx, e.ID(), "RDS", "STALE")
	}, func(ctx context.Context) error {
		return errors.Join(e.Resume(), l.cluster.applyAll(ctx, l.mesh))
	})
}

// Nack has istiod send the Envoy of a workload of bookinfo a cluster that it rejects, by EnvoyFilter too-large-a-ring: its CDS is in
// ERROR, with Envoy's text. istiod forgets the error when the Envoy acknowledges other clusters that change later, though it still has not the rejected one.
func (l *Lab) Nack(ctx context.Context, workload string) (Undo, error) {
	e := l.Envoy(workload)
	manifest, err := fill("nack.yaml", map[string]any{"App": e.Labels["app"], "Version": e.Labels["version"]})
	if err != nil {
		return nil, err
	}
	return l.scene(ctx, e.ID(), func() error {
		if err := l.cluster.applyAll(ctx, manifest); err != nil {
			return err
		}
		return l.Istiod(e.Revision).WaitSync(ctx, e.ID(), "CDS", "ERROR")
	}, func(ctx context.Context) error {
		return l.cluster.deleteAll(ctx, manifest)
	})
}

// NotSent adds a gateway, workload "istio-egressgateway", that has told istiod nothing of who it is and asks for a secret: istiod sends it none, so
// its SDS is NOT_SENT and its listener and secret stay warming.
func (l *Lab) NotSent(ctx context.Context) (Undo, error) {
	number, err := l.nextNumber()
	if err != nil {
		return nil, err
	}
	p := gatewayPod("istio-egressgateway", "7c9d8b6f54", "q8r4s", "egressgateway").place(l.block, number)
	manifest, err := fill("not-sent.yaml", map[string]any{"Istio": "egressgateway", "Address": l.bind(p)})
	if err != nil {
		return nil, err
	}
	return l.scene(ctx, p.ID(), func() error {
		if err := l.addPod(ctx, p); err != nil {
			return err
		}
		if err := l.startEnvoys(ctx, []*Pod{p}); err != nil {
			return err
		}
		if err := l.cluster.applyAll(ctx, manifest); err != nil {
			return err
		}
		return l.Istiod(p.Revision).WaitSync(ctx, p.ID(), "SDS", "NOT_SENT")
	}, func(ctx context.Context) error {
		return errors.Join(l.stopEnvoy(p.ID()), l.cluster.deleteAll(ctx, manifest), l.removePod(ctx, p))
	})
}

// stopEnvoy ends the Envoy of a pod, if there is one.
func (l *Lab) stopEnvoy(pod string) error {
	l.mu.Lock()
	i := slices.IndexFunc(l.envoys, func(e *Envoy) bool { return e.ID() == pod })
	if i < 0 {
		l.mu.Unlock()
		return nil
	}
	e := l.envoys[i]
	l.envoys = slices.Delete(l.envoys, i, i+1)
	l.mu.Unlock()
	return e.stop()
}

// NeverConnected adds a pod with a sidecar, workload "sleep-v1", in whose place nothing runs: no istiod knows it, and a port-forward to it fails.
func (l *Lab) NeverConnected(ctx context.Context) (Undo, error) {
	number, err := l.nextNumber()
	if err != nil {
		return nil, err
	}
	p := l.extraPod("sleep-v1", number)
	return l.scene(ctx, p.ID(), func() error {
		return l.addPod(ctx, p)
	}, func(ctx context.Context) error {
		return l.removePod(ctx, p)
	})
}

// PodGone deletes the pod of a workload at once and lets its Envoy run, as a node does that has lost the API server: its istiod goes on to list it.
func (l *Lab) PodGone(ctx context.Context, workload string) (Undo, error) {
	e := l.Envoy(workload)
	return l.scene(ctx, e.ID(), func() error {
		return l.cluster.delete(ctx, e.Pod.object(nil))
	}, func(ctx context.Context) error {
		return l.addPod(ctx, &e.Pod)
	})
}

// WarmingSecret adds a server to the gateway that names a secret which does not exist: secret kubernetes://no-such-cert and the listener on port 8445
// stay warming in the Envoy of workload "istio-ingressgateway".
func (l *Lab) WarmingSecret(ctx context.Context) (Undo, error) {
	e := l.Envoy("istio-ingressgateway")
	manifest, err := fill("warming.yaml", map[string]any{"Address": l.bind(&e.Pod)})
	if err != nil {
		return nil, err
	}
	const mask = "/config_dump?mask=dynamic_warming_secrets"
	return l.scene(ctx, e.ID(), func() error {
		if err := l.cluster.applyAll(ctx, manifest); err != nil {
			return err
		}
		return poll(ctx, time.Minute, "a secret of the gateway to be warming", e.process, func() (bool, string) {
			dump, err := e.Get(ctx, mask)
			return bytes.Contains(dump, []byte("no-such-cert")), fmt.Sprint(err)
		})
	}, func(ctx context.Context) error {
		if err := l.cluster.deleteAll(ctx, manifest); err != nil {
			return err
		}
		return poll(ctx, time.Minute, "the gateway to forget the warming secret", e.process, func() (bool, string) {
			dump, err := e.Get(ctx, mask)
			return err == nil && !bytes.Contains(dump, []byte("no-such-cert")), fmt.Sprint(err)
		})
	})
}

// Ejected adds a service flaky.example.com with two endpoints that nobody listens at, and has requests sent through the gateway until its Envoy, of workload
// "istio-ingressgateway", has ejected both as outliers.
func (l *Lab) Ejected(ctx context.Context) (Undo, error) {
	e := l.Envoy("istio-ingressgateway")
	manifest, err := fill("ejected.yaml", map[string]any{"First": l.block.address(253), "Second": l.block.address(254)})
	if err != nil {
		return nil, err
	}
	return l.scene(ctx, e.ID(), func() error {
		if err := l.cluster.applyAll(ctx, manifest); err != nil {
			return err
		}
		return poll(ctx, time.Minute, "both endpoints of flaky.example.com to be ejected", e.process, func() (bool, string) {
			if err := l.request(ctx, "http://"+e.Address+":8080/", "flaky.example.com"); err != nil {
				return false, err.Error()
			}
			n, err := e.ejected(ctx)
			return n == 2, fmt.Sprint(n, " are ejected, error: ", err)
		})
	}, func(ctx context.Context) error {
		return l.cluster.deleteAll(ctx, manifest)
	})
}

// request asks for a URL in the name of a host. Any answer will do.
func (l *Lab) request(ctx context.Context, url, host string) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	req.Host = host
	resp, err := l.http.Do(req)
	if err != nil {
		return err
	}
	return resp.Body.Close()
}

// ejected counts the hosts of the Envoy that are ejected as outliers.
func (e *Envoy) ejected(ctx context.Context) (int, error) {
	body, err := e.Get(ctx, "/clusters?format=json")
	if err != nil {
		return 0, err
	}
	var answer struct {
		Clusters []struct {
			Hosts []struct {
				Health struct {
					Ejected bool `json:"failed_outlier_check"`
				} `json:"health_status"`
			} `json:"host_statuses"`
		} `json:"cluster_statuses"`
	}
	if err := json.Unmarshal(body, &answer); err != nil {
		return 0, fmt.Errorf("read the clusters of %s: %w", e.ID(), err)
	}
	n := 0
	for _, c := range answer.Clusters {
		for _, h := range c.Hosts {
			if h.Health.Ejected {
				n++
			}
		}
	}
	return n, nil
}
