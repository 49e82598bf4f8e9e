package admin

import (
	"time"

	"github.com/meshlark/meshlark/xds/naming"
	"github.com/meshlark/meshlark/xds/rawjson"
	"github.com/meshlark/meshlark/xds/redact"
)

const serverInfoPath = "/server_info"

// A ServerInfo is what an Envoy process says of itself.
type ServerInfo struct {
	Version           string        // the whole build string: commit/version/Clean/RELEASE/BoringSSL
	EnvoyVersion      string        // 1.36.0, out of Version
	State             string        // LIVE, DRAINING, PRE_INITIALIZING, INITIALIZING
	Uptime            time.Duration // of this process
	UptimeAllEpochs   time.Duration // of the first of the processes that replaced one another by hot restart
	HotRestartVersion string
	CommandLine       rawjson.Value // command_line_options
	Node              rawjson.Value // id, cluster, metadata, locality and extensions
	Raw               rawjson.Value // all of the answer, private material taken out
}

// ReadServerInfo reads the answer of /server_info.
func ReadServerInfo(src []byte) (*ServerInfo, error) {
	doc, err := compact(serverInfoPath, src)
	if err != nil {
		return nil, err
	}
	// The command line may hold a configuration, and node metadata whatever somebody put there.
	if doc, _, err = redact.Compact(nil, doc); err != nil {
		return nil, &Error{serverInfoPath, 0, "take out private material: " + err.Error()}
	}
	if !doc.Get("version").Exists() {
		return nil, &Error{serverInfoPath, 0, "no version: this is some other document"}
	}
	s := &ServerInfo{
		Version:           doc.Str("version"),
		State:             doc.Str("state"),
		Uptime:            duration(doc.Get("uptime_current_epoch")),
		UptimeAllEpochs:   duration(doc.Get("uptime_all_epochs")),
		HotRestartVersion: doc.Str("hot_restart_version"),
		CommandLine:       doc.Get("command_line_options"),
		Node:              doc.Get("node"),
		Raw:               doc,
	}
	s.EnvoyVersion = naming.EnvoyVersion(s.Version)
	if s.State == "" {
		s.State = "LIVE" // the enumeration's zero
	}
	return s, nil
}
