package cli

import (
	"strings"

	"github.com/spf13/cobra"

	controlv1 "github.com/ancora-fleet/ancora/proto/ancora/control/v1"
)

func (p *program) recycleCommand() *cobra.Command {
	var hosts string
	c := &cobra.Command{
		Use:   "recycle SITE",
		Short: "Replace the running processes of a site by new ones, dropping nothing",
		Args:  cobra.ExactArgs(1), ValidArgsFunction: one(p.completeSites),
		RunE: func(cmd *cobra.Command, args []string) error {
			among, err := selectorOf("--hosts", hosts)
			if err != nil {
				return err
			}
			conn, err := p.connect()
			if err != nil {
				return err
			}
			answer, err := conn.instances.RecycleInstances(cmd.Context(), &controlv1.RecycleInstancesRequest{Site: args[0], Hosts: among})
			if err != nil {
				return err
			}
			p.say("site %s is recycled on %s: %s", args[0], plural(len(answer.GetHosts()), "host"), strings.Join(answer.GetHosts(), ", "))
			return nil
		},
	}
	c.Flags().StringVar(&hosts, "hosts", "", "only on hosts with these `labels`")
	return c
}
