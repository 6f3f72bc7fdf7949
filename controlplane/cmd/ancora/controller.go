package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/coreos/go-systemd/v22/daemon"
	"github.com/hashicorp/go-hclog"
	"github.com/spf13/cobra"

	"github.com/ancora-fleet/ancora/controlplane"
)

// controllerCommand is the server, which the command line must not contain.
func controllerCommand() *cobra.Command {
	var config controlplane.Config
	var level string
	var json bool
	c := &cobra.Command{
		Use:   "controller",
		Short: "Run the controller: operators on 127.0.0.1:7400, agents on :7401",
		Long: `Run the controller. The first start makes a CA and the admin credential (admin.yaml in the data directory) and prints the
line that makes this command line use it.`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			parsed := hclog.LevelFromString(level)
			if parsed == hclog.NoLevel {
				return fmt.Errorf("--log-level %q is not known: trace, debug, info, warn or error", level)
			}
			config.Logger = hclog.New(&hclog.LoggerOptions{Name: "ancora", Level: parsed, Output: os.Stderr, JSONFormat: json})
			config.Stdout = os.Stdout
			return serve(c.Context(), config)
		},
	}
	f := c.Flags()
	f.StringVar(&config.DataDir, "data", dataDir(), "directory for CA, store and admin credential")
	f.StringVar(&config.OperatorAddress, "operator-address", controlplane.DefaultOperatorAddress, "where operators call; port 0 is a free one")
	f.StringVar(&config.AgentAddress, "agent-address", controlplane.DefaultAgentAddress, "where agents call; port 0 is a free one")
	f.StringVar(&config.AgentAdvertise, "advertise", "", "host:port that hosts are told to join (default: that of --agent-address on this machine)")
	f.BoolVar(&json, "log-json", false, "write the log as JSON, one object a line")
	f.StringVar(&level, "log-level", "info", "trace, debug, info, warn or error")
	return c
}

func serve(ctx context.Context, config controlplane.Config) error {
	config.Ready = func() {
		if _, err := daemon.SdNotify(false, daemon.SdNotifyReady); err != nil {
			config.Logger.Warn("service manager not told", "error", err)
		}
	}
	c, err := controlplane.New(config)
	if err != nil {
		return err
	}
	return c.Run(ctx)
}

func dataDir() string {
	if os.Geteuid() == 0 {
		return "/var/lib/ancora"
	}
	if dir := os.Getenv("XDG_STATE_HOME"); dir != "" {
		return filepath.Join(dir, "ancora")
	}
	return filepath.Join(os.Getenv("HOME"), ".local/state/ancora")
}
