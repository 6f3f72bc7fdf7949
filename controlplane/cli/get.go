package cli

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/proto"

	controlv1 "github.com/ancora-fleet/ancora/proto/ancora/control/v1"
	typesv1 "github.com/ancora-fleet/ancora/proto/ancora/types/v1"
)

// getFlags are those of every noun.
type getFlags struct{ format, labels, hosts string }

func (p *program) getCommand() *cobra.Command {
	c := &cobra.Command{
		Use: "get NOUN", Short: "List sites, hosts, instances, notices or tokens",
		Args: cobra.ArbitraryArgs, RunE: helpOrUnknown,
		Example: "  ancora get sites\n  ancora get hosts -l role=web -o wide\n  ancora get instances shop --hosts role=web",
	}
	c.AddCommand(
		p.getNoun("sites [NAME]", "site", "Sites and where they stand", p.completeSites, true, true, p.getSites),
		p.getNoun("hosts [NAME]", "host", "Hosts and whether they have a session", p.completeHosts, true, true, p.getHosts),
		p.getNoun("instances [SITE]", "instance", "Processes of applications on all hosts", p.completeSites, false, true, p.getInstances),
		p.getNoun("notices", "notice", "Offline notices and until when they hold", nil, false, false, p.getNotices),
		p.getNoun("tokens", "token", "Join tokens, without their secrets", nil, false, false, p.getTokens),
	)
	return c
}

type lister func(ctx context.Context, c *client, name string, flags *getFlags) (*listing, error)

func (p *program) getNoun(use, alias, short string, complete completer, byLabels, byHosts bool, list lister) *cobra.Command {
	flags := &getFlags{}
	c := &cobra.Command{Use: use, Aliases: []string{alias}, Short: short, Args: cobra.MaximumNArgs(1)}
	if !strings.Contains(use, "[") {
		c.Args = cobra.NoArgs
	}
	formatFlag(c, &flags.format)
	if byLabels {
		c.Flags().StringVarP(&flags.labels, "selector", "l", "", "only those with these `labels`, for example team=web,env in (prod,test)")
	}
	if byHosts {
		c.Flags().StringVar(&flags.hosts, "hosts", "", "only on hosts with these `labels`")
	}
	if complete != nil {
		c.ValidArgsFunction = one(complete)
	}
	c.RunE = func(cmd *cobra.Command, args []string) error {
		conn, err := p.connect()
		if err != nil {
			return err
		}
		name := ""
		if len(args) > 0 {
			name = args[0]
		}
		l, err := list(cmd.Context(), conn, name, flags)
		if err != nil {
			return err
		}
		return p.print(l, flags.format, name != "")
	}
	return c
}

func (p *program) getHosts(ctx context.Context, c *client, name string, flags *getFlags) (*listing, error) {
	labels := flags.labels
	if flags.hosts != "" {
		labels = strings.Trim(labels+","+flags.hosts, ",")
	}
	hosts, err := c.listHosts(ctx, labels)
	if err != nil {
		return nil, err
	}
	if name != "" {
		hosts = slices.DeleteFunc(hosts, func(h *typesv1.Host) bool { return h.GetName() != name })
	}
	if len(hosts) == 0 {
		switch {
		case name != "":
			return nil, notFoundf("host %q does not exist", name)
		case labels != "":
			return nil, notFoundf("%q matches no host", labels)
		}
	}
	l := &listing{noun: "host", message: &controlv1.ListHostsResponse{Hosts: hosts}}
	for _, h := range hosts {
		l.names = append(l.names, h.GetName())
		l.items = append(l.items, h)
	}
	l.table = func(wide bool) *table { return hostTable(hosts, wide) }
	return l, nil
}

func hostTable(hosts []*typesv1.Host, wide bool) *table {
	heads := []string{"HOST", "STATE", "LABELS", "LISTENERS", "LAST SEEN", "NOTE"}
	if wide {
		heads = append(heads, "VERSION", "GENERATION", "OS", "KERNEL", "CPUS", "MEMORY")
	}
	t := newTable(heads...)
	for _, h := range hosts {
		f := h.GetFacts()
		var listeners []string
		for _, l := range f.GetListeners() {
			listeners = append(listeners, l.GetName()+"="+cmp.Or(l.GetAddress(), "not bound"))
		}
		row := []string{h.GetName(), hostState(h.GetState()), labelText(h.GetLabels()), strings.Join(listeners, ","), ago(h.GetLastSeenTime().AsTime()), firstLine(h.GetRefusal())}
		if wide {
			row = append(row, h.GetAgentVersion(), fmt.Sprint(h.GetGeneration()), f.GetOs(), f.GetKernel(), fmt.Sprint(f.GetCpus()), bytesText(f.GetMemoryBytes()))
		}
		t.row(row...)
	}
	return t
}

func (p *program) getInstances(ctx context.Context, c *client, name string, flags *getFlags) (*listing, error) {
	among, err := selectorOf("--hosts", flags.hosts)
	if err != nil {
		return nil, err
	}
	if among != nil {
		if _, err := c.hostNames(ctx, flags.hosts); err != nil {
			return nil, err
		}
	}
	answer, err := c.instances.ListInstances(ctx, &controlv1.ListInstancesRequest{Site: name, Hosts: among})
	if err != nil {
		return nil, err
	}
	l := &listing{noun: "instance", message: answer}
	for _, i := range answer.GetInstances() {
		l.names = append(l.names, fmt.Sprintf("%s/%s%s/%d", i.GetHost(), i.GetSite(), strings.TrimSuffix(i.GetApplication(), "/"), i.GetInstance()))
		l.items = append(l.items, i)
	}
	l.table = func(wide bool) *table { return instanceTable(answer.GetInstances(), wide) }
	if flags.format == formatTable || flags.format == formatWide {
		for _, host := range answer.GetUnreachableHosts() {
			p.note("host %s has no session: what is said of it may be old", host)
		}
	}
	return l, nil
}

func instanceTable(instances []*typesv1.InstanceStatus, wide bool) *table {
	heads := []string{"HOST", "SITE", "APPLICATION", "STATE", "RUN", "PID", "FAILURES", "LAST EXIT"}
	if wide {
		heads = append(heads, "INSTANCE", "PORT", "REVISION", "STARTED", "MESSAGE")
	}
	t := newTable(heads...)
	for _, i := range instances {
		row := []string{i.GetHost(), i.GetSite(), i.GetApplication(), instanceState(i.GetState()), fmt.Sprint(i.GetRun()), pidText(i), fmt.Sprint(i.GetRecentFailures()), exitText(i.GetLastExit())}
		if wide {
			row = append(row, fmt.Sprint(i.GetInstance()), fmt.Sprint(i.GetPort()), fmt.Sprint(i.GetRevision()), ago(i.GetStartTime().AsTime()), firstLine(i.GetMessage()))
		}
		t.row(row...)
	}
	return t
}

func (p *program) getNotices(ctx context.Context, c *client, _ string, _ *getFlags) (*listing, error) {
	answer, err := c.offline.ListOfflineNotices(ctx, &controlv1.ListOfflineNoticesRequest{})
	if err != nil {
		return nil, err
	}
	l := &listing{noun: "notice", message: answer}
	for _, n := range answer.GetNotices() {
		l.names = append(l.names, n.GetName())
		l.items = append(l.items, n)
	}
	l.table = func(bool) *table {
		t := newTable("NOTICE", "SITES", "HOSTS", "SINCE", "UNTIL", "REASON")
		for _, n := range answer.GetNotices() {
			until := "deleted"
			if e := n.GetExpireTime(); e != nil {
				until = e.AsTime().Local().Format(time.DateTime)
			}
			t.row(n.GetName(), cmp.Or(strings.Join(n.GetSites(), ","), "(all)"), cmp.Or(n.GetHosts().GetExpression(), "(all)"),
				ago(n.GetCreateTime().AsTime()), until, firstLine(cmp.Or(n.GetReason(), n.GetMessage())))
		}
		return t
	}
	return l, nil
}

func (p *program) getTokens(ctx context.Context, c *client, _ string, _ *getFlags) (*listing, error) {
	answer, err := c.tokens.ListTokens(ctx, &controlv1.ListTokensRequest{})
	if err != nil {
		return nil, err
	}
	l := &listing{noun: "token", message: answer}
	for _, t := range answer.GetTokens() {
		l.names = append(l.names, t.GetId())
		l.items = append(l.items, proto.Message(t))
	}
	l.table = func(bool) *table {
		table := newTable("TOKEN", "HOST", "LABELS", "USES", "EXPIRES")
		for _, t := range answer.GetTokens() {
			expires := t.GetExpireTime().AsTime().Local().Format(time.DateTime)
			if time.Now().After(t.GetExpireTime().AsTime()) {
				expires = "expired"
			}
			table.row(t.GetId(), t.GetHost(), labelText(t.GetLabels()), fmt.Sprintf("%d/%d", t.GetUses(), t.GetMaxUses()), expires)
		}
		return table
	}
	return l, nil
}

func labelText(labels map[string]string) string {
	var all []string
	for _, key := range slices.Sorted(maps.Keys(labels)) {
		all = append(all, key+"="+labels[key])
	}
	return strings.Join(all, ",")
}
