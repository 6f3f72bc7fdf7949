package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/ancora-fleet/ancora/agent"
	"github.com/ancora-fleet/ancora/agent/identity"
	"github.com/ancora-fleet/ancora/agent/policy"
	"github.com/ancora-fleet/ancora/dataplane/keeper/protocol"
	"github.com/ancora-fleet/ancora/dataplane/process"
)

// places are where an agent keeps what is its own (D16).
type places struct{ data, policy, run string }

func (p *places) flags(c *cobra.Command, env environment) {
	c.Flags().StringVar(&p.data, "data", dataDir(env), "directory for identity, state and output")
	c.Flags().StringVar(&p.policy, "policy", policyFile(env), "the host's policy")
}

func dataDir(env environment) string {
	if os.Geteuid() == 0 {
		return "/var/lib/ancora-agent"
	}
	if dir := env.Getenv("XDG_STATE_HOME"); dir != "" {
		return filepath.Join(dir, "ancora-agent")
	}
	return filepath.Join(env.Getenv("HOME"), ".local/state/ancora-agent")
}

// runDir is empty where the system has no place for what lasts until the next boot.
func runDir(env environment) string {
	if os.Geteuid() == 0 {
		return "/run/ancora-agent"
	}
	if dir := env.Getenv("XDG_RUNTIME_DIR"); dir != "" {
		return filepath.Join(dir, "ancora-agent")
	}
	return ""
}

func policyFile(env environment) string {
	if os.Geteuid() == 0 {
		return "/etc/ancora/agent.yaml"
	}
	if dir := env.Getenv("XDG_CONFIG_HOME"); dir != "" {
		return filepath.Join(dir, "ancora/agent.yaml")
	}
	return filepath.Join(env.Getenv("HOME"), ".config/ancora/agent.yaml")
}

func (p *places) absolute() (err error) {
	if p.run == "" {
		p.run = filepath.Join(p.data, "run")
	}
	for _, path := range []*string{&p.data, &p.policy, &p.run} {
		if *path, err = filepath.Abs(*path); err != nil {
			return err
		}
	}
	return nil
}

// runCommand is the service of a joined host.
func runCommand(env environment) *cobra.Command {
	var l logging
	var p places
	var n mostProcessors
	c := &cobra.Command{
		Use: "run", Short: "Run what the controller assigns to this host", Args: noArguments,
		RunE: func(c *cobra.Command, _ []string) error { return runAgent(c.Context(), env, l, p, n) },
	}
	l.flags(c)
	p.flags(c, env)
	n.flags(c)
	c.Flags().StringVar(&p.run, "run-dir", runDir(env), "directory of the admin socket, one for each agent; empty: run/ below --data")
	return c
}

func runAgent(ctx context.Context, env environment, l logging, p places, n mostProcessors) error {
	log, err := l.logger("ancora-agent", env.Err)
	if err != nil {
		return err
	}
	if err := p.absolute(); err != nil {
		return err
	}
	// What no second attempt mends is told before the keeper starts anything.
	if _, err := identity.Load(agent.IdentityDir(p.data)); errors.Is(err, identity.ErrNotJoined) {
		return usageError{err}
	}
	if env.Getenv(protocol.FDVariable) == "" {
		if _, err := policy.Load(p.policy); err != nil {
			return usageError{err}
		}
	}
	return underKeeper(ctx, keep{p.data, env.Args, log, n}, func(ctx context.Context, client *process.Client) error {
		a, err := agent.New(agent.Config{
			DataDir: p.data, PolicyFile: p.policy, RunDir: p.run, Version: version, Keeper: client, Environ: env.Environ, Stdout: env.Out, Logger: log,
		})
		if err != nil {
			return err
		}
		return a.Run(ctx)
	})
}
