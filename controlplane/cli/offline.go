package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	controlv1 "github.com/ancora-fleet/ancora/proto/ancora/control/v1"
	typesv1 "github.com/ancora-fleet/ancora/proto/ancora/types/v1"
)

type offlineOptions struct {
	all                          bool
	hosts, message, page, reason string
	lasts, retryAfter, timeout   time.Duration
	yes                          bool
}

func (p *program) offlineCommand() *cobra.Command {
	var o offlineOptions
	c := &cobra.Command{
		Use:   "offline SITE... | --all",
		Short: "Take sites out of service with a page, on all their hosts",
		Long: `Take sites out of service with a page, on all their hosts, until online or the end of --for. It returns when every host
that has a session answers 503 by itself; hosts that are away get it when they come back.`,
		Example: "  ancora offline shop --message \"Back at noon\" --for 30m\n  ancora offline --all --page closed.html --reason \"INC-7\" --yes",
		Args:    cobra.ArbitraryArgs, ValidArgsFunction: p.completeSites,
		RunE: func(cmd *cobra.Command, args []string) error { return p.offline(cmd.Context(), args, &o) },
	}
	f := c.Flags()
	f.BoolVar(&o.all, "all", false, "all sites")
	f.StringVar(&o.hosts, "hosts", "", "only on hosts with these `labels`")
	f.StringVar(&o.message, "message", "", "what visitors read on the default page")
	f.StringVar(&o.page, "page", "", "HTML `file` that visitors see instead, at most 64 KiB")
	f.StringVar(&o.reason, "reason", "", "why, for operators")
	f.DurationVar(&o.lasts, "for", 0, "how long; it ends by itself, also without a controller (default: until online)")
	f.DurationVar(&o.retryAfter, "retry-after", 0, "Retry-After of the answers (default: the time left of --for)")
	f.DurationVar(&o.timeout, "timeout", 30*time.Second, "how long to wait for the hosts' word")
	f.BoolVar(&o.yes, "yes", false, "do not ask before --all")
	return c
}

func (o *offlineOptions) notice(sites []string, now time.Time) (*typesv1.OfflineNotice, error) {
	switch {
	case o.all && len(sites) > 0:
		return nil, usagef("either sites or --all, not both")
	case !o.all && len(sites) == 0:
		return nil, usagef("which sites? name them, or say --all")
	case o.message != "" && o.page != "":
		return nil, usagef("either --message or --page, not both")
	case o.lasts < 0 || o.retryAfter < 0:
		return nil, usagef("--for and --retry-after are lengths of time from now")
	}
	among, err := selectorOf("--hosts", o.hosts)
	if err != nil {
		return nil, err
	}
	n := &typesv1.OfflineNotice{Sites: sites, Hosts: among, Reason: o.reason}
	if o.page != "" {
		html, err := os.ReadFile(o.page)
		if err != nil {
			return nil, usagef("--page: %w", err)
		}
		n.Content = &typesv1.OfflineNotice_PageHtml{PageHtml: html}
	} else if o.message != "" {
		n.Content = &typesv1.OfflineNotice_Message{Message: o.message}
	}
	if o.lasts > 0 {
		n.ExpireTime = timestamppb.New(now.Add(o.lasts))
	}
	if o.retryAfter > 0 {
		n.RetryAfter = durationpb.New(o.retryAfter)
	}
	return n, nil
}

func (p *program) offline(ctx context.Context, sites []string, o *offlineOptions) error {
	notice, err := o.notice(sites, time.Now())
	if err != nil {
		return err
	}
	c, err := p.connect()
	if err != nil {
		return err
	}
	if o.all && !o.yes && isTerminal(p.In) {
		if err := p.confirm("this takes all sites out of service"); err != nil {
			return err
		}
	}
	answer, err := c.offline.CreateOfflineNotice(ctx, &controlv1.CreateOfflineNoticeRequest{Notice: notice})
	if err != nil {
		return err
	}
	n := answer.GetNotice()
	if len(answer.GetHosts()) == 0 {
		p.say("notice %s holds; no host has an affected site now", n.GetName())
		return nil
	}
	limited, cancel := context.WithTimeout(ctx, o.timeout)
	defer cancel()
	hosts, err := p.watchNotice(limited, c, n.GetName())
	if ctx.Err() != nil {
		p.note("detached: notice %s holds; ancora online ends it", n.GetName())
		return said(exitInterrupted)
	}
	if err != nil {
		return err
	}
	return p.offlineResult(n, hosts)
}

// applied says what a host's newest word on a notice means.
func applied(h *controlv1.NoticeHost) (outcome, string) {
	if h.GetState() != typesv1.HostState_HOST_STATE_CONNECTED {
		return outcomePending, "pending: it has no session and gets this when it comes back"
	}
	switch s := h.GetStatus(); s.GetState() {
	case typesv1.NoticeState_NOTICE_STATE_APPLIED:
		return outcomeGood, "answers 503"
	case typesv1.NoticeState_NOTICE_STATE_NOTHING_TO_DO:
		return outcomeGood, "has nothing to do"
	case typesv1.NoticeState_NOTICE_STATE_EXPIRED:
		return outcomeGood, "has seen it end"
	case typesv1.NoticeState_NOTICE_STATE_FAILED:
		return outcomeBad, "FAILED  " + s.GetReason()
	default:
		return outcomeOpen, cmp.Or(s.GetReason(), "has not answered")
	}
}

// watchNotice waits until every host has said its last word, or ctx ends.
func (p *program) watchNotice(ctx context.Context, c *client, name string) (hosts []*controlv1.NoticeHost, err error) {
	for {
		stream, err := c.offline.WatchOfflineNotice(ctx, &controlv1.WatchOfflineNoticeRequest{Name: name})
		for err == nil {
			var m *controlv1.WatchOfflineNoticeResponse
			if m, err = stream.Recv(); err != nil {
				break
			}
			hosts = m.GetHosts()
			open := slices.ContainsFunc(hosts, func(h *controlv1.NoticeHost) bool { o, _ := applied(h); return o == outcomeOpen })
			if !open || m.GetEnded() {
				return hosts, nil
			}
		}
		switch {
		case ctx.Err() != nil:
			return hosts, nil
		case !isUnavailable(err) && !errors.Is(err, io.EOF):
			return hosts, err
		}
		select {
		case <-time.After(again):
		case <-ctx.Done():
		}
	}
}

// offlineResult prints the sum, and a line for each host that has not done it.
func (p *program) offlineResult(n *typesv1.OfflineNotice, hosts []*controlv1.NoticeHost) error {
	var t tally
	for _, h := range hosts {
		o, text := applied(h)
		t.add(o)
		if o != outcomeGood {
			p.say("%s  %s", h.GetHost(), text)
		}
	}
	until, retry := "", ""
	if e := n.GetExpireTime(); e != nil {
		until = " until " + e.AsTime().Local().Format("15:04:05")
		retry = fmt.Sprintf(", Retry-After %d", int(time.Until(e.AsTime()).Round(time.Second).Seconds()))
	}
	if r := n.GetRetryAfter(); r != nil {
		retry = fmt.Sprintf(", Retry-After %d", int(r.AsDuration().Seconds()))
	}
	p.say("offline on %d/%d hosts%s (503%s), notice %s", t.good, len(hosts), until, retry, n.GetName())
	return said(t.code())
}

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
