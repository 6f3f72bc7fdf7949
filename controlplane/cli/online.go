package cli

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	controlv1 "github.com/ancora-fleet/ancora/proto/ancora/control/v1"
	typesv1 "github.com/ancora-fleet/ancora/proto/ancora/types/v1"
)

func (p *program) onlineCommand() *cobra.Command {
	var all bool
	var hosts string
	c := &cobra.Command{
		Use:   "online SITE... | --all",
		Short: "Bring sites back: end the notices that were made for exactly these",
		Long: `Bring sites back. It ends the notices that were made for exactly these sites (or for all, with --all) and hosts, and names
what still holds them: other notices, and app_offline.htm files on hosts, which are never undone from here.`,
		Args: cobra.ArbitraryArgs, ValidArgsFunction: p.completeSites,
		RunE: func(cmd *cobra.Command, args []string) error { return p.online(cmd.Context(), args, all, hosts) },
	}
	c.Flags().BoolVar(&all, "all", false, "end the notices that were made for all sites")
	c.Flags().StringVar(&hosts, "hosts", "", "end the notices that were made for hosts with these `labels`")
	return c
}

// madeFor says whether a notice was made for exactly these sites and hosts.
func madeFor(n *typesv1.OfflineNotice, sites []string, hosts string) bool {
	wanted := slices.Sorted(slices.Values(sites))
	return slices.Equal(slices.Compact(wanted), n.GetSites()) && n.GetHosts().GetExpression() == hosts
}

func (p *program) online(ctx context.Context, sites []string, all bool, hosts string) error {
	switch {
	case all && len(sites) > 0:
		return usagef("either sites or --all, not both")
	case !all && len(sites) == 0:
		return usagef("which sites? name them, or say --all")
	}
	c, err := p.connect()
	if err != nil {
		return err
	}
	notices, err := c.offline.ListOfflineNotices(ctx, &controlv1.ListOfflineNoticesRequest{})
	if err != nil {
		return err
	}
	ended := 0
	for _, n := range notices.GetNotices() {
		if !madeFor(n, sites, hosts) {
			continue
		}
		if _, err := c.offline.DeleteOfflineNotice(ctx, &controlv1.DeleteOfflineNoticeRequest{Name: n.GetName()}); err != nil {
			return err
		}
		ended++
		p.say("notice %s ended", n.GetName())
	}
	what := "for all sites"
	if !all {
		what = "for " + strings.Join(sites, ", ")
	}
	if ended == 0 {
		p.say("no notice was made %s", what)
	}
	return p.stillHeld(ctx, c, sites, notices.GetNotices(), hosts)
}

// stillHeld names what still holds the sites offline.
func (p *program) stillHeld(ctx context.Context, c *client, sites []string, notices []*typesv1.OfflineNotice, hosts string) error {
	for _, n := range notices {
		if madeFor(n, sites, hosts) {
			continue
		}
		about := len(n.GetSites()) == 0 || len(sites) == 0 || slices.ContainsFunc(sites, func(s string) bool { return slices.Contains(n.GetSites(), s) })
		if about {
			p.say("still held by notice %s: made %s for %s on %s%s", n.GetName(), ago(n.GetCreateTime().AsTime()),
				cmp.Or(strings.Join(n.GetSites(), ", "), "all sites"), cmp.Or(n.GetHosts().GetExpression(), "all hosts"), because(n))
		}
	}
	overviews, err := c.listSites(ctx, "")
	if err != nil {
		return err
	}
	for _, s := range overviews {
		if len(sites) > 0 && !slices.Contains(sites, s.GetSite().GetName()) {
			continue
		}
		for _, st := range s.GetStatuses() {
			if slices.Contains(st.GetOffline(), "local") {
				p.say("still held on host %s: site %s has an app_offline.htm", st.GetHost(), s.GetSite().GetName())
			}
		}
	}
	return nil
}

func because(n *typesv1.OfflineNotice) string {
	if n.GetReason() == "" {
		return ""
	}
	return ": " + n.GetReason()
}
