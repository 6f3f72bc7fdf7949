package cli

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

// completionTimeout is how long a press of the tab key may wait for the controller.
const completionTimeout = 300 * time.Millisecond

func (p *program) completionCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "completion bash|zsh|fish",
		Short: "Print a completion script for a shell",
		Long: `Print a completion script for a shell. It completes verbs and flags, and the names of sites and hosts by asking the
controller, for at most 300 ms.`,
		Example: `  source <(ancora completion bash)
  ancora completion zsh > "${fpath[1]}/_ancora"
  ancora completion fish > ~/.config/fish/completions/ancora.fish`,
		Args:      cobra.MatchAll(cobra.ExactArgs(1), cobra.OnlyValidArgs),
		ValidArgs: []string{"bash", "zsh", "fish"},
		RunE: func(cmd *cobra.Command, args []string) error {
			switch root := cmd.Root(); args[0] {
			case "bash":
				return root.GenBashCompletionV2(p.Out, true)
			case "zsh":
				return root.GenZshCompletion(p.Out)
			default:
				return root.GenFishCompletion(p.Out, true)
			}
		},
	}
}

// completer returns names for a shell, without those that are on the line already.
type completer = func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective)

func (p *program) completeSites(cmd *cobra.Command, args []string, prefix string) ([]string, cobra.ShellCompDirective) {
	return p.complete(cmd, args, prefix, func(ctx context.Context, c *client) ([]string, error) {
		sites, err := c.listSites(ctx, "")
		if err != nil {
			return nil, err
		}
		names := make([]string, 0, len(sites))
		for _, s := range sites {
			names = append(names, s.GetSite().GetName())
		}
		return names, nil
	})
}

func (p *program) completeHosts(cmd *cobra.Command, args []string, prefix string) ([]string, cobra.ShellCompDirective) {
	return p.complete(cmd, args, prefix, func(ctx context.Context, c *client) ([]string, error) {
		hosts, err := c.listHosts(ctx, "")
		if err != nil {
			return nil, err
		}
		names := make([]string, 0, len(hosts))
		for _, h := range hosts {
			names = append(names, h.GetName())
		}
		return names, nil
	})
}

// one completes only the first argument.
func one(complete completer) completer {
	return func(cmd *cobra.Command, args []string, prefix string) ([]string, cobra.ShellCompDirective) {
		if len(args) > 0 {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return complete(cmd, args, prefix)
	}
}

func (p *program) complete(cmd *cobra.Command, args []string, prefix string, list func(context.Context, *client) ([]string, error)) ([]string, cobra.ShellCompDirective) {
	none := cobra.ShellCompDirectiveNoFileComp
	c, err := p.connect()
	if err != nil {
		return nil, none
	}
	parent := cmd.Context()
	if parent == nil {
		parent = context.Background()
	}
	ctx, cancel := context.WithTimeout(parent, completionTimeout)
	defer cancel()
	names, err := list(ctx, c)
	if err != nil {
		return nil, none
	}
	names = slices.DeleteFunc(names, func(name string) bool {
		return !strings.HasPrefix(name, prefix) || slices.Contains(args, name) || escapeLine(name) != name
	})
	return names, none
}
