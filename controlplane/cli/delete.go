package cli

import (
	"github.com/spf13/cobra"

	controlv1 "github.com/ancora-fleet/ancora/proto/ancora/control/v1"
)

func (p *program) deleteCommand() *cobra.Command {
	c := &cobra.Command{
		Use: "delete NOUN NAME", Short: "Delete a site, host, notice or token", Args: cobra.ArbitraryArgs, RunE: helpOrUnknown,
		Example: "  ancora delete site shop\n  ancora delete host web3",
	}
	c.AddCommand(p.deleteSite(), p.deleteHost(), p.deleteNotice(), p.deleteToken())
	return c
}

func (p *program) deleteSite() *cobra.Command {
	var yes bool
	var ifRevision int64
	c := &cobra.Command{
		Use: "site NAME", Short: "Delete a site: it stops on every host", Args: cobra.ExactArgs(1), ValidArgsFunction: one(p.completeSites),
		RunE: func(cmd *cobra.Command, args []string) error {
			conn, err := p.connect()
			if err != nil {
				return err
			}
			err = p.guarded(yes, func(confirmed bool) error {
				_, err := conn.sites.DeleteSite(cmd.Context(), &controlv1.DeleteSiteRequest{Name: args[0], IfRevision: ifRevision, Confirmed: confirmed})
				return err
			})
			if err == nil {
				p.say("site %s deleted", args[0])
			}
			return err
		},
	}
	c.Flags().BoolVar(&yes, "yes", false, "go on although hosts lose most of their sites")
	c.Flags().Int64Var(&ifRevision, "if-revision", 0, "only when the site is at this revision; else exit code 6")
	return c
}

func (p *program) deleteHost() *cobra.Command {
	return p.deleteOne("host", "Forget a host and refuse its certificate; what it runs goes on until it is stopped there", p.completeHosts, func(cmd *cobra.Command, c *client, name string) error {
		_, err := c.hosts.DeleteHost(cmd.Context(), &controlv1.DeleteHostRequest{Name: name})
		return err
	})
}

func (p *program) deleteNotice() *cobra.Command {
	return p.deleteOne("notice", "Delete an offline notice, whatever it was made for", nil, func(cmd *cobra.Command, c *client, name string) error {
		_, err := c.offline.DeleteOfflineNotice(cmd.Context(), &controlv1.DeleteOfflineNoticeRequest{Name: name})
		return err
	})
}

func (p *program) deleteToken() *cobra.Command {
	return p.deleteOne("token", "Delete a join token: nobody joins with it any more", nil, func(cmd *cobra.Command, c *client, name string) error {
		_, err := c.tokens.DeleteToken(cmd.Context(), &controlv1.DeleteTokenRequest{Id: name})
		return err
	})
}

func (p *program) deleteOne(noun, short string, complete completer, do func(*cobra.Command, *client, string) error) *cobra.Command {
	c := &cobra.Command{
		Use: noun + " NAME", Short: short, Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			conn, err := p.connect()
			if err != nil {
				return err
			}
			if err := do(cmd, conn, args[0]); err != nil {
				return err
			}
			p.say("%s %s deleted", noun, args[0])
			return nil
		},
	}
	if complete != nil {
		c.ValidArgsFunction = one(complete)
	}
	return c
}
