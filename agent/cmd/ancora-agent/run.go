package main

import (
	"context"
	"errors"

	"github.com/spf13/cobra"

	"github.com/ancora-fleet/ancora/agent"
	"github.com/ancora-fleet/ancora/agent/identity"
	"github.com/ancora-fleet/ancora/agent/policy"
	"github.com/ancora-fleet/ancora/dataplane/keeper/protocol"
	"github.com/ancora-fleet/ancora/dataplane/process"
)

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
		return mistake(env, err)
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
