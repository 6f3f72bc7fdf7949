// Package agent wires the host's end together: what the controller wants is kept on disk, applied to the data plane, and
// what the data plane says is reported. Without a controller the host runs from disk.
package agent

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/oklog/run"

	"github.com/ancora-fleet/ancora/agent/admin"
	"github.com/ancora-fleet/ancora/agent/identity"
	"github.com/ancora-fleet/ancora/agent/lastgood"
	"github.com/ancora-fleet/ancora/agent/report"
	"github.com/ancora-fleet/ancora/agent/session"
	"github.com/ancora-fleet/ancora/agent/tail"
	"github.com/ancora-fleet/ancora/dataplane"
	"github.com/ancora-fleet/ancora/dataplane/explain"
	"github.com/ancora-fleet/ancora/dataplane/journal"
	"github.com/ancora-fleet/ancora/dataplane/process"
	"github.com/ancora-fleet/ancora/dataplane/proctree"
)

// reportAtLeast is how often statuses are looked at without a change: failures leave their minute without one.
const reportAtLeast = 5 * time.Second

// Config is for New.
type Config struct {
	DataDir    string
	PolicyFile string
	// RunDir is where the socket of the admin listener is.
	RunDir  string
	Version string
	Keeper  *process.Client
	// Environ is the agent's own environment.
	Environ []string
	// Stdout gets the line that people and scripts wait for; nil drops it.
	Stdout io.Writer
	Logger hclog.Logger
}

// Agent is one host's end.
type Agent struct {
	config   Config
	log      hclog.Logger
	identity *identity.Identity
	server   *dataplane.Server
	admin    *admin.Server
	journal  *journal.Journal
	wanted   *assignments
	reporter *report.Reporter
	ports    *ports
}

// IdentityDir is where the identity of a host is below its data directory.
func IdentityDir(dataDir string) string { return filepath.Join(dataDir, "identity") }

// New reads what is on disk; nothing runs before Run.
func New(config Config) (*Agent, error) {
	if config.Logger == nil {
		config.Logger = hclog.NewNullLogger()
	}
	if config.Stdout == nil {
		config.Stdout = io.Discard
	}
	a := &Agent{config: config, log: config.Logger, reporter: report.New()}
	var err error
	if a.identity, err = identity.Load(IdentityDir(config.DataDir)); err != nil {
		return nil, err
	}
	if a.ports, err = openPorts(config.DataDir, config.Logger); err != nil {
		return nil, err
	}
	a.admin = admin.New(admin.Config{
		RunDir: config.RunDir, Version: config.Version, Logger: config.Logger,
		Counts:  func() []dataplane.SiteCounts { return a.server.Counts() },
		Explain: func(q explain.Question) *explain.Trail { return a.wanted.explain(q) },
	})
	policy, err := a.firstPolicy()
	if err != nil {
		return nil, err
	}
	if a.journal, err = journal.Open(dataplane.Captures(config.DataDir), config.Logger.Named("journal")); err != nil {
		return nil, err
	}
	kept, err := lastgood.Open(filepath.Join(config.DataDir, "lastgood"))
	if err != nil {
		return nil, err
	}
	a.server = dataplane.New(dataplane.Config{
		Keeper: config.Keeper, Journal: a.journal, Policy: policy, DataDir: config.DataDir, Host: a.identity.Host, Environ: config.Environ, Version: config.Version, Logger: config.Logger,
	})
	a.wanted, err = newAssignments(kept, a.server, config.Logger.Named("assignment"))
	return a, err
}

// Run serves until ctx ends.
func (a *Agent) Run(ctx context.Context) error {
	var g run.Group
	for _, part := range []func(context.Context) error{a.server.Run, a.report, a.follow, a.watchPolicy, a.admin.Run} {
		ctx, cancel := context.WithCancel(ctx)
		g.Add(func() error { return part(ctx) }, func(error) { cancel() })
	}
	return g.Run()
}

// follow applies what is on disk, says when the listeners are open, and then keeps the host registered.
func (a *Agent) follow(ctx context.Context) error {
	changes := a.server.Subscribe(ctx)
	a.wanted.restore()
	for len(a.server.Snapshot().Listeners) == 0 {
		select {
		case <-changes:
		case <-ctx.Done():
			return nil
		}
	}
	var addresses []string
	for _, l := range a.server.Snapshot().Listeners {
		if l.Error == "" {
			addresses = append(addresses, l.Name+"="+l.Address)
		}
	}
	if _, err := fmt.Fprintf(a.config.Stdout, "ready address=%s\n", strings.Join(addresses, ",")); err != nil {
		a.log.Debug("nobody reads standard output", "error", err)
	}
	if err := a.config.Keeper.Notify(ctx, "READY=1"); err != nil {
		a.log.Warn("service manager not told", "error", err)
	}
	if until := time.Until(a.identity.Ends); until < 30*24*time.Hour {
		a.log.Warn("the host's certificate ends soon: join again with a new token", "ends", a.identity.Ends)
	}
	return session.New(session.Config{
		Host: a.identity.Host, InstanceID: instanceID(), BootID: bootID(), Version: a.config.Version,
		Facts: a.facts, Controllers: a.identity.Controllers, TLS: func() (*tls.Config, error) { return a.identity.TLS(), nil },
		Assignments: a.wanted, Explain: a.explain, Reporter: a.reporter, Logs: tail.New(a.journal, a.log.Named("tail")), Logger: a.log,
	}).Run(ctx)
}

// report passes on what the data plane says, within a moment of the change.
func (a *Agent) report(ctx context.Context) error {
	changes := a.server.Subscribe(ctx)
	ticker := time.NewTicker(reportAtLeast)
	defer ticker.Stop()
	for {
		shot := a.server.Snapshot()
		a.ports.keep(shot.Listeners, a.log)
		a.wanted.applied(shot)
		sites, notices := a.wanted.statuses(shot)
		a.reporter.Replace(sites, notices, instanceMessages(shot))
		select {
		case <-changes:
		case <-ticker.C:
		case <-ctx.Done():
			return nil
		}
		select { // what changes together is told together
		case <-time.After(20 * time.Millisecond):
		case <-ctx.Done():
			return nil
		}
	}
}

// instanceID differs at each start of the keeper, this process's parent, and stays over restarts of the worker.
func instanceID() string {
	keeper, err := proctree.Read(os.Getppid())
	if err != nil {
		return rand.Text()
	}
	return fmt.Sprintf("%s-%d-%d", bootID(), keeper.PID, keeper.Start)
}

func bootID() string {
	id, _ := os.ReadFile("/proc/sys/kernel/random/boot_id")
	return strings.TrimSpace(string(id))
}
