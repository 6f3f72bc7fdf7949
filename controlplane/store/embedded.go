package store

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-hclog"
	"go.etcd.io/etcd/client/pkg/v3/transport"
	"go.etcd.io/etcd/server/v3/embed"
)

const (
	// maxSocketPath is what fits into sockaddr_un with its closing NUL, in bytes.
	maxSocketPath = 107
	socketName    = "etcd.sock"

	quota        = 2 << 30 // of the database, bytes
	compactEvery = "5m"
	maxTxnOps    = 16_384 // a change may touch every host
	startLimit   = 30 * time.Second
)

// EmbeddedConfig says how the controller's own etcd runs.
type EmbeddedConfig struct {
	// Dir is the data directory; made with mode 0700.
	Dir string
	// Peer is the member's identity towards other members.
	Peer PeerTLS
	// Logger may be nil.
	Logger hclog.Logger
}

// PeerTLS names PEM files. Members must show a certificate of CA whose subject's common name is Name.
type PeerTLS struct{ Certificate, Key, CA, Name string }

// Embedded is an etcd server in this process. Its clients come by a unix socket in a directory of mode 0700, its peers by
// TLS on loopback with certificates of our CA on both sides.
//
// Clients are given the socket even though they are in the same process: the in-process client of etcd 3.6 deadlocks in
// Watch, and so embedded and external etcd are one code path.
type Embedded struct {
	config EmbeddedConfig
	socket string
	short  string // directory made because Dir's path is too long for a socket, removed at the end
	ready  chan struct{}
}

// NewEmbedded makes the directories.
func NewEmbedded(config EmbeddedConfig) (*Embedded, error) {
	if config.Logger == nil {
		config.Logger = hclog.NewNullLogger()
	}
	dir, err := filepath.Abs(config.Dir)
	if err != nil {
		return nil, err
	}
	config.Dir = dir
	if err := private(dir); err != nil {
		return nil, err
	}
	e := &Embedded{config: config, socket: filepath.Join(dir, socketName), ready: make(chan struct{})}
	if len(e.socket) > maxSocketPath {
		if e.short, err = os.MkdirTemp("", "ancora-"); err != nil {
			return nil, fmt.Errorf("a directory for the socket, as %s is too long for one: %w", dir, err)
		}
		if e.socket = filepath.Join(e.short, socketName); len(e.socket) > maxSocketPath {
			os.Remove(e.short)
			return nil, fmt.Errorf("%s and %s are both too long for a socket", dir, e.short)
		}
	}
	return e, nil
}

// private makes a directory that nobody else can enter, and makes one that exists so.
func private(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	return os.Chmod(dir, 0o700)
}

// Endpoint is where clients find the server.
func (e *Embedded) Endpoint() string { return "unix://" + e.socket }

// Ready is closed when the server answers.
func (e *Embedded) Ready() <-chan struct{} { return e.ready }

// Run starts the server and ends it with ctx. Errors name what is in the way, for example a second controller on the
// same directory.
func (e *Embedded) Run(ctx context.Context) error {
	if e.short != "" {
		defer os.RemoveAll(e.short)
	}
	var stopping atomic.Bool
	config, err := e.etcdConfig(&stopping)
	if err != nil {
		return err
	}
	unlock, err := lock(filepath.Join(e.config.Dir, "lock"))
	if err != nil {
		return err
	}
	defer unlock()
	server, err := embed.StartEtcd(config)
	if err != nil {
		return fmt.Errorf("start etcd: %w", err)
	}
	defer func() {
		stopping.Store(true)
		server.Close()
	}()
	timer := time.NewTimer(startLimit)
	defer timer.Stop()
	select {
	case <-server.Server.ReadyNotify():
	case <-ctx.Done():
		return nil
	case <-timer.C:
		return fmt.Errorf("etcd was not ready after %s", startLimit)
	case err := <-server.Err():
		return fmt.Errorf("etcd: %w", err)
	}
	close(e.ready)
	select {
	case <-ctx.Done():
		return nil
	case <-server.Server.StopNotify():
		return errors.New("etcd stopped by itself")
	case err := <-server.Err():
		return fmt.Errorf("etcd: %w", err)
	}
}

func (e *Embedded) etcdConfig(stopping *atomic.Bool) (*embed.Config, error) {
	c := embed.NewConfig()
	c.Name = "ancora"
	c.Dir = filepath.Join(e.config.Dir, "etcd")
	c.ZapLoggerBuilder = embed.NewZapLoggerBuilder(zapTo(e.config.Logger.Named("etcd"), stopping))
	c.LogLevel = "warn"

	clients := url.URL{Scheme: "unix", Path: e.socket}
	c.ListenClientUrls = []url.URL{clients}
	// Advertised must be host:port; nobody asks, as other members only need the peer URL.
	c.AdvertiseClientUrls = []url.URL{{Scheme: "http", Host: "127.0.0.1:0"}}
	c.EnableGRPCGateway = false

	// Never a unix socket: embed drops the path of such a peer URL and would listen on an abstract name, where any local
	// user may speak raft. The port is the kernel's choice; a single member never dials itself.
	peers := url.URL{Scheme: "https", Host: "127.0.0.1:0"}
	c.ListenPeerUrls = []url.URL{peers}
	c.AdvertisePeerUrls = []url.URL{peers}
	c.InitialCluster = c.InitialClusterFromName(c.Name)
	c.PeerTLSInfo = transport.TLSInfo{
		CertFile:       e.config.Peer.Certificate,
		KeyFile:        e.config.Peer.Key,
		TrustedCAFile:  e.config.Peer.CA,
		ClientCertAuth: true,
		AllowedCNs:     []string{e.config.Peer.Name},
	}
	c.TlsMinVersion = "TLS1.3"

	c.QuotaBackendBytes = quota
	c.AutoCompactionMode = embed.CompactorModePeriodic
	c.AutoCompactionRetention = compactEvery
	c.MaxTxnOps = maxTxnOps
	if err := c.Validate(); err != nil {
		return nil, fmt.Errorf("etcd config: %w", err)
	}
	return c, nil
}
