package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	controlv1 "github.com/ancora-fleet/ancora/proto/ancora/control/v1"
	typesv1 "github.com/ancora-fleet/ancora/proto/ancora/types/v1"
)

type logOptions struct {
	follow      bool
	since       time.Duration
	tail        int
	hosts, host string
	application string
	instance    uint32
	streams     []string
	previous    uint32
	format      string
	timestamps  bool
}

func (p *program) logsCommand() *cobra.Command {
	var o logOptions
	c := &cobra.Command{
		Use:   "logs SITE",
		Short: "Print what a site's applications wrote, on all its hosts in one stream",
		Example: `  ancora logs shop -f
  ancora logs shop --since 15m --host web2 --stream stderr
  ancora logs shop --stream event --tail 20
  ancora logs shop --previous 1              # what the last run that ended had to say`,
		Args: cobra.ExactArgs(1), ValidArgsFunction: one(p.completeSites),
		RunE: func(cmd *cobra.Command, args []string) error { return p.logs(cmd.Context(), args[0], &o) },
	}
	f := c.Flags()
	f.BoolVarP(&o.follow, "follow", "f", false, "go on with lines as they come")
	f.DurationVar(&o.since, "since", 0, "only lines of the last `time`, for example 15m")
	f.IntVar(&o.tail, "tail", -1, "only the last `n` lines of each host's application; 0 with -f: only what comes")
	f.StringVar(&o.hosts, "hosts", "", "only hosts with these `labels`")
	f.StringVar(&o.host, "host", "", "only this host")
	f.StringVar(&o.application, "application", "", "only the application at this `path`")
	f.Uint32Var(&o.instance, "instance", 0, "only this instance of the application")
	f.StringSliceVar(&o.streams, "stream", nil, "stdout, stderr or event (what the agent saw happen); default stdout and stderr")
	f.Uint32Var(&o.previous, "previous", 0, "only the last `n` runs that have ended")
	f.BoolVar(&o.timestamps, "timestamps", false, "begin lines with the time of their capture")
	choiceFlag(c, &o.format, "output", "o", "default", []string{"default", "raw", formatJSON}, "how to print: with host and run, the line alone, or one JSON object a line")
	_ = c.RegisterFlagCompletionFunc("host", p.completeHosts)
	return c
}

func (o *logOptions) request(site string, now time.Time) (*controlv1.StreamLogsRequest, error) {
	q := &typesv1.LogQuery{Site: site, Application: o.application, Instance: o.instance, Follow: o.follow, Previous: o.previous}
	for _, name := range o.streams {
		value, known := typesv1.LogStream_value["LOG_STREAM_"+strings.ToUpper(name)]
		if !known || value == 0 {
			return nil, usagef("--stream %q: stdout, stderr or event", name)
		}
		q.Streams = append(q.Streams, typesv1.LogStream(value))
	}
	if o.since < 0 {
		return nil, usagef("--since %v is not past", o.since)
	}
	if o.since > 0 {
		q.SinceTime = timestamppb.New(now.Add(-o.since))
	}
	if o.tail >= 0 {
		q.Tail = proto.Uint32(uint32(o.tail))
	}
	if o.previous > 0 && o.follow {
		return nil, usagef("--previous is about runs that have ended: nothing more comes of them, so -f has no meaning")
	}
	among, err := selectorOf("--hosts", o.hosts)
	if err != nil {
		return nil, err
	}
	return &controlv1.StreamLogsRequest{Query: q, Hosts: among}, nil
}

func (p *program) logs(ctx context.Context, site string, o *logOptions) error {
	request, err := o.request(site, time.Now())
	if err != nil {
		return err
	}
	c, err := p.connect()
	if err != nil {
		return err
	}
	if o.hosts != "" {
		if _, err := c.hostNames(ctx, o.hosts); err != nil {
			return err
		}
	}
	r := &logReader{program: p, options: o, cursors: map[string]string{}, away: map[string]bool{}}
	for {
		err := r.read(ctx, c, request)
		switch {
		case ctx.Err() != nil:
			return nil // Ctrl-C is how one stops to follow
		case errors.Is(err, io.EOF):
			return r.over()
		case !o.follow || !isUnavailable(err):
			return err
		}
		p.note("-- %s; trying again --", errorText(err))
		select {
		case <-time.After(again):
		case <-ctx.Done():
			return nil
		}
		r.resume(request)
	}
}

// logReader prints one stream of lines; without -f in the order of their times, else as they come.
type logReader struct {
	*program
	options *logOptions
	// cursors are the places reached, of each application of each host.
	cursors map[string]string
	away    map[string]bool
	held    []logLine
	hosts   int
}

type logLine struct {
	host, site, application string
	instance                uint32
	run                     uint64
	dropped                 uint64
	*typesv1.LogLine
}

func (r *logReader) read(ctx context.Context, c *client, request *controlv1.StreamLogsRequest) error {
	stream, err := c.logs.StreamLogs(ctx, request)
	if err != nil {
		return err
	}
	for {
		m, err := stream.Recv()
		if err != nil {
			return err
		}
		if h := m.GetHost(); h != nil {
			r.host(h)
			continue
		}
		if err := r.block(m.GetBlock()); err != nil {
			return err
		}
	}
}

// resume asks for what comes behind the last line of each host.
func (r *logReader) resume(request *controlv1.StreamLogsRequest) {
	if len(r.cursors) == 0 {
		return
	}
	request.Query.Cursors, request.Query.Tail = nil, nil
	for _, cursor := range r.cursors {
		request.Query.Cursors = append(request.Query.Cursors, cursor)
	}
}

func (r *logReader) host(h *controlv1.LogHost) {
	if r.options.host != "" && r.options.host != h.GetHost() {
		return
	}
	switch h.GetState() {
	case controlv1.LogHostState_LOG_HOST_STATE_UNREACHABLE:
		r.away[h.GetHost()] = true
		r.note("-- host %s is not reached: %s --", h.GetHost(), h.GetReason())
	case controlv1.LogHostState_LOG_HOST_STATE_STREAMING:
		if r.away[h.GetHost()] {
			r.note("-- host %s is back --", h.GetHost())
		}
		delete(r.away, h.GetHost())
		r.hosts++
	}
}

func (r *logReader) block(b *typesv1.LogBlock) error {
	if r.options.host != "" && r.options.host != b.GetHost() {
		return nil
	}
	var lines typesv1.LogLines
	if err := proto.Unmarshal(b.GetLines(), &lines); err != nil {
		return fmt.Errorf("lines of host %s: %w", b.GetHost(), err)
	}
	for i, l := range lines.GetLines() {
		line := logLine{b.GetHost(), b.GetSite(), b.GetApplication(), b.GetInstance(), b.GetRun(), 0, l}
		if i == 0 {
			line.dropped = b.GetDropped()
		}
		if !r.options.follow {
			r.held = append(r.held, line)
			continue
		}
		if err := r.print(line); err != nil {
			return err
		}
	}
	r.cursors[b.GetHost()+" "+b.GetApplication()] = b.GetCursor()
	return nil
}

// over prints what was held back, merged by time; lines of one run stay in their order.
func (r *logReader) over() error {
	slices.SortStableFunc(r.held, func(a, b logLine) int {
		if a.host == b.host && a.application == b.application && a.run == b.run {
			return 0
		}
		return a.GetTime().AsTime().Compare(b.GetTime().AsTime())
	})
	for _, l := range r.held {
		if err := r.print(l); err != nil {
			return err
		}
	}
	switch {
	case len(r.away) == 0:
		return nil
	case r.hosts == 0:
		return said(exitFailed)
	}
	return said(exitPartial)
}

func (r *logReader) print(l logLine) error {
	if l.dropped > 0 {
		r.note("-- host %s: %s dropped --", l.host, plural(int(l.dropped), "line"))
	}
	var err error
	switch r.options.format {
	case "raw":
		line := string(l.GetLine())
		if isTerminal(r.Out) {
			line = escapeLine(line)
		}
		_, err = fmt.Fprintln(r.Out, line)
	case formatJSON:
		err = r.json(l)
	default:
		_, err = fmt.Fprintln(r.Out, r.prefix(l)+escapeLine(string(l.GetLine())))
	}
	return err
}

func (r *logReader) prefix(l logLine) string {
	prefix := fmt.Sprintf("%s %s%s/%d | ", l.host, l.site, strings.TrimSuffix(l.application, "/"), l.run)
	if r.options.timestamps {
		prefix = l.GetTime().AsTime().Local().Format("2006-01-02T15:04:05.000Z07:00") + " " + prefix
	}
	if r.color(r.Out) {
		colors := []string{"\x1b[36m", "\x1b[33m", "\x1b[35m", "\x1b[32m", "\x1b[34m"}
		sum := 0
		for _, b := range []byte(l.host) {
			sum += int(b)
		}
		prefix = colors[sum%len(colors)] + escapeLine(prefix) + ansiReset
		return prefix
	}
	return escapeLine(prefix)
}

// json is one object a line; bytes that are no UTF-8 come out as the replacement character.
func (r *logReader) json(l logLine) error {
	text, err := json.Marshal(map[string]any{
		"time": l.GetTime().AsTime().Format(time.RFC3339Nano), "host": l.host, "site": l.site, "application": l.application,
		"instance": l.instance, "run": l.run, "sequence": l.GetSequence(), "dropped": l.dropped,
		"stream": strings.ToLower(strings.TrimPrefix(l.GetStream().String(), "LOG_STREAM_")), "line": string(l.GetLine()),
	})
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(r.Out, escapeJSON(string(text)))
	return err
}
