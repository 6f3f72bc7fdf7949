package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/proto"

	"github.com/ancora-fleet/ancora/dataplane/sitefile"
	"github.com/ancora-fleet/ancora/dataplane/wire"
	controlv1 "github.com/ancora-fleet/ancora/proto/ancora/control/v1"
	typesv1 "github.com/ancora-fleet/ancora/proto/ancora/types/v1"
)

// eventsShown is how many events of each host's application describe shows; eventsLimit how long it waits for them.
const (
	eventsShown = 5
	eventsLimit = 3 * time.Second
)

func (p *program) describeCommand() *cobra.Command {
	c := &cobra.Command{Use: "describe NOUN NAME", Short: "Everything about one site or host", Args: cobra.ArbitraryArgs, RunE: helpOrUnknown}
	c.AddCommand(p.describeSiteCommand(), &cobra.Command{
		Use: "host NAME", Short: "A host: its session, listeners and sites", Args: cobra.ExactArgs(1), ValidArgsFunction: one(p.completeHosts),
		RunE: func(cmd *cobra.Command, args []string) error { return p.describeHost(cmd.Context(), args[0]) },
	})
	return c
}

func (p *program) describeSiteCommand() *cobra.Command {
	var host string
	c := &cobra.Command{
		Use: "site NAME", Short: "A site: its file, where it stands on each host, what happened to it", Args: cobra.ExactArgs(1), ValidArgsFunction: one(p.completeSites),
		RunE: func(cmd *cobra.Command, args []string) error { return p.describeSite(cmd.Context(), args[0], host) },
	}
	c.Flags().StringVar(&host, "host", "", "only this host")
	_ = c.RegisterFlagCompletionFunc("host", p.completeHosts)
	return c
}

func (p *program) describeSite(ctx context.Context, name, host string) error {
	c, err := p.connect()
	if err != nil {
		return err
	}
	stream, err := c.sites.WatchSiteStatus(ctx, &controlv1.WatchSiteStatusRequest{Name: name})
	if err != nil {
		return err
	}
	m, err := stream.Recv()
	if err != nil {
		return err
	}
	isHost := func(h *controlv1.PlacedHost) bool { return h.GetHost() == host }
	if host != "" && !slices.ContainsFunc(m.GetHosts(), isHost) {
		return notFoundf("site %q is not placed on host %q", name, host)
	}
	instances, err := c.instances.ListInstances(ctx, &controlv1.ListInstancesRequest{Site: name})
	if err != nil {
		return err
	}
	s := m.GetSite()
	p.say("site %s, revision %d, changed %s", s.GetName(), s.GetRevision(), ago(s.GetUpdateTime().AsTime()))
	model, err := wire.Site(s)
	if err != nil {
		return err
	}
	p.say("")
	for line := range strings.Lines(string(sitefile.Format(model))) {
		p.say("  %s", strings.TrimSuffix(line, "\n"))
	}
	p.say("")
	if len(m.GetHosts()) == 0 {
		p.say("its placement matches no host")
	}
	for _, h := range m.GetHosts() {
		if host == "" || host == h.GetHost() {
			p.describePlaced(h, m.GetDigest(), instances.GetInstances())
		}
	}
	p.describeEvents(ctx, c, name, host)
	return nil
}

// warningPrefix begins the notes of a host that are warnings.
const warningPrefix = "WARNING: "

// describePlaced is where a site stands on one host.
func (p *program) describePlaced(h *controlv1.PlacedHost, digest []byte, instances []*typesv1.InstanceStatus) {
	o, text := judge(h, digest)
	if s := h.GetStatus(); (o != outcomeBad || s.GetServingRevision() == s.GetRevision()) && h.GetState() == typesv1.HostState_HOST_STATE_CONNECTED && s.GetServingRevision() > 0 {
		text += fmt.Sprintf("  (revision %d answers)", s.GetServingRevision())
	}
	p.say("%s  %s", h.GetHost(), text)
	if held := h.GetStatus().GetOffline(); len(held) > 0 {
		p.say("  offline, held by %s", strings.Join(held, ", "))
	}
	for _, note := range h.GetStatus().GetNotes() {
		if strings.HasPrefix(note, warningPrefix) {
			p.say("  %s", note)
			continue
		}
		p.say("  note: %s", note)
	}
	for _, i := range instances {
		if i.GetHost() == h.GetHost() {
			p.describeInstance(i)
		}
	}
}

func (p *program) describeInstance(i *typesv1.InstanceStatus) {
	text := fmt.Sprintf("  %s instance %d run %d: %s", i.GetApplication(), i.GetInstance(), i.GetRun(), instanceState(i.GetState()))
	if pid := pidText(i); pid != "" {
		text += fmt.Sprintf(", pid %s, port %d", pid, i.GetPort())
	}
	if n := i.GetRecentFailures(); n > 0 {
		text += fmt.Sprintf(", %s this minute", plural(int(n), "failure"))
	}
	if i.GetMessage() != "" {
		text += ", " + firstLine(i.GetMessage())
	}
	p.say("%s", text)
	if r := i.GetLastRecycle(); r != nil {
		what := "recycled"
		if r.GetReason() == "idle" {
			what = "stopped"
		}
		p.say("    %s %s, %s: %s", what, ago(r.GetTime().AsTime()), r.GetReason(), firstLine(r.GetMessage()))
	}
	if e := i.GetLastExit(); e != nil {
		p.say("    run %d ended by %s", e.GetRun(), exitText(e))
		for _, line := range e.GetLastOutput() {
			p.say("    | %s", line)
		}
	}
}

// describeEvents shows what the agents saw happen; hosts that do not answer soon are left out.
func (p *program) describeEvents(ctx context.Context, c *client, name, host string) {
	ctx, cancel := context.WithTimeout(ctx, eventsLimit)
	defer cancel()
	stream, err := c.logs.StreamLogs(ctx, &controlv1.StreamLogsRequest{Query: &typesv1.LogQuery{
		Site: name, Streams: []typesv1.LogStream{typesv1.LogStream_LOG_STREAM_EVENT}, Tail: proto.Uint32(eventsShown),
	}})
	var events []logLine
	for err == nil {
		var m *controlv1.StreamLogsResponse
		if m, err = stream.Recv(); err != nil {
			break
		}
		b := m.GetBlock()
		var lines typesv1.LogLines
		if b == nil || host != "" && host != b.GetHost() || proto.Unmarshal(b.GetLines(), &lines) != nil {
			continue
		}
		for _, l := range lines.GetLines() {
			events = append(events, logLine{logPlace: placeOf(b), LogLine: l})
		}
	}
	if len(events) > 0 {
		p.say("")
		p.say("events")
	}
	slices.SortStableFunc(events, func(a, b logLine) int { return a.GetTime().AsTime().Compare(b.GetTime().AsTime()) })
	for _, e := range events {
		p.say("  %s  %s  %s", e.GetTime().AsTime().Local().Format(time.TimeOnly), e.host, e.GetLine())
	}
	if !errors.Is(err, io.EOF) {
		p.note("events: %s", errorText(err))
	}
}

func (p *program) describeHost(ctx context.Context, name string) error {
	c, err := p.connect()
	if err != nil {
		return err
	}
	answer, err := c.hosts.GetHost(ctx, &controlv1.GetHostRequest{Name: name})
	if err != nil {
		return err
	}
	h := answer.GetHost()
	f := h.GetFacts()
	p.say("host %s, %s, last seen %s", h.GetName(), hostState(h.GetState()), cmp.Or(ago(h.GetLastSeenTime().AsTime()), "never"))
	if h.GetRefusal() != "" {
		p.say("  refuses this controller's manifests: %s", h.GetRefusal())
	}
	p.say("  labels      %s", cmp.Or(labelText(h.GetLabels()), "none"))
	p.say("  agent       %s, generation %d", cmp.Or(h.GetAgentVersion(), "not seen"), h.GetGeneration())
	if f != nil {
		p.say("  machine     %s, %s, %s, %s, %s", f.GetOs(), f.GetArch(), f.GetKernel(), plural(int(f.GetCpus()), "CPU"), bytesText(f.GetMemoryBytes()))
	}
	for _, l := range f.GetListeners() {
		p.say("  listener    %s %s", l.GetName(), cmp.Or(l.GetAddress(), "not bound: "+l.GetError()))
	}
	instances, err := c.instances.ListInstances(ctx, &controlv1.ListInstancesRequest{})
	if err != nil {
		return err
	}
	for _, s := range answer.GetSites() {
		text := fmt.Sprintf("  site        %s %s", s.GetSite(), phaseName(s.GetPhase()))
		if s.GetReason() != "" {
			text += "  " + firstLine(s.GetReason())
		}
		p.say("%s", text)
		for _, i := range instances.GetInstances() {
			if i.GetHost() == name && i.GetSite() == s.GetSite() {
				p.describeInstance(i)
			}
		}
	}
	return nil
}
