package main

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/ancora-fleet/ancora/agent/check"
	"github.com/ancora-fleet/ancora/agent/policy"
	"github.com/ancora-fleet/ancora/dataplane"
	"github.com/ancora-fleet/ancora/dataplane/site"
)

// errFound ends a check that found errors, which it has told.
var errFound = errors.New("errors were found")

type checkOptions struct {
	listen  []string
	policy  string
	user    string
	profile string
	output  string
}

// checkCommand says what is wrong with a folder before it is served.
func checkCommand(env environment) *cobra.Command {
	var o checkOptions
	c := &cobra.Command{
		Use:   "check FOLDER|FILE",
		Short: "Say what is wrong with a folder before it is served; changes and starts nothing",
		Long: `Say what is wrong with a folder, or with the sites of a file, before it is served: what keeps it from starting, what likely is not
meant so, and how each section of its web.config is read. It looks as the user whom the applications would run as, so as root it
finds more. Nothing is changed or started.

Applications for .NET: ASP.NET Core 2.1 and later run by the activation, 8 and 10 are proven. The agent is for Linux 4.1 and later;
it is proven on amd64 and compiles for arm64.

Exit code 0: no errors, 1: errors, 2: usage.`,
		Args: arguments(1),
		RunE: func(_ *cobra.Command, args []string) error { return checkFolder(env, o, args[0]) },
	}
	c.Flags().StringVar(&o.policy, "policy", "", "look as run would under this policy `file` of the host (default: as serve would)")
	c.Flags().StringArrayVar(&o.listen, "listen", nil, "`address` that serve would listen on, or NAME=ADDRESS (default 127.0.0.1:8080); not with --policy")
	c.Flags().StringVar(&o.user, "user", "", "user to run applications as when this is root (default: the policy's, else 65534); root must be asked for by name")
	c.Flags().StringVar(&o.profile, "profile", "", "aspnetcore or generic, for applications that name no profile")
	c.Flags().StringVarP(&o.output, "output", "o", "text", "text: one line a finding; json: one object")
	return c
}

func checkFolder(env environment, o checkOptions, what string) error {
	if o.output != "text" && o.output != "json" {
		return usageError{fmt.Errorf("--output %q is not known: text or json", o.output)}
	}
	path, err := filepath.Abs(what)
	if err != nil {
		return err
	}
	if _, err := os.Stat(path); err != nil {
		return usageError{err}
	}
	var findings []check.Finding
	sites, err := sitesOf(path, o.profile)
	for _, e := range parts(err) {
		findings = append(findings, check.Finding{Level: check.Error, Text: e.Error()})
	}
	config, err := o.config(env, path, sites)
	if err != nil {
		return usageError{err}
	}
	machine := check.LookAtMachine()
	findings = append(findings, check.JudgeMachine(machine)...)
	for _, s := range sites {
		applications, problems := dataplane.Foresee(config, s)
		for _, err := range problems {
			findings = append(findings, check.Finding{Level: check.Error, Application: s.Name, Text: err.Error()})
		}
		for _, p := range applications {
			findings = append(findings, check.Judge(check.Look(s.Name+p.Application.Path, p, machine))...)
		}
	}
	report := check.NewReport(what, findings)
	if o.output == "json" {
		err = report.JSON(env.Out)
	} else {
		err = report.Text(env.Out, folderOf(path))
	}
	if err == nil && report.Errors > 0 {
		return errFound
	}
	return err
}

// config is what the data plane would have: of run under a policy, else of serve.
func (o *checkOptions) config(env environment, path string, sites []*site.Site) (dataplane.Config, error) {
	config := dataplane.Config{Environ: env.Environ, DataDir: stateDir(env, path)}
	if o.policy != "" {
		if len(o.listen) > 0 {
			return config, errors.New("--listen goes with serve: under --policy the listeners are the policy's")
		}
		p, err := policy.Load(o.policy)
		if err != nil {
			return config, err
		}
		config.Policy, config.DataDir = p.Policy, dataDir(env)
		config.Policy.DefaultUser = cmp.Or(o.user, config.Policy.DefaultUser)
		config.Policy.AllowRoot = o.user == "root" || o.user == "0"
		return config, nil
	}
	s := serveOptions{user: o.user}
	for _, w := range sites { // nothing listens: serve asks for what is missing
		for _, b := range w.Bindings {
			s.listen = append(s.listen, b.Listener+"="+defaultListen)
		}
	}
	s.listen = append(s.listen, o.listen...)
	if len(o.listen) == 0 {
		s.listen = append(s.listen, defaultListen)
	}
	listeners, err := s.listeners(sites)
	config.Policy = s.hostPolicy(listeners, nil)
	return config, err
}

// folderOf is what places are told relative to.
func folderOf(path string) string {
	if info, err := os.Stat(path); err == nil && !info.IsDir() {
		path = filepath.Dir(path)
	}
	if real, err := filepath.EvalSymlinks(path); err == nil {
		return real
	}
	return path
}

// parts divides an error that says several things, a line each.
func parts(err error) (all []error) {
	if err == nil {
		return nil
	}
	for line := range strings.Lines(err.Error()) {
		all = append(all, errors.New(strings.TrimSuffix(line, "\n")))
	}
	return all
}
