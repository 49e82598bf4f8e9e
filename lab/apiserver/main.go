// Apiserver is etcd and kube-apiserver in one process, for a lab on one machine. It serves until it is told to end; what it keeps is
// below the folder --dir, and further arguments are those of kube-apiserver.
package main

import (
	"context"
	"flag"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"go.etcd.io/etcd/server/v3/embed"
	"k8s.io/kubernetes/cmd/kube-apiserver/app"
)

func main() {
	dir := flag.String("dir", "", "the `folder` that etcd keeps its data in")
	address := flag.String("etcd-address", "127.0.0.1", "the `IP` that etcd listens on, at free ports")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *dir, *address, flag.Args()); err != nil {
		fmt.Fprintln(os.Stderr, "apiserver:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, dir, address string, args []string) error {
	etcd, err := startEtcd(filepath.Join(dir, "etcd"), address)
	if err != nil {
		return err
	}
	defer etcd.Close()
	cmd := app.NewAPIServerCommand()
	cmd.SetArgs(append([]string{"--etcd-servers=" + etcd.Config().AdvertiseClientUrls[0].String()}, args...))
	return cmd.ExecuteContext(ctx)
}

func startEtcd(dir, address string) (*embed.Etcd, error) {
	// The member has to be told its own ports, so port 0 does not do.
	client, err := freeURL(address)
	if err != nil {
		return nil, err
	}
	peer, err := freeURL(address)
	if err != nil {
		return nil, err
	}
	cfg := embed.NewConfig()
	cfg.Dir = dir
	cfg.ListenClientUrls, cfg.AdvertiseClientUrls = []url.URL{client}, []url.URL{client}
	cfg.ListenPeerUrls, cfg.AdvertisePeerUrls = []url.URL{peer}, []url.URL{peer}
	cfg.InitialCluster = cfg.InitialClusterFromName(cfg.Name)
	cfg.LogLevel = "error"
	cfg.UnsafeNoFsync = true // the data does not outlive the lab
	etcd, err := embed.StartEtcd(cfg)
	if err != nil {
		return nil, fmt.Errorf("start etcd in %s: %w", dir, err)
	}
	select {
	case <-etcd.Server.ReadyNotify():
		return etcd, nil
	case err := <-etcd.Err():
		return nil, fmt.Errorf("start etcd in %s: %w", dir, err)
	case <-time.After(time.Minute):
		etcd.Close()
		return nil, fmt.Errorf("start etcd in %s: not ready within a minute", dir)
	}
}

// freeURL is an http URL with a port of the address that nothing listens on at the moment.
func freeURL(address string) (url.URL, error) {
	l, err := net.Listen("tcp", net.JoinHostPort(address, "0"))
	if err != nil {
		return url.URL{}, fmt.Errorf("find a free port for etcd: %w", err)
	}
	defer l.Close()
	return url.URL{Scheme: "http", Host: l.Addr().String()}, nil
}
