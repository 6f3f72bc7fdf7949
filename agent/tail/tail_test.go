package tail_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	"github.com/ancora-fleet/ancora/agent/scripted"
	"github.com/ancora-fleet/ancora/agent/tail"
	"github.com/ancora-fleet/ancora/dataplane/capture"
	"github.com/ancora-fleet/ancora/dataplane/journal"
	agentv1 "github.com/ancora-fleet/ancora/proto/ancora/agent/v1"
	typesv1 "github.com/ancora-fleet/ancora/proto/ancora/types/v1"
	"github.com/ancora-fleet/ancora/proto/transport"
)

// lab is a host's captures, and a controller that asks for lines.
type lab struct {
	*testing.T
	root       string
	journal    *journal.Journal
	controller *scripted.Controller
	wishes     chan *agentv1.LogSubscription
}

func newLab(t *testing.T) *lab {
	l := &lab{T: t, root: t.TempDir(), controller: scripted.New(t), wishes: make(chan *agentv1.LogSubscription)}
	var err error
	if l.journal, err = journal.Open(l.root, nil); err != nil {
		t.Fatal(err)
	}
	config := l.controller.Host(t, "web1")
	dial := func() (*grpc.ClientConn, error) {
		return grpc.NewClient("passthrough:///"+l.controller.Address, transport.DialOptions(config)...)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		tail.New(l.journal, nil).Run(ctx, dial, l.wishes)
	}()
	t.Cleanup(func() {
		cancel()
		select {
		case <-ended:
		case <-time.After(scripted.Patience):
			t.Error("it does not end with its context")
		}
	})
	return l
}

func (l *lab) ask(w *agentv1.LogSubscription) {
	l.Helper()
	select {
	case l.wishes <- w:
	case <-time.After(scripted.Patience):
		l.Fatal("wishes are not taken")
	}
}

// run opens a run for writing.
func (l *lab) run(site string) (*capture.Writer, uint64) {
	l.Helper()
	n, err := l.journal.NextRun(site, "/")
	if err != nil {
		l.Fatal(err)
	}
	w, err := capture.OpenWriter(capture.RunDir(l.root, site, "/", n))
	if err != nil {
		l.Fatal(err)
	}
	l.Cleanup(func() { w.Close() })
	return w, n
}

func (l *lab) write(w *capture.Writer, text string) {
	l.Helper()
	if err := w.Append(capture.Stdout, []byte(text)); err != nil {
		l.Fatal(err)
	}
}

func (l *lab) recv(from *scripted.Lines) *agentv1.PublishLogsRequest {
	l.Helper()
	m, err := from.Recv()
	if err != nil {
		l.Fatal(err)
	}
	return m
}

// opened waits for the message that opens a subscription.
func (l *lab) opened(from *scripted.Lines, id string) {
	l.Helper()
	m := l.recv(from)
	if want := (&agentv1.PublishLogsRequest{SubscriptionId: id}); !proto.Equal(want, m) {
		l.Fatalf("%v does not open %s", m, id)
	}
}

// closed waits until the agent closes the stream.
func (l *lab) closed(from *scripted.Lines) {
	l.Helper()
	if m, err := from.Recv(); !errors.Is(err, io.EOF) {
		l.Fatalf("not closed: %v %v", m, err)
	}
}

func lines(t *testing.T, b *typesv1.LogBlock) []*typesv1.LogLine {
	t.Helper()
	var all typesv1.LogLines
	if err := proto.Unmarshal(b.GetLines(), &all); err != nil {
		t.Fatal(err)
	}
	return all.GetLines()
}

// text reads blocks to the end of what was asked for; every block must say of itself what is in it.
func (l *lab) text(from *scripted.Lines, id string) (all []string) {
	l.Helper()
	for {
		m := l.recv(from)
		if m.GetSubscriptionId() != id || m.GetError() != "" {
			l.Fatalf("%v", m)
		}
		if m.GetEnd() {
			return all
		}
		b := m.GetBlock()
		in := lines(l.T, b)
		if len(in) == 0 || int(b.GetCount()) != len(in) || b.GetFirstSequence() != in[0].GetSequence() ||
			!proto.Equal(b.GetFirstTime(), in[0].GetTime()) || b.GetCursor() != in[len(in)-1].GetCursor() || b.GetCursor() == "" {
			l.Errorf("a block of run %d says count %d, sequence %d, but has %d lines", b.GetRun(), b.GetCount(), b.GetFirstSequence(), len(in))
		}
		for i, line := range in {
			if line.GetSequence() != b.GetFirstSequence()+uint64(i) {
				l.Errorf("sequence %d at place %d behind %d", line.GetSequence(), i, b.GetFirstSequence())
			}
			all = append(all, string(line.GetLine()))
		}
	}
}

// History comes whole and in order, in blocks of one run each, then its end, and the connection goes.
func TestHistory(t *testing.T) {
	l := newLab(t)
	var want []string
	for r := range 2 {
		w, _ := l.run("shop")
		for n := range 1500 {
			line := fmt.Sprintf("run %d line %d %s", r+1, n, strings.Repeat("x", n%70))
			want = append(want, line)
			l.write(w, line+"\n")
		}
		if err := w.End(); err != nil {
			t.Fatal(err)
		}
	}
	l.ask(&agentv1.LogSubscription{SubscriptionId: "a", Query: &typesv1.LogQuery{Site: "shop"}})
	from := l.controller.Lines(t)
	l.opened(from, "a")
	from.Grant(t, "a", 1<<30)
	if got := strings.Join(l.text(from, "a"), "\n"); got != strings.Join(want, "\n") {
		t.Errorf("%d bytes of %d", len(got), len(strings.Join(want, "\n")))
	}
	l.closed(from)
}

// The query is passed on: application, stream, tail, cursors.
func TestQuery(t *testing.T) {
	l := newLab(t)
	w, _ := l.run("shop")
	l.write(w, "one\ntwo\nthree\n")
	if err := w.Append(capture.Stderr, []byte("bad\n")); err != nil {
		t.Fatal(err)
	}
	if err := w.End(); err != nil {
		t.Fatal(err)
	}
	var cursor string
	for e, err := range l.journal.Read(t.Context(), journal.Query{Site: "shop"}) {
		if err != nil {
			t.Fatal(err)
		}
		if string(e.Line) == "two" {
			cursor = e.Cursor
		}
	}
	for name, c := range map[string]struct {
		q    *typesv1.LogQuery
		want string
	}{
		"all":         {&typesv1.LogQuery{Site: "shop"}, "one two three bad"},
		"tail":        {&typesv1.LogQuery{Site: "shop", Tail: proto.Uint32(2)}, "three bad"},
		"tail 0":      {&typesv1.LogQuery{Site: "shop", Tail: proto.Uint32(0)}, ""},
		"stream":      {&typesv1.LogQuery{Site: "shop", Streams: []typesv1.LogStream{typesv1.LogStream_LOG_STREAM_STDERR}}, "bad"},
		"cursor":      {&typesv1.LogQuery{Site: "shop", Cursors: []string{cursor}}, "three bad"},
		"application": {&typesv1.LogQuery{Site: "shop", Application: "/api"}, ""},
		"no site":     {&typesv1.LogQuery{Site: "blog"}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			l.ask(&agentv1.LogSubscription{SubscriptionId: "q " + name, Query: c.q})
			from := l.controller.Lines(t)
			l.opened(from, "q "+name)
			from.Grant(t, "q "+name, 1<<20)
			if got := strings.Join(l.text(from, "q "+name), " "); got != c.want {
				t.Errorf("%q, not %q", got, c.want)
			}
			l.closed(from)
		})
	}
}

// Blocks are sent only while there is credit: the one that uses it up is the last until more is given. One who reads
// slowly holds up nobody else.
func TestCredit(t *testing.T) {
	l := newLab(t)
	w, _ := l.run("shop")
	for n := range 2000 {
		l.write(w, fmt.Sprintf("line %d %s\n", n, strings.Repeat("x", 100)))
	}
	if err := w.End(); err != nil {
		t.Fatal(err)
	}
	l.ask(&agentv1.LogSubscription{SubscriptionId: "slow", Query: &typesv1.LogQuery{Site: "shop"}})
	from := l.controller.Lines(t)
	l.opened(from, "slow")
	got, granted, used, waited := 0, int64(0), int64(0), 0
	for got < 2000 {
		from.Grant(t, "slow", 20<<10)
		granted += 20 << 10
		for used < granted && got < 2000 {
			b := l.recv(from).GetBlock()
			used += int64(proto.Size(b))
			got += int(b.GetCount())
		}
		if used > granted+16<<10 {
			t.Errorf("%d bytes within a credit of %d", used, granted)
		}
		if got < 2000 { // credit is used up: the next words are of one who asks now
			waited++
			id := fmt.Sprintf("quick %d", got)
			l.ask(&agentv1.LogSubscription{SubscriptionId: id, Query: &typesv1.LogQuery{Site: "shop", Tail: proto.Uint32(1)}})
			l.opened(from, id)
			from.Grant(t, id, 1<<20)
			if text := l.text(from, id); len(text) != 1 || !strings.HasPrefix(text[0], "line 1999 ") {
				t.Fatalf("%q", text)
			}
		}
	}
	if waited < 3 {
		t.Errorf("all came with %d grants", waited+1)
	}
	if m := l.recv(from); !m.GetEnd() {
		t.Errorf("%v", m)
	}
	l.closed(from)
}

// Followed lines come as they are written; the wish, or the controller's stream, ends it.
func TestFollow(t *testing.T) {
	for _, by := range []string{"wish", "stream"} {
		t.Run(by, func(t *testing.T) {
			l := newLab(t)
			w, run := l.run("shop")
			l.write(w, "before\n")
			l.ask(&agentv1.LogSubscription{SubscriptionId: "f", Query: &typesv1.LogQuery{Site: "shop", Follow: true}})
			l.ask(&agentv1.LogSubscription{SubscriptionId: "f", Query: &typesv1.LogQuery{Site: "shop"}}) // said twice
			from := l.controller.Lines(t)
			l.opened(from, "f")
			from.Grant(t, "f", 1<<20)
			for n, want := range []string{"before", "one", "two"} {
				if n > 0 {
					l.write(w, want+"\n")
				}
				b := l.recv(from).GetBlock()
				if in := lines(t, b); len(in) != 1 || string(in[0].GetLine()) != want || b.GetRun() != run || b.GetFirstSequence() != uint64(n+1) {
					t.Fatalf("%v, not %s", in, want)
				}
			}
			if by == "wish" {
				l.ask(&agentv1.LogSubscription{SubscriptionId: "f", Cancel: true})
			} else {
				from.Cancel(t, "f")
			}
			l.closed(from)
		})
	}
}

// A connection for lines that breaks takes its questions with it; the next question opens another.
func TestBroken(t *testing.T) {
	l := newLab(t)
	w, _ := l.run("shop")
	l.write(w, "hello\n")
	l.ask(&agentv1.LogSubscription{SubscriptionId: "a", Query: &typesv1.LogQuery{Site: "shop", Follow: true}})
	from := l.controller.Lines(t)
	l.opened(from, "a")
	from.End(errors.New("broken"))
	deadline := time.After(scripted.Patience)
	for l.controller.Connections() > 0 {
		select {
		case <-deadline:
			t.Fatal("the connection stays open")
		case <-time.After(2 * time.Millisecond):
		}
	}
	l.ask(&agentv1.LogSubscription{SubscriptionId: "b", Query: &typesv1.LogQuery{Site: "shop"}})
	from = l.controller.Lines(t)
	l.opened(from, "b")
	from.Grant(t, "b", 1<<20)
	if got := l.text(from, "b"); len(got) != 1 || got[0] != "hello" {
		t.Errorf("%q", got)
	}
	l.closed(from)
}

// Lines that were drained or deleted unread are told as dropped.
func TestDropped(t *testing.T) {
	l := newLab(t)
	w, run := l.run("shop")
	l.write(w, "one\n")
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	// As the keeper notes what a full disk did not take.
	dir := capture.RunDir(l.root, "shop", "/", run)
	marks, err := os.OpenFile(filepath.Join(dir, capture.MarksFile), os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		t.Fatal(err)
	}
	_, err = marks.Write(capture.AppendMark(nil, capture.Mark{Number: 2, Stream: capture.Stdout, Kind: capture.Lost, Offset: 1000, Time: time.Now()}))
	if err := errors.Join(err, marks.Close()); err != nil {
		t.Fatal(err)
	}
	if w, err = capture.OpenWriter(dir); err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	l.write(w, "two\n")
	l.ask(&agentv1.LogSubscription{SubscriptionId: "a", Query: &typesv1.LogQuery{Site: "shop"}})
	from := l.controller.Lines(t)
	l.opened(from, "a")
	from.Grant(t, "a", 1<<20)
	var said []string
	for {
		m := l.recv(from)
		if m.GetEnd() {
			break
		}
		said = append(said, fmt.Sprintf("%d dropped, %d lines", m.GetBlock().GetDropped(), m.GetBlock().GetCount()))
	}
	l.closed(from)
	if got := strings.Join(said, "; "); got != "0 dropped, 1 lines; 1 dropped, 1 lines" {
		t.Error(got)
	}
}

// A controller that grants much and then reads nothing does not hold up the end of the session. The lab sees that Run ends.
func TestStuck(t *testing.T) {
	l := newLab(t)
	w, _ := l.run("shop")
	for range 100 {
		l.write(w, strings.Repeat("x", 20<<10)+"\n")
	}
	l.ask(&agentv1.LogSubscription{SubscriptionId: "a", Query: &typesv1.LogQuery{Site: "shop"}})
	from := l.controller.Lines(t)
	l.opened(from, "a")
	from.Grant(t, "a", 1<<30)
	l.recv(from) // lines are on their way
}
