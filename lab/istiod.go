package lab

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"time"
)

// An Istiod is one control plane of the mesh.
type Istiod struct {
	Pod
	Debug  string // URL of its debug interface, on port 15014
	GRPC   string // "host:port" for xDS without TLS
	Secure string // "host:port" for xDS over TLS, with a token or a client certificate

	lab     *Lab
	process *process
}

// Start starts the istiod, again if it has run before, and waits until it is ready.
func (i *Istiod) Start(ctx context.Context) error {
	on := func(port string) string { return i.Address + ":" + port }
	dir := filepath.Join(i.lab.dir, i.Workload)
	var err error
	i.process, err = i.lab.spawner.start(i.Workload, dir, []string{
		"POD_NAME=" + i.Name, "POD_NAMESPACE=" + i.Namespace, "REVISION=" + i.Revision, "CLUSTER_ID=Kubernetes",
		// Filters that only Istio's build of Envoy has.
		"PILOT_ENABLE_METADATA_EXCHANGE=false", "PILOT_ENABLE_ALPN_FILTER=false",
		"PILOT_MAX_REQUESTS_PER_SECOND=1000",
	}, i.lab.programs.Discovery, "discovery",
		"--kubeconfig", i.lab.cluster.files[userIstiod], "--meshConfig", i.lab.meshConfig,
		"--grpcAddr", i.GRPC, "--secureGRPCAddr", i.Secure, "--httpAddr", on("8080"), "--httpsAddr", on("15017"), "--monitoringAddr", on("15014"),
		"--ctrlz_port", "0",
		// A stopped Envoy answers no pings; istiod would forget it within a minute and with it that it is stale.
		"--keepaliveInterval", "24h", "--keepaliveTimeout", "24h")
	if err != nil {
		return err
	}
	return poll(ctx, 2*time.Minute, i.Name+" to be ready", i.process, func() (bool, string) {
		status, body, err := get(ctx, i.lab.http, "http://"+on("8080")+"/ready")
		if err != nil {
			return false, err.Error()
		}
		return status == http.StatusOK, string(body)
	})
}

// PID is the number of its process, which changes when it is started again.
func (i *Istiod) PID() int { return i.process.cmd.Process.Pid }

// Pause stops the istiod where it is: it keeps its connections and answers nothing.
func (i *Istiod) Pause() error { return i.process.pause() }

// Resume lets it go on.
func (i *Istiod) Resume() error { return i.process.resume() }

// Kill ends it at once, and with it all its connections. Start brings it back.
func (i *Istiod) Kill() error { return i.process.kill() }

// A Sync is how far one type of configuration of a proxy is, as an istiod tells.
type Sync struct {
	Sent, Acked, LastError string
	SentTime               time.Time
}

// State is SYNCED, STALE, NOT_SENT or ERROR, by istiod's own rule; NOT_SENT also for a type that the proxy has not asked for.
func (s Sync) State() string {
	switch {
	case s.LastError != "":
		return "ERROR"
	case s.Sent == "":
		return "NOT_SENT"
	case s.Sent == s.Acked:
		return "SYNCED"
	}
	return "STALE"
}

// Syncs asks the istiod about its proxies. The result is by proxy ("name.namespace") and short type, such as CDS.
func (i *Istiod) Syncs(ctx context.Context) (map[string]map[string]Sync, error) {
	status, body, err := get(ctx, i.lab.http, i.Debug+"/debug/syncz")
	if err == nil && status != http.StatusOK {
		err = fmt.Errorf("status %d: %s", status, body)
	}
	var answer []struct {
		Proxy     string
		Resources map[string]Sync
	}
	if err == nil {
		err = json.Unmarshal(body, &answer)
	}
	if err != nil {
		return nil, fmt.Errorf("ask %s for its proxies: %w", i.Name, err)
	}
	out := map[string]map[string]Sync{}
	for _, proxy := range answer {
		types := map[string]Sync{}
		for url, s := range proxy.Resources {
			types[shortType(url)] = s
		}
		out[proxy.Proxy] = types
	}
	return out, nil
}

func shortType(url string) string {
	for suffix, short := range map[string]string{
		".Cluster": "CDS", ".Listener": "LDS", ".RouteConfiguration": "RDS", ".ClusterLoadAssignment": "EDS", ".Secret": "SDS", ".TypedExtensionConfig": "ECDS",
	} {
		if strings.HasSuffix(url, suffix) {
			return short
		}
	}
	return url
}

// WaitSync waits until istiod says that a type of a proxy is in a state.
func (i *Istiod) WaitSync(ctx context.Context, proxy, kind, state string) error {
	return poll(ctx, time.Minute, fmt.Sprintf("%s of %s to be %s", kind, proxy, state), i.process, func() (bool, string) {
		syncs, err := i.Syncs(ctx)
		if err != nil {
			return false, err.Error()
		}
		s, ok := syncs[proxy][kind]
		return ok && s.State() == state, fmt.Sprintf("%+v", syncs[proxy])
	})
}
