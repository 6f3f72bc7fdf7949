package cli

import (
	"context"
	"errors"
	"io"
	"strconv"
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
  ancora logs shop --stream access -f        # a line for each request, where the site asks for them (accessLog)
  ancora logs shop --previous                # what the last run that ended had to say`,
		Args: o.arguments, ValidArgsFunction: one(p.completeSites),
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
	f.StringSliceVar(&o.streams, "stream", nil, "stdout, stderr, event (what the agent saw happen) or access (of the whole site); default stdout and stderr")
	f.Uint32Var(&o.previous, "previous", 0, "only the last `n` runs that have ended; alone: the last one")
	f.Lookup("previous").NoOptDefVal = "1"
	f.BoolVar(&o.timestamps, "timestamps", false, "begin lines with the time of their capture")
	choiceFlag(c, &o.format, "output", "o", "default", []string{"default", "raw", formatJSON}, "how to print: with host and run, the line alone, or one JSON object a line")
	_ = c.RegisterFlagCompletionFunc("host", p.completeHosts)
	return c
}

// arguments takes the site, and the number behind --previous: a flag that may stand alone leaves it to the arguments when
// it comes behind a space.
func (o *logOptions) arguments(cmd *cobra.Command, args []string) error {
	if len(args) == 2 && cmd.Flags().Changed("previous") {
		for i, arg := range args {
			if n, err := strconv.ParseUint(arg, 10, 32); err == nil {
				o.previous = uint32(n)
				args[0] = args[1-i]
				return nil
			}
		}
	}
	return cobra.ExactArgs(1)(cmd, args)
}

func (o *logOptions) request(site string, now time.Time) (*controlv1.StreamLogsRequest, error) {
	q := &typesv1.LogQuery{Site: site, Application: o.application, Instance: o.instance, Follow: o.follow, Previous: o.previous}
	for _, name := range o.streams {
		value, known := typesv1.LogStream_value["LOG_STREAM_"+strings.ToUpper(name)]
		if !known || value == 0 {
			return nil, usagef("--stream %q: stdout, stderr, event or access", name)
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
	if o.host != "" {
		if _, err := c.hosts.GetHost(ctx, &controlv1.GetHostRequest{Name: o.host}); err != nil {
			return err
		}
	}
	r := newLogReader(p, o)
	for {
		err := r.read(ctx, c, request)
		if printed := r.release(); printed != nil {
			return printed
		}
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
