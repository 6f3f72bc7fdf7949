package cli

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/cobra"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/timestamppb"

	controlv1 "github.com/ancora-fleet/ancora/proto/ancora/control/v1"
	typesv1 "github.com/ancora-fleet/ancora/proto/ancora/types/v1"
)

// epoch is the second 0 of the lines in these tests.
var epoch = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

type line struct {
	second int
	text   string
}

func block(t *testing.T, host string, run uint64, dropped uint64, lines ...line) received {
	t.Helper()
	var all typesv1.LogLines
	for i, l := range lines {
		all.Lines = append(all.Lines, &typesv1.LogLine{
			Sequence: uint64(i + 1), Stream: typesv1.LogStream_LOG_STREAM_STDOUT, Line: []byte(l.text),
			Time: timestamppb.New(epoch.Add(time.Duration(l.second) * time.Second)),
		})
	}
	encoded, err := proto.Marshal(&all)
	if err != nil {
		t.Fatal(err)
	}
	return received{message: &controlv1.StreamLogsResponse{Message: &controlv1.StreamLogsResponse_Block{Block: &typesv1.LogBlock{
		Host: host, Site: "demo", Application: "/", Instance: 1, Run: run, Dropped: dropped, Lines: encoded, Cursor: host + lines[len(lines)-1].text,
	}}}}
}

func hostWord(host string, state controlv1.LogHostState) received {
	return received{message: &controlv1.StreamLogsResponse{Message: &controlv1.StreamLogsResponse_Host{Host: &controlv1.LogHost{Host: host, State: state, Reason: "it has no session"}}}}
}

// output is what a reader has printed; the test looks while it goes on.
type output struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.String()
}

func (o *output) Len() int { return len(o.String()) }

func reader(o *logOptions) (r *logReader, out, errors *output) {
	out, errors = &output{}, &output{}
	p := &program{Env: Env{Out: out, Err: errors, Getenv: func(string) string { return "" }}, colorMode: "auto"}
	return newLogReader(p, o), out, errors
}

// play gives a reader a whole stream and its end.
func play(t *testing.T, r *logReader, stream ...received) error {
	t.Helper()
	messages := make(chan received, len(stream)+1)
	for _, m := range stream {
		messages <- m
	}
	messages <- received{err: io.EOF}
	if err := r.take(t.Context(), messages); !errors.Is(err, io.EOF) {
		t.Fatal(err)
	}
	if err := r.release(); err != nil {
		t.Fatal(err)
	}
	return r.over()
}

// Without -f: one stream in the order of time, and in the order of its lines within a run though a clock was set back.
func TestLogsMerged(t *testing.T) {
	r, out, notes := reader(&logOptions{tail: -1})
	err := play(t, r,
		hostWord("web1", controlv1.LogHostState_LOG_HOST_STATE_STREAMING),
		hostWord("web2", controlv1.LogHostState_LOG_HOST_STATE_STREAMING),
		block(t, "web2", 1, 0, line{2, "b2"}, line{6, "b6"}),
		block(t, "web1", 1, 312, line{1, "a1"}, line{5, "a5"}, line{3, "a3, by a clock set back"}, line{7, "a7"}),
		block(t, "web1", 2, 0, line{4, "next run \x1b[2J"}),
	)
	want := `web1 demo/1 ... 312 lines dropped
web1 demo/1 | a1
web2 demo/1 | b2
web1 demo/2 | next run \x1b[2J
web1 demo/1 | a5
web1 demo/1 | a3, by a clock set back
web2 demo/1 | b6
web1 demo/1 | a7
`
	if diff := cmp.Diff(want, out.String()); diff != "" || err != nil || notes.String() != "" {
		t.Errorf("%v %s\n%s", err, notes, diff)
	}
}

// With -f: the history is merged once the hosts are quiet, and lines that come later are printed at once.
func TestLogsHistoryThenFollow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, out, _ := reader(&logOptions{tail: -1, follow: true})
		ctx, stop := context.WithCancel(t.Context())
		messages, ended := make(chan received), make(chan error)
		go func() { ended <- r.take(ctx, messages) }()
		messages <- block(t, "web2", 1, 0, line{2, "b2"})
		time.Sleep(historyQuiet / 2)
		messages <- block(t, "web1", 1, 0, line{1, "a1"})
		time.Sleep(historyQuiet * 3 / 4)
		if out.Len() > 0 {
			t.Errorf("printed before the hosts were quiet: %s", out)
		}
		time.Sleep(historyQuiet)
		messages <- block(t, "web1", 1, 0, line{0, "late"})
		synctest.Wait()
		if want := "web1 demo/1 | a1\nweb2 demo/1 | b2\nweb1 demo/1 | late\n"; out.String() != want {
			t.Errorf("%q, want %q", out, want)
		}
		stop()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	})
}

// A host that never falls silent does not hold the others' lines back for ever.
func TestLogsHistoryHasAnEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, out, _ := reader(&logOptions{tail: -1, follow: true})
		ctx, stop := context.WithCancel(t.Context())
		messages, ended := make(chan received), make(chan error)
		go func() { ended <- r.take(ctx, messages) }()
		began := time.Now()
		for out.Len() == 0 && time.Since(began) < time.Minute {
			messages <- block(t, "web1", 1, 0, line{1, "busy"})
			time.Sleep(historyQuiet / 5)
			synctest.Wait()
		}
		if waited := time.Since(began); waited > historyLimit+historyQuiet {
			t.Errorf("held back for %v", waited)
		}
		stop()
		<-ended
	})
}

// With -f --tail 0 there is no history to wait for.
func TestLogsOnlyWhatComes(t *testing.T) {
	r, out, _ := reader(&logOptions{tail: 0, follow: true})
	if err := r.message(block(t, "web1", 3, 0, line{1, "now"}).message); err != nil || out.String() != "web1 demo/3 | now\n" {
		t.Errorf("%q %v", out, err)
	}
	request := &controlv1.StreamLogsRequest{Query: &typesv1.LogQuery{Tail: proto.Uint32(0)}}
	r.resume(request)
	if q := request.GetQuery(); q.Tail != nil || len(q.GetCursors()) != 1 || q.GetCursors()[0] != "web1now" || !q.GetSinceTime().AsTime().Equal(r.began) {
		t.Errorf("after a loss: %v", q)
	}
	r, _, _ = reader(&logOptions{tail: 0, follow: true})
	request = &controlv1.StreamLogsRequest{Query: &typesv1.LogQuery{Tail: proto.Uint32(0)}}
	r.resume(request)
	if q := request.GetQuery(); q.Tail != nil || !q.GetSinceTime().AsTime().Equal(r.began) {
		t.Errorf("after a loss before the first line: %v", q)
	}
}

func TestLogsHostsAway(t *testing.T) {
	r, _, notes := reader(&logOptions{tail: -1})
	err := play(t, r, hostWord("web1", controlv1.LogHostState_LOG_HOST_STATE_STREAMING), hostWord("web2", controlv1.LogHostState_LOG_HOST_STATE_UNREACHABLE))
	if ExitCode(err) != exitPartial || notes.String() != "-- host web2 is not reached: it has no session --\n" {
		t.Errorf("%v %q", err, notes)
	}
	r, _, _ = reader(&logOptions{tail: -1})
	if err := play(t, r, hostWord("web2", controlv1.LogHostState_LOG_HOST_STATE_UNREACHABLE)); ExitCode(err) != exitFailed {
		t.Error(err)
	}
	r, _, notes = reader(&logOptions{tail: -1})
	err = play(t, r, hostWord("web2", controlv1.LogHostState_LOG_HOST_STATE_UNREACHABLE), hostWord("web2", controlv1.LogHostState_LOG_HOST_STATE_STREAMING))
	if err != nil || !strings.HasSuffix(notes.String(), "-- host web2 is back --\n") {
		t.Errorf("%v %q", err, notes)
	}
	r, out, notes := reader(&logOptions{tail: -1, host: "web1"})
	err = play(t, r, hostWord("web2", controlv1.LogHostState_LOG_HOST_STATE_UNREACHABLE), block(t, "web2", 1, 0, line{1, "x"}), block(t, "web1", 1, 0, line{1, "y"}))
	if err != nil || notes.Len() > 0 || out.String() != "web1 demo/1 | y\n" {
		t.Errorf("%v %q %q", err, out, notes)
	}
}

func TestLogsFormats(t *testing.T) {
	for format, want := range map[string]string{
		"raw":      "x\x1b\n", // not to a terminal: the very bytes
		formatJSON: `{"application":"/","dropped":2,"host":"web1","instance":1,"line":"x\u001b","run":1,"sequence":1,"site":"demo","stream":"stdout","time":"2026-01-02T03:04:06Z"}` + "\n",
	} {
		r, out, notes := reader(&logOptions{tail: -1, format: format})
		if err := play(t, r, block(t, "web1", 1, 2, line{1, "x\x1b"})); err != nil || out.String() != want {
			t.Errorf("%s: %q, want %q", format, out, want)
		}
		if format == "raw" && notes.String() != "web1 demo/1 ... 2 lines dropped\n" {
			t.Errorf("raw: %q", notes)
		}
	}
	r, out, _ := reader(&logOptions{tail: -1, timestamps: true})
	if err := play(t, r, block(t, "web1", 1, 0, line{1, "x"})); err != nil || !strings.HasPrefix(out.String(), epoch.Add(time.Second).Local().Format("2006-01-02T15:04:05.000")) {
		t.Errorf("timestamps: %q", out)
	}
	r, out, _ = reader(&logOptions{tail: -1})
	r.colorMode = "always"
	if err := play(t, r, block(t, "web1", 1, 0, line{1, "x\x1b[0m"})); err != nil || !strings.Contains(out.String(), ansiReset+`x\x1b[0m`) {
		t.Errorf("colour: %q", out)
	}
}

func TestLogsRequest(t *testing.T) {
	o := &logOptions{follow: true, since: time.Minute, tail: 3, hosts: "role=web", application: "/api", instance: 2, streams: []string{"stderr", "event"}}
	got, err := o.request("shop", epoch)
	if err != nil {
		t.Fatal(err)
	}
	want := &controlv1.StreamLogsRequest{Hosts: &typesv1.Selector{Expression: "role=web"}, Query: &typesv1.LogQuery{
		Site: "shop", Application: "/api", Instance: 2, Follow: true, SinceTime: timestamppb.New(epoch.Add(-time.Minute)), Tail: proto.Uint32(3),
		Streams: []typesv1.LogStream{typesv1.LogStream_LOG_STREAM_STDERR, typesv1.LogStream_LOG_STREAM_EVENT},
	}}
	if diff := cmp.Diff(want, got, protocmp.Transform()); diff != "" {
		t.Error(diff)
	}
	if _, err := (&logOptions{since: -time.Second}).request("shop", epoch); ExitCode(err) != exitUsage {
		t.Error(err)
	}
}

// --previous may stand alone, with = and with a space.
func TestLogsPrevious(t *testing.T) {
	for args, want := range map[string]uint32{"shop --previous": 1, "shop --previous=3": 3, "shop --previous 2": 2, "--previous 2 shop": 2, "shop": 0} {
		var got logOptions
		var site string
		p := &program{Env: Env{Getenv: func(string) string { return "" }}}
		c := p.logsCommand()
		run := c.RunE
		c.RunE = func(cmd *cobra.Command, args []string) error {
			site = args[0]
			n, err := cmd.Flags().GetUint32("previous")
			got.previous = n
			return errors.Join(err, ignoreUsage(run(cmd, args)))
		}
		c.SetArgs(strings.Fields(args))
		if err := c.ExecuteContext(t.Context()); err != nil || got.previous != want || site != "shop" {
			t.Errorf("%s: %d of %q, %v; want %d", args, got.previous, site, err, want)
		}
	}
}

// ignoreUsage drops that there is no controller.
func ignoreUsage(err error) error {
	if ExitCode(err) == exitUsage {
		return nil
	}
	return err
}
