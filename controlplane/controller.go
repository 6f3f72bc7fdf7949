// Package controlplane wires the controller together: the store, the services, and who may call them.
package controlplane

import (
	"context"
	"fmt"
	"io"
	"path/filepath"

	"github.com/hashicorp/go-hclog"
	"github.com/oklog/run"

	"github.com/ancora-fleet/ancora/controlplane/pki"
	"github.com/ancora-fleet/ancora/controlplane/store"
)

const (
	// DefaultOperatorAddress is where operators call: this machine only.
	DefaultOperatorAddress = "127.0.0.1:7400"
	// DefaultAgentAddress is where agents call.
	DefaultAgentAddress = ":7401"
)

// Config says how a controller runs.
type Config struct {
	// DataDir holds everything that outlives the process; made with mode 0700.
	DataDir string
	// OperatorAddress and AgentAddress are host:port; port 0 lets the kernel choose. Empty means the default.
	OperatorAddress, AgentAddress string
	// AgentAdvertise is the host:port that operators are told to join hosts by. Empty: that of the listener, with
	// 127.0.0.1 for a wildcard.
	AgentAdvertise string
	// Stdout gets the lines that people and scripts wait for; nil drops them.
	Stdout io.Writer
	// Ready is called once calls are answered; nil does nothing.
	Ready func()
	// Logger may be nil.
	Logger hclog.Logger
}

// Controller is the central program.
type Controller struct {
	config    Config
	logger    hclog.Logger
	authority *pki.Authority
	embedded  *store.Embedded
	store     *store.Store
}

// New opens the data directory and makes the CA where there is none; nothing runs or listens before Run.
func New(config Config) (*Controller, error) {
	if config.OperatorAddress == "" {
		config.OperatorAddress = DefaultOperatorAddress
	}
	if config.AgentAddress == "" {
		config.AgentAddress = DefaultAgentAddress
	}
	if config.Logger == nil {
		config.Logger = hclog.NewNullLogger()
	}
	if config.Stdout == nil {
		config.Stdout = io.Discard
	}
	dir, err := filepath.Abs(config.DataDir)
	if err != nil {
		return nil, err
	}
	config.DataDir = dir
	c := &Controller{config: config, logger: config.Logger.Named("controller")}
	if err := c.prepare(); err != nil {
		return nil, fmt.Errorf("data directory %s: %w", dir, err)
	}
	return c, nil
}

// prepare makes what lives in the data directory. The store stands beside the CA, so that emptying it loses no key.
func (c *Controller) prepare() (err error) {
	if c.authority, err = pki.Open(filepath.Join(c.config.DataDir, "pki")); err != nil {
		return err
	}
	member, err := c.authority.Member()
	if err != nil {
		return err
	}
	c.embedded, err = store.NewEmbedded(store.EmbeddedConfig{
		Dir: filepath.Join(c.config.DataDir, "store"),
		Peer: store.PeerTLS{
			Certificate: member.Certificate,
			Key:         member.Key,
			CA:          member.CA,
			Name:        pki.MemberName,
		},
		Logger: c.config.Logger,
	})
	if err != nil {
		return err
	}
	c.store, err = store.New(store.Config{Endpoints: []string{c.embedded.Endpoint()}, Logger: c.config.Logger})
	return err
}

// Run serves until ctx ends, which is no error, or a part fails. Parts are ended in the order in which they are added:
// first those that take calls, last the store that answers them.
func (c *Controller) Run(ctx context.Context) error {
	listeners, err := c.listen()
	if err != nil {
		return err
	}
	defer listeners.close()
	servers := c.newServers(listeners)

	var group run.Group
	actor(ctx, &group, untilDone)
	group.Add(servers.operators.run, servers.operators.stop)
	group.Add(servers.agents.run, servers.agents.stop)
	actor(context.Background(), &group, func(ctx context.Context) error { return c.open(ctx, servers) })
	actor(context.Background(), &group, sweeper{c.store, c.logger}.run)
	actor(context.Background(), &group, func(ctx context.Context) error {
		if !wait(ctx, c.embedded.Ready()) {
			return nil
		}
		return c.store.Run(ctx)
	})
	actor(context.Background(), &group, c.embedded.Run)
	return group.Run()
}

// open lets calls in once the store answers, says so, and stays until the end.
func (c *Controller) open(ctx context.Context, servers *servers) error {
	if !wait(ctx, c.store.Ready()) {
		return nil
	}
	path, err := c.ensureCredential(ctx, servers)
	if err != nil {
		return fmt.Errorf("admin credential: %w", err)
	}
	servers.open()
	if path != "" {
		fmt.Fprintf(c.config.Stdout, "export ANCORA_CONTEXT=%s\n", shellWord(path))
	}
	fmt.Fprintf(c.config.Stdout, "ready address=%s agents=%s\n", servers.operators.address(), servers.agents.address())
	if c.config.Ready != nil {
		c.config.Ready()
	}
	return untilDone(ctx)
}

// actor adds a part that ends with its context.
func actor(ctx context.Context, group *run.Group, part func(context.Context) error) {
	ctx, cancel := context.WithCancel(ctx)
	group.Add(func() error { return part(ctx) }, func(error) { cancel() })
}

func untilDone(ctx context.Context) error {
	<-ctx.Done()
	return nil
}

// wait says whether ready came before the end.
func wait(ctx context.Context, ready <-chan struct{}) bool {
	select {
	case <-ready:
		return true
	case <-ctx.Done():
		return false
	}
}
