package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"text/tabwriter"

	"github.com/spf13/cobra"
)

// places are where an agent keeps what is its own (D16).
type places struct{ data, policy, run string }

func (p *places) flags(c *cobra.Command, env environment) {
	c.Flags().StringVar(&p.data, "data", dataDir(env), "directory for identity, state and output")
	c.Flags().StringVar(&p.policy, "policy", policyFile(env), "the host's policy")
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

func dataDir(env environment) string { return filepath.Join(stateHome(env), "ancora-agent") }

// stateHome is where programs keep what lasts.
func stateHome(env environment) string {
	if env.Root {
		return "/var/lib"
	}
	if dir := env.Getenv("XDG_STATE_HOME"); dir != "" {
		return dir
	}
	return filepath.Join(env.Getenv("HOME"), ".local/state")
}

// runDir is empty where the system has no place for what lasts until the next boot.
func runDir(env environment) string {
	if env.Root {
		return "/run/ancora-agent"
	}
	if dir := env.Getenv("XDG_RUNTIME_DIR"); dir != "" {
		return filepath.Join(dir, "ancora-agent")
	}
	return ""
}

func policyFile(env environment) string {
	if env.Root {
		return "/etc/ancora/agent.yaml"
	}
	if dir := env.Getenv("XDG_CONFIG_HOME"); dir != "" {
		return filepath.Join(dir, "ancora/agent.yaml")
	}
	return filepath.Join(env.Getenv("HOME"), ".config/ancora/agent.yaml")
}

// path is one thing on disk that an operator may look for.
type path struct{ name, at, flag, what string }

// paths are all of them, without flags.
func paths(env environment, binary string) []path {
	data, run := dataDir(env), runDir(env)
	if run == "" {
		run = filepath.Join(data, "run")
	}
	below := func(name string) string { return filepath.Join(data, name) }
	return []path{
		{"binary", binary, "", "this program; the keeper starts the worker from it"},
		{"policy", policyFile(env), "--policy", "which folders, users and listeners this host allows"},
		{"data", data, "--data", "what follows, and keeper.lock, keeper-id, instances.json, which a later keeper must know"},
		{"identity", below("identity"), "", "key (mode 0600) and certificate of the host, made by join"},
		{"last good", below("lastgood"), "", "what was assigned last: the host runs it without a controller"},
		{"web.config", below("webconfigs"), "", "what applications run with, SITE/FILE (mode 0600, 4 MiB at most): for a file that is broken when the worker starts"},
		{"policy in force", below("policy.yaml"), "", "what of the policy was good last (mode 0600): for one that is broken when the worker starts"},
		{"captures", below("captures"), "", "output and events of each run: SITE/APPLICATION/RUN, access logs: SITE/access/RUN; 64 MiB an application"},
		{"homes", below("homes"), "", "HOME of applications whose user has none"},
		{"sockets", below("sockets"), "", "unix sockets of instances"},
		{"listeners", below("listeners.json"), "", "the ports chosen for listeners at port 0"},
		{"admin socket", filepath.Join(run, "admin.sock"), "--run-dir", "health, metrics, explain"},
		{"serve", filepath.Join(stateHome(env), "ancora-agent-serve"), "serve --data", "the same for `serve`: a directory for each folder"},
		{"unit", "/etc/systemd/system/ancora-agent.service", "", "where the service's unit is put by hand; of a package: /usr/lib/systemd/system"},
	}
}

func versionCommand(env environment) *cobra.Command {
	var all bool
	c := &cobra.Command{
		Use: "version", Short: "Print the version, and where everything lies", Args: noArguments,
		RunE: func(*cobra.Command, []string) error {
			_, err := fmt.Fprintf(env.Out, "ancora-agent %s commit %s %s %s/%s\n", version, commit, runtime.Version(), runtime.GOOS, runtime.GOARCH)
			if err != nil || !all {
				return err
			}
			binary, err := os.Executable()
			if err != nil {
				return err
			}
			return writePaths(env.Out, paths(env, binary))
		},
	}
	c.Flags().BoolVar(&all, "paths", false, "say where binary, policy, state, output and sockets lie, as whoever asks, without other flags")
	return c
}

func writePaths(out io.Writer, all []path) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	for _, p := range all {
		fmt.Fprintf(w, "%s\t%s\n", p.name, p.at)
	}
	return w.Flush()
}
