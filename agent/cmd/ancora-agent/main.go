// Command ancora-agent runs on every host: it serves applications, alone or for a controller.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/hashicorp/go-hclog"
	"github.com/spf13/cobra"

	"github.com/ancora-fleet/ancora/dataplane/keeper"
	"github.com/ancora-fleet/ancora/dataplane/keeper/protocol"
)

// Set when the program is built.
var version, commit = "unknown", "unknown"

const (
	exitFailed = 1
	// exitUsage is for what no second attempt mends. A worker says keeper.UsageError to its keeper, which passes it on as this.
	exitUsage = 2
)

// environment is what a command sees of its surroundings.
type environment struct {
	Out, Err io.Writer
	Getenv   func(string) string
	Environ  []string
	// Root says that the user is.
	Root bool
	// Args are what this program was started with, for the worker to be started with as well.
	Args []string
}

// usageError is a mistake in what was asked for.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := execute(ctx, environment{os.Stdout, os.Stderr, os.Getenv, os.Environ(), os.Geteuid() == 0, os.Args[1:]})
	stop()
	os.Exit(code)
}

func execute(ctx context.Context, env environment) int {
	root := &cobra.Command{
		Use:           "ancora-agent",
		Short:         "Run applications on this host, alone or for a controller",
		SilenceErrors: true, SilenceUsage: true,
	}
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError{err} })
	root.AddCommand(runCommand(env), joinCommand(env), serveCommand(env), explainCommand(env), checkCommand(env), versionCommand(env), demoCommand(env))
	root.SetArgs(env.Args)
	root.SetOut(env.Out)
	root.SetErr(env.Err)
	err := root.ExecuteContext(ctx)
	var ended *keeper.WorkerExit
	var usage usageError
	switch {
	case err == nil:
		return 0
	case errors.Is(err, errFound):
		return exitFailed // it has said which
	case errors.As(err, &ended):
		return exitUsage // the worker has said why
	case errors.As(err, &usage):
		fmt.Fprintf(env.Err, "ancora-agent: %v\n", err)
		if env.Getenv(protocol.FDVariable) != "" {
			return keeper.UsageError
		}
		return exitUsage
	}
	fmt.Fprintf(env.Err, "ancora-agent: %v\n", err)
	return exitFailed
}

// noArguments and arguments make a wrong count a usage error.
func noArguments(c *cobra.Command, args []string) error { return asUsage(cobra.NoArgs(c, args)) }

func arguments(n int) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error { return asUsage(cobra.ExactArgs(n)(c, args)) }
}

func asUsage(err error) error {
	if err != nil {
		return usageError{err}
	}
	return nil
}

// logging are the flags that every service verb has.
type logging struct {
	json  bool
	level string
}

func (l *logging) flags(c *cobra.Command) {
	c.Flags().BoolVar(&l.json, "log-json", false, "write the log as JSON, one object a line")
	c.Flags().StringVar(&l.level, "log-level", "info", "trace, debug, info, warn or error")
}

func (l *logging) logger(name string, out io.Writer) (hclog.Logger, error) {
	level := hclog.LevelFromString(l.level)
	if level == hclog.NoLevel {
		return nil, usageError{fmt.Errorf("--log-level %q is not known: trace, debug, info, warn or error", l.level)}
	}
	return hclog.New(&hclog.LoggerOptions{Name: name, Level: level, Output: out, JSONFormat: l.json}), nil
}
