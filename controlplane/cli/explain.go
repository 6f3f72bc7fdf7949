package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/ancora-fleet/ancora/dataplane/explain"
	"github.com/ancora-fleet/ancora/dataplane/wire"
	controlv1 "github.com/ancora-fleet/ancora/proto/ancora/control/v1"
)

const formatText = "text"

// explainFlags are those of the verb.
type explainFlags struct{ host, method, from, listener, format string }

func (p *program) explainCommand() *cobra.Command {
	var f explainFlags
	c := &cobra.Command{
		Use:   "explain SITE URL",
		Short: "Which rule, application and instance would answer a request on each host, and why not",
		Long: `Asks every host of the site what it would do with a request, step by step, as its data plane decides: listener and TLS,
host name, site and revision, offline, application, web.config, rules, handler, queue, instance. Hosts that decide the same are shown
together. No request is sent, nothing is started and nothing counted.

A step that begins with x is why the request gets no further, one with ! is not as it was meant or not sure; the last line is the
answer. What only a whole request tells, as its headers and its body, is not asked. The query of the URL is never logged.`,
		Example: "  ancora explain shop https://shop.example.com/api/x\n  ancora explain shop http://shop.example.com/ --host web1 --method DELETE --from 203.0.113.7",
		Args:    cobra.ExactArgs(2), ValidArgsFunction: one(p.completeSites),
		RunE: func(cmd *cobra.Command, args []string) error { return p.explain(cmd.Context(), args[0], args[1], &f) },
	}
	c.Flags().StringVar(&f.host, "host", "", "only this host (default all that the site is placed on)")
	c.Flags().StringVar(&f.method, "method", "GET", "method of the request")
	c.Flags().StringVar(&f.from, "from", "", "`address` of the client; without one rules about clients are left out")
	c.Flags().StringVar(&f.listener, "listener", "", "name of the listener that the request comes in by (default the one that the URL means on the host)")
	choiceFlag(c, &f.format, "output", "o", formatText, []string{formatText, formatJSON, formatYAML}, "how to print")
	_ = c.RegisterFlagCompletionFunc("host", p.completeHosts)
	return c
}

// question reads what is asked before anything is sent.
func (f *explainFlags) question(site, url string) (explain.Question, error) {
	q, err := explain.ParseURL(url)
	if err != nil {
		return q, usagef("%w", err)
	}
	if f.from != "" {
		if q.Client, err = netip.ParseAddr(f.from); err != nil {
			return q, usagef("--from %q is no address", f.from)
		}
	}
	q.Site, q.Method, q.Listener = site, f.method, f.listener
	if err := q.Check(); err != nil {
		return q, usagef("%w", err)
	}
	return q, nil
}

func (p *program) explain(ctx context.Context, site, url string, f *explainFlags) error {
	q, err := f.question(site, url)
	if err != nil {
		return err
	}
	c, err := p.connect()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	hosts, err := c.explanations(ctx, &controlv1.ExplainRequest{Question: wire.QuestionMessage(q), Host: f.host})
	if err != nil {
		return err
	}
	if len(hosts) == 0 {
		return notFoundf("site %q is placed on no host", site)
	}
	all := &controlv1.ExplainResponse{Hosts: hosts}
	switch f.format {
	case formatJSON:
		err = writeJSON(p.Out, all)
	case formatYAML:
		var text []byte
		if text, err = yamlOf(all); err == nil {
			err = p.writeText(text)
		}
	default:
		p.sayExplained(hosts)
	}
	if err != nil {
		return err
	}
	if slices.ContainsFunc(hosts, func(h *controlv1.HostExplanation) bool { return h.GetExplanation() == nil }) {
		return said(exitPartial)
	}
	return nil
}

// explanations gathers what hosts say, in the order of their names.
func (c *client) explanations(ctx context.Context, request *controlv1.ExplainRequest) ([]*controlv1.HostExplanation, error) {
	stream, err := c.explains.Explain(ctx, request)
	var hosts []*controlv1.HostExplanation
	for err == nil {
		var m *controlv1.ExplainResponse
		if m, err = stream.Recv(); err == nil {
			hosts = append(hosts, m.GetHosts()...)
		}
	}
	if status.Code(err) == codes.Unimplemented {
		return nil, fmt.Errorf("controller %s cannot explain: a later one can", c.context.Address)
	}
	if !errors.Is(err, io.EOF) {
		return nil, err
	}
	slices.SortFunc(hosts, func(a, b *controlv1.HostExplanation) int { return cmp.Compare(a.GetHost(), b.GetHost()) })
	return hosts, nil
}

func (p *program) sayExplained(hosts []*controlv1.HostExplanation) {
	var answered []explain.Hosted
	for _, h := range hosts {
		if h.GetExplanation() != nil {
			answered = append(answered, explain.Hosted{Host: h.GetHost(), Trail: wire.Explanation(h.GetExplanation())})
		}
	}
	for _, group := range explain.Group(answered) {
		var names []string
		for _, h := range group {
			names = append(names, h.Host)
		}
		p.say("%s", strings.Join(names, ", "))
		for _, line := range explain.Lines(group) {
			p.say("  %s", line)
		}
	}
	for _, h := range hosts {
		if h.GetExplanation() == nil {
			p.say("%s", h.GetHost())
			p.say("  ? no answer: %s", h.GetError())
		}
	}
}
