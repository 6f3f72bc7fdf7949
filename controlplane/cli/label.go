package cli

import (
	"cmp"
	"errors"
	"strings"

	"github.com/spf13/cobra"

	"github.com/ancora-fleet/ancora/dataplane/site"
	controlv1 "github.com/ancora-fleet/ancora/proto/ancora/control/v1"
	typesv1 "github.com/ancora-fleet/ancora/proto/ancora/types/v1"
)

func (p *program) labelCommand() *cobra.Command {
	c := &cobra.Command{
		Use: "label NOUN NAME KEY=VALUE... KEY-...", Short: "Set and remove labels of a host or site", Args: cobra.ArbitraryArgs, RunE: helpOrUnknown,
		Example: "  ancora label host web3 role=web\n  ancora label host web3 role-\n  ancora label site shop team=web",
	}
	c.AddCommand(p.labelHost(), p.labelSite())
	return c
}

// parseLabels reads key=value to set and key- to remove.
func parseLabels(args []string) (set map[string]string, remove []string, err error) {
	set = map[string]string{}
	for _, arg := range args {
		key, value, ok := strings.Cut(arg, "=")
		switch {
		case ok && key != "":
			set[key] = value
		case !ok && strings.HasSuffix(arg, "-") && len(arg) > 1:
			remove = append(remove, strings.TrimSuffix(arg, "-"))
		default:
			return nil, nil, usagef("%q is neither KEY=VALUE nor KEY-", arg)
		}
	}
	if err := site.ValidLabels(set); err != nil {
		return nil, nil, usagef("%w", err)
	}
	return set, remove, nil
}

func (p *program) labelHost() *cobra.Command {
	var yes bool
	c := &cobra.Command{
		Use: "host NAME KEY=VALUE... KEY-...", Short: "Labels of a host decide which sites it runs", Args: cobra.MinimumNArgs(2), ValidArgsFunction: one(p.completeHosts),
		RunE: func(cmd *cobra.Command, args []string) error {
			set, remove, err := parseLabels(args[1:])
			if err != nil {
				return err
			}
			conn, err := p.connect()
			if err != nil {
				return err
			}
			var answer *controlv1.UpdateHostResponse
			err = p.guarded(yes, func(confirmed bool) (err error) {
				answer, err = conn.hosts.UpdateHost(cmd.Context(), &controlv1.UpdateHostRequest{Name: args[0], SetLabels: set, RemoveLabels: remove, Confirmed: confirmed})
				return err
			})
			if err != nil {
				return err
			}
			p.say("host %s has labels %s", args[0], cmp.Or(labelText(answer.GetHost().GetLabels()), "none"))
			return nil
		},
	}
	c.Flags().BoolVar(&yes, "yes", false, "go on although the host loses most of its sites")
	return c
}

func (p *program) labelSite() *cobra.Command {
	return &cobra.Command{
		Use: "site NAME KEY=VALUE... KEY-...", Short: "Labels of a site group it for -l", Args: cobra.MinimumNArgs(2), ValidArgsFunction: one(p.completeSites),
		RunE: func(cmd *cobra.Command, args []string) error {
			set, remove, err := parseLabels(args[1:])
			if err != nil {
				return err
			}
			conn, err := p.connect()
			if err != nil {
				return err
			}
			have, err := conn.sites.GetSite(cmd.Context(), &controlv1.GetSiteRequest{Name: args[0]})
			if err != nil {
				return err
			}
			changed := have.GetSite()
			if changed == nil {
				return errors.New("the controller's answer has no site")
			}
			relabel(changed, set, remove)
			answer, err := conn.sites.UpdateSite(cmd.Context(), &controlv1.UpdateSiteRequest{Site: changed, IfRevision: changed.GetRevision()})
			if err != nil {
				return err
			}
			p.say("site %s at revision %d has labels %s", args[0], answer.GetSite().GetRevision(), cmp.Or(labelText(answer.GetSite().GetLabels()), "none"))
			return nil
		},
	}
}

func relabel(s *typesv1.Site, set map[string]string, remove []string) {
	if s.Labels == nil {
		s.Labels = map[string]string{}
	}
	for key, value := range set {
		s.Labels[key] = value
	}
	for _, key := range remove {
		delete(s.Labels, key)
	}
}
