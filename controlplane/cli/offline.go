package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
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
	// Unlike elsewhere, a script needs no --yes: this is the verb of an emergency, and online --all undoes it.
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
	hosts, err := p.watchNotice(limited, c, n.GetName(), answer.GetHosts())
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
func (p *program) watchNotice(ctx context.Context, c *client, name string, targets []string) (hosts []*controlv1.NoticeHost, err error) {
	for _, host := range targets {
		hosts = append(hosts, &controlv1.NoticeHost{Host: host, State: typesv1.HostState_HOST_STATE_CONNECTED})
	}
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
	p.note("notice %s", n.GetName())
	p.say("offline on %d/%d hosts%s", t.good, len(hosts), holdText(n))
	return said(t.code())
}

// holdText says until when a notice holds and what visitors get.
func holdText(n *typesv1.OfflineNotice) string {
	until, retry := "", ""
	if e := n.GetExpireTime(); e != nil {
		lasts := e.AsTime().Sub(n.GetCreateTime().AsTime()).Round(time.Second)
		layout := "15:04"
		switch {
		case lasts < 5*time.Minute:
			layout = time.TimeOnly
		case lasts >= 24*time.Hour:
			layout = "2006-01-02 15:04"
		}
		until = " until " + e.AsTime().Local().Format(layout)
		retry = fmt.Sprintf(", Retry-After %d", int(lasts.Seconds()))
	}
	if r := n.GetRetryAfter(); r != nil {
		retry = fmt.Sprintf(", Retry-After %d", int(r.AsDuration().Seconds()))
	}
	return fmt.Sprintf("%s (503%s)", until, retry)
}
