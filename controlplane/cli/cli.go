// Package cli is the operator's command line: a file a verb.
//
// The rules of its user interface:
//
//   - Results go to stdout, everything said about the way there goes to stderr. What a verb prints with -o json, yaml or
//     name is for programs and stable; tables are for people and may change.
//   - Not a byte that came from a host, an application or another operator reaches a terminal before escape has seen it
//     (escape.go). Only this package's own constants may hold control bytes.
//   - Colour and redrawn lines only on a terminal, never with NO_COLOR or --color=never; without a terminal the same
//     facts come as plain lines, each of them once.
//   - It asks only on a terminal. Without one it refuses and names the flag (--yes) that answers the question;
//     only offline --all goes on.
//   - Every wait has an end (--timeout), says at the end what it knows, and Ctrl-C leaves it without undoing anything.
//   - A verb returns an error; exit.go alone turns errors into exit codes, and Run alone prints them, once.
//   - What is not there yet is refused by its name, never ignored.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
)

// Env is what the command line stands on.
type Env struct {
	In       io.Reader
	Out, Err io.Writer
	// Getenv reads the environment: ANCORA_CONTEXT, XDG_CONFIG_HOME, HOME, NO_COLOR, TERM, PATH.
	Getenv func(string) string
	// Version is what `ancora version` says.
	Version string
}

// Run executes the command args (without the program's name) and returns the exit code, see ExitCode. Further verbs,
// which this package must not contain because they serve, come in as more. A ctx that ends means Ctrl-C: waits detach,
// followed logs end.
func Run(ctx context.Context, env Env, args []string, more ...*cobra.Command) int {
	p := &program{Env: env}
	defer p.close()
	root := p.root()
	root.AddCommand(more...)
	root.SetArgs(args)
	root.SetIn(env.In)
	root.SetOut(env.Out)
	root.SetErr(env.Err)
	usage := true
	root.PersistentPreRunE = func(cmd *cobra.Command, _ []string) error {
		usage = false
		return p.checkFlags()
	}
	cmd, err := root.ExecuteContextC(ctx)
	if err == nil {
		return exitOK
	}
	if usage {
		err = usageError(cmd, err)
	}
	p.printError(err)
	return ExitCode(err)
}

// program is one call of the command line: its surroundings, the flags all verbs share, and the connection.
type program struct {
	Env
	contextFile string
	colorMode   string
	client      *client
}

func (p *program) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "ancora",
		Short: "Run ASP.NET Core and any other HTTP application on a fleet of Linux hosts",
		Long: `ancora runs ASP.NET Core and any other HTTP application on a fleet of Linux hosts.

Exit codes: 0 done, 1 failed, 2 wrong usage or an invalid file (nothing was changed), 3 some hosts did it and some
did not, 4 timed out waiting, 5 not found, 6 changed by somebody else meanwhile, 7 denied, 8 controller unreachable,
130 detached by Ctrl-C.`,
		Example: `  ancora dev                              # try it: a controller and three hosts on this machine
  ancora apply -f shop.yaml --wait        # push a site, wait for every host's word on it
  ancora logs shop -f                     # one stream of all its hosts
  ancora offline --all --for 10m --yes    # the whole fleet out of service, and back by itself`,
		SilenceErrors:     true,
		SilenceUsage:      true,
		CompletionOptions: cobra.CompletionOptions{DisableDefaultCmd: true},
		RunE:              helpOrUnknown,
		Args:              cobra.ArbitraryArgs,
	}
	flags := root.PersistentFlags()
	flags.StringVar(&p.contextFile, "context", "", "`file` that names the controller (default $ANCORA_CONTEXT, else ancora/context.yaml in the XDG config directory)")
	flags.StringVar(&p.colorMode, "color", "auto", "auto, always or never")
	root.AddGroup(
		&cobra.Group{ID: "see", Title: "See:"},
		&cobra.Group{ID: "change", Title: "Change:"},
		&cobra.Group{ID: "set up", Title: "Set up:"},
	)
	add := func(group string, cmds ...*cobra.Command) {
		for _, c := range cmds {
			c.GroupID = group
			root.AddCommand(c)
		}
	}
	add("see", p.getCommand(), p.describeCommand(), p.logsCommand(), p.explainCommand())
	add("change", p.applyCommand(), p.deleteCommand(), p.labelCommand(), p.offlineCommand(), p.onlineCommand(), p.recycleCommand())
	add("set up", p.devCommand(), p.tokenCommand(), p.importCommand(), p.schemaCommand())
	root.AddCommand(p.versionCommand(), p.completionCommand())
	return root
}

// helpOrUnknown is what a command that only holds others does: help when called alone, else an error. Left to itself
// cobra prints the help and succeeds.
func helpOrUnknown(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return cmd.Help()
	}
	return usageError(cmd, fmt.Errorf("unknown command %q for %q", args[0], cmd.CommandPath()))
}

func (p *program) checkFlags() error {
	switch p.colorMode {
	case "auto", "always", "never":
		return nil
	}
	return usagef("--color %q: auto, always or never", p.colorMode)
}

// printError writes err to stderr, one line of it a line, every line safe for a terminal.
func (p *program) printError(err error) {
	var e *exitError
	if errors.As(err, &e) && e.said {
		return
	}
	for i, line := range strings.Split(strings.TrimRight(errorText(err), "\n"), "\n") {
		if i == 0 && !isFileError(err) {
			line = "ancora: " + line
		}
		fmt.Fprintln(p.Err, escapeLine(line))
	}
}

// note writes a line about the way to the result to stderr.
func (p *program) note(format string, args ...any) {
	fmt.Fprintln(p.Err, escapeLine(fmt.Sprintf(format, args...)))
}

// say writes a line of the result to stdout.
func (p *program) say(format string, args ...any) {
	fmt.Fprintln(p.Out, escapeLine(fmt.Sprintf(format, args...)))
}
