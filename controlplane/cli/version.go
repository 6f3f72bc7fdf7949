package cli

import (
	"runtime"

	"github.com/spf13/cobra"
)

func (p *program) versionCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "version",
		Short:   "Say which version this is",
		Example: "  ancora version",
		Args:    cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			p.say("ancora %s %s %s/%s", p.Version, runtime.Version(), runtime.GOOS, runtime.GOARCH)
			return nil
		},
	}
}
