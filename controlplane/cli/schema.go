package cli

import (
	"github.com/spf13/cobra"

	"github.com/ancora-fleet/ancora/controlplane/schema"
)

func (p *program) schemaCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "schema",
		Short: "Print what editors check site files and web.config with",
		RunE:  helpOrUnknown,
		Args:  cobra.ArbitraryArgs,
	}
	c.AddCommand(&cobra.Command{
		Use:   "site",
		Short: "JSON Schema (draft 2020-12) of the site file",
		Long: `JSON Schema (draft 2020-12) of the site file: fields, words, ranges and defaults. What fields demand of each other is
checked by apply --dry-run.`,
		Example: "  ancora schema site > site.schema.json     # and first in a site file: # yaml-language-server: $schema=site.schema.json",
		Args:    cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			text, err := schema.Site()
			if err != nil {
				return err
			}
			return p.writeText(text)
		},
	}, &cobra.Command{
		Use:     "webconfig",
		Short:   "XML Schema of the sections of web.config that are read",
		Example: "  ancora schema webconfig > web.config.xsd",
		Args:    cobra.NoArgs,
		RunE:    func(*cobra.Command, []string) error { return p.writeText(schema.WebConfig()) },
	})
	return c
}
