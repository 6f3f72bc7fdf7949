package session_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/ancora-fleet/ancora/agent/report"
	"github.com/ancora-fleet/ancora/agent/scripted"
	"github.com/ancora-fleet/ancora/agent/session"
	"github.com/ancora-fleet/ancora/agent/tail"
	"github.com/ancora-fleet/ancora/dataplane/capture"
	"github.com/ancora-fleet/ancora/dataplane/journal"
	agentv1 "github.com/ancora-fleet/ancora/proto/ancora/agent/v1"
	typesv1 "github.com/ancora-fleet/ancora/proto/ancora/types/v1"
)

const (
	longLease = time.Minute
	slowBeat  = 20 * time.Second
)

// wanted notes what the controller says.
type wanted struct {
	mu     sync.Mutex
	heard  []string
	broken bool // documents cannot be kept
}

func (w *wanted) Held() (string, int64, []*agentv1.HeldDocument) {
	return "store-1", 7, []*agentv1.HeldDocument{{Name: "shop", Digest: []byte{1, 2}}}
}

func (w *wanted) Document(d *agentv1.Document) error {
	w.note("document " + d.GetName())
	if w.broken {
		return errors.New("disk full")
	}
	return nil
}

func (w *wanted) Manifest(m *agentv1.Manifest) *agentv1.ManifestResult {
	w.note(fmt.Sprintf("manifest %d", m.GetGeneration()))
	return &agentv1.ManifestResult{StoreId: m.GetStoreId(), Generation: m.GetGeneration(), Refusal: "not today"}
}

func (w *wanted) note(text string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.heard = append(w.heard, text)
}

func (w *wanted) all() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return strings.Join(w.heard, ", ")
}

// lab is a host that wants to be registered.
type lab struct {
	*testing.T
	reporter *report.Reporter
	wanted   *wanted
	root     string
	journal  *journal.Journal
	explain  session.Explain
}

func newLab(t *testing.T) *lab {
	l := &lab{T: t, reporter: report.New(), wanted: &wanted{}, root: t.TempDir()}
	var err error
	if l.journal, err = journal.Open(l.root, nil); err != nil {
		t.Fatal(err)
	}
	return l
}

// connect runs the host's end until the test ends.
func (l *lab) connect(c *scripted.Controller, more ...string) {
	l.Helper()
	config := c.Host(l.T, "web1")
	connector := session.New(session.Config{
		Host: "web1", InstanceID: "one", BootID: "boot", Version: "v1",
		Facts:       func() *typesv1.HostFacts { return &typesv1.HostFacts{Os: "Linux"} },
		Controllers: append([]string{c.Address}, more...),
		TLS:         func() (*tls.Config, error) { return config, nil },
		Assignments: l.wanted, Explain: l.explain, Reporter: l.reporter, Logs: tail.New(l.journal, nil),
	})
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- connector.Run(ctx) }()
	l.Cleanup(func() {
		cancel()
		select {
		case err := <-ended:
			if err != nil {
				l.Error(err)
			}
		case <-time.After(scripted.Patience):
			l.Error("it does not end with its context")
		}
	})
}

func (l *lab) eventually(what string, f func() bool) {
	l.Helper()
	deadline := time.After(scripted.Patience)
	for !f() {
		select {
		case <-deadline:
			l.Fatal(what)
		case <-time.After(2 * time.Millisecond):
		}
	}
}

func (l *lab) ended(s *scripted.Session) {
	l.Helper()
	select {
	case <-s.Ended():
	case <-time.After(scripted.Patience):
		l.Fatal("the agent does not hang up")
	}
}

func site(name string, revision int64, reason string) *typesv1.SiteStatus {
	return &typesv1.SiteStatus{Site: name, Revision: revision, Phase: typesv1.Phase_PHASE_SERVING, Reason: reason}
}

func instance(n uint32, state typesv1.InstanceState) *typesv1.InstanceStatus {
	return &typesv1.InstanceStatus{Site: "shop", Application: "/", Instance: n, State: state}
}

// word makes a message short enough to compare.
func word(m *agentv1.SessionRequest) string {
	switch m := m.GetMessage().(type) {
	case *agentv1.SessionRequest_SiteStatus:
		return fmt.Sprintf("site %s r%d", m.SiteStatus.GetSite(), m.SiteStatus.GetRevision())
	case *agentv1.SessionRequest_NoticeStatus:
		return "notice " + m.NoticeStatus.GetNotice()
	case *agentv1.SessionRequest_InstanceReport:
		text := "instances"
		if m.InstanceReport.GetComplete() {
			text = "all instances"
		}
		for _, i := range m.InstanceReport.GetInstances() {
			text += fmt.Sprintf(" %d", i.GetInstance())
		}
		return text
	case *agentv1.SessionRequest_Heartbeat:
		return "heartbeat"
	}
	return m.String()
}

// words reads the next n messages.
func (l *lab) words(s *scripted.Session, n int) string {
	l.Helper()
	var all []string
	for range n {
		all = append(all, word(s.Until(l.T, func(*agentv1.SessionRequest) bool { return true })))
	}
	return strings.Join(all, ", ")
}

// A session begins with Hello, then everything there is; later comes only what changed, and a heartbeat when nothing did.
func TestSession(t *testing.T) {
	l := newLab(t)
	c := scripted.New(t)
	l.reporter.Replace(
		[]*typesv1.SiteStatus{site("shop", 1, ""), site("blog", 4, "")}, []*typesv1.NoticeStatus{{Notice: "n1"}},
		[]*typesv1.InstanceStatus{instance(1, 0), instance(2, 0)})
	l.connect(c)
	s := c.Session(t)
	h := s.Hello
	if h.GetHost() != "web1" || h.GetAgentInstanceId() != "one" || h.GetBootId() != "boot" || h.GetAgentVersion() != "v1" ||
		h.GetFacts().GetOs() != "Linux" || h.GetStoreId() != "store-1" || h.GetGeneration() != 7 || len(h.GetHeld()) != 1 {
		t.Errorf("%v", h)
	}
	s.Welcome(t, longLease, 100*time.Millisecond)
	if got := l.words(s, 6); got != "notice n1, all instances 1 2, site shop r1, site blog r4, heartbeat, heartbeat" {
		t.Error(got)
	}
	s.Echo(t)
	l.reporter.Instance(instance(2, typesv1.InstanceState_INSTANCE_STATE_EXITED))
	got := s.Until(t, func(m *agentv1.SessionRequest) bool { return m.GetHeartbeat() == nil })
	if word(got) != "instances 2" {
		t.Errorf("a change of one instance: %s", word(got))
	}
}

// Documents and manifests go in the order in which they come; a manifest is answered, a document that is not kept ends nothing.
func TestAssignments(t *testing.T) {
	l := newLab(t)
	l.wanted.broken = true
	c := scripted.New(t)
	l.connect(c)
	s := c.Session(t)
	s.Welcome(t, longLease, slowBeat)
	s.Document(t, &agentv1.Document{Name: "shop"})
	s.Document(t, &agentv1.Document{Name: "blog"})
	r := s.Manifest(t, &agentv1.Manifest{StoreId: "store-1", Generation: 8})
	if r.GetGeneration() != 8 || r.GetStoreId() != "store-1" || r.GetRefusal() != "not today" {
		t.Errorf("%v", r)
	}
	if got := l.wanted.all(); got != "document shop, document blog, manifest 8" {
		t.Error(got)
	}
}

// Nothing heard within the lease: the agent closes the connection, not only the stream, and comes back on another.
func TestLeaseEnds(t *testing.T) {
	l := newLab(t)
	c := scripted.New(t)
	l.connect(c)
	s := c.Session(t)
	s.Welcome(t, 400*time.Millisecond, 50*time.Millisecond)
	for began := time.Now(); time.Since(began) < 900*time.Millisecond; { // answered heartbeats keep it
		s.Until(t, func(m *agentv1.SessionRequest) bool { return m.GetHeartbeat() != nil })
		s.Echo(t)
	}
	if c.Connected() != 1 {
		t.Fatalf("%d connections although the lease was kept", c.Connected())
	}
	l.ended(s)
	c.Session(t)
	l.eventually("the first connection stays open", func() bool { return c.Connections() == 1 })
	if c.Connected() < 2 {
		t.Error("the next session came over the connection of the first")
	}
}

// A controller that is frozen does not read either: what waits to be sent to it does not hold up the end of the lease.
func TestLeaseEndsWhileSending(t *testing.T) {
	l := newLab(t)
	c := scripted.New(t)
	var many []*typesv1.InstanceStatus
	for n := range uint32(100) {
		i := instance(n+1, 0)
		i.Message = strings.Repeat("x", 16<<10)
		many = append(many, i)
	}
	l.reporter.Replace(nil, nil, many)
	l.connect(c)
	s := c.Session(t)
	s.Welcome(t, 300*time.Millisecond, 100*time.Millisecond)
	began := time.Now()
	l.ended(s)
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("after %v", took)
	}
	// The next session is told everything again.
	s = c.Session(t)
	s.Welcome(t, longLease, slowBeat)
	told := 0
	for told < len(many) {
		r := s.Until(t, func(m *agentv1.SessionRequest) bool { return m.GetInstanceReport() != nil }).GetInstanceReport()
		if r.GetComplete() != (told == 0) {
			t.Fatalf("complete is %v after %d instances", r.GetComplete(), told)
		}
		told += len(r.GetInstances())
	}
}

// What changed while there was no session is told once, at its newest, in the order it was learnt; what is gone is not told.
func TestReconnect(t *testing.T) {
	l := newLab(t)
	c := scripted.New(t)
	l.reporter.Replace([]*typesv1.SiteStatus{site("shop", 1, ""), site("blog", 1, "")}, nil, []*typesv1.InstanceStatus{instance(1, 0), instance(2, 0)})
	l.connect(c)
	s := c.Session(t)
	s.Welcome(t, longLease, slowBeat)
	if got := l.words(s, 3); got != "all instances 1 2, site shop r1, site blog r1" {
		t.Error(got)
	}
	s.End(status.Error(codes.Unavailable, "going away"))
	s = c.Session(t)
	for r := range int64(10) {
		l.reporter.Replace([]*typesv1.SiteStatus{site("shop", r+2, ""), site("news", 1, "")}, nil, []*typesv1.InstanceStatus{instance(2, 0)})
	}
	s.Welcome(t, longLease, 200*time.Millisecond)
	if got := l.words(s, 4); got != "all instances 2, site news r1, site shop r11, heartbeat" {
		t.Error(got)
	}
}

// The next of the list is dialled after one that refuses or is not there; pauses grow.
func TestControllersInTurn(t *testing.T) {
	gone, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	gone.Close()
	l := newLab(t)
	c := scripted.New(t)
	l.connect(c, gone.Addr().String(), c.Address)
	c.Session(t).End(status.Error(codes.NotFound, "this host is not known here")) // the first; then gone, then:
	last := time.Now()
	for turn, atLeast := range []time.Duration{25 + 40, 64, 102 + 163, 262} { // halves of 50, 80, 128, 205, 328, 524 ms
		s := c.Session(t)
		if pause := time.Since(last); turn > 0 && pause < atLeast*time.Millisecond {
			t.Errorf("turn %d after %v, at least %v", turn, pause, atLeast*time.Millisecond)
		}
		last = time.Now()
		s.End(status.Error(codes.NotFound, "this host is not known here"))
	}
}

// A Welcome names the controllers of the next dial.
func TestControllersOfWelcome(t *testing.T) {
	l := newLab(t)
	c := scripted.New(t)
	front := relay(t, c.Address)
	l.connect(c)
	s := c.Session(t)
	s.Send(t, welcome(longLease, slowBeat, front.addr))
	s.Until(t, func(m *agentv1.SessionRequest) bool { return m.GetInstanceReport() != nil })
	s.End(nil)
	c.Session(t)
	if front.taken.Load() == 0 {
		t.Error("the agent did not dial the controller that Welcome named")
	}
}

// An agent does not stay with a controller whose Welcome is none.
func TestBadWelcome(t *testing.T) {
	for name, m := range map[string]*agentv1.SessionResponse{
		"another message":           {Message: &agentv1.SessionResponse_Heartbeat{Heartbeat: &agentv1.Heartbeat{}}},
		"no lease":                  welcome(0, time.Second),
		"no heartbeats":             welcome(time.Hour, 0),
		"heartbeats behind a lease": welcome(time.Hour, time.Hour),
	} {
		t.Run(name, func(t *testing.T) {
			l := newLab(t)
			c := scripted.New(t)
			l.connect(c)
			s := c.Session(t)
			s.Send(t, m)
			l.ended(s)
			c.Session(t) // it asks again
		})
	}
}

// Lines have a connection of their own, which is there only while somebody asks.
func TestLinesApart(t *testing.T) {
	l := newLab(t)
	run, err := l.journal.NextRun("shop", "/")
	if err != nil {
		t.Fatal(err)
	}
	w, err := capture.OpenWriter(capture.RunDir(l.root, "shop", "/", run))
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	if err := w.Append(capture.Stdout, []byte("hello\n")); err != nil {
		t.Fatal(err)
	}
	c := scripted.New(t)
	l.connect(c)
	s := c.Session(t)
	s.Welcome(t, longLease, slowBeat)
	s.Until(t, func(m *agentv1.SessionRequest) bool { return m.GetInstanceReport() != nil })
	for turn := 1; turn <= 2; turn++ {
		if c.Connections() != 1 || c.Connected() != turn {
			t.Fatalf("%d connections open, %d in all, before anybody asks", c.Connections(), c.Connected())
		}
		s.Ask(t, &agentv1.LogSubscription{SubscriptionId: "a", Query: &typesv1.LogQuery{Site: "shop", Follow: true}})
		lines := c.Lines(t)
		if m, err := lines.Recv(); err != nil || m.GetSubscriptionId() != "a" || m.GetBlock() != nil {
			t.Fatalf("%v %v", m, err)
		}
		lines.Grant(t, "a", 1<<20)
		if m, err := lines.Recv(); err != nil || m.GetBlock().GetCount() != 1 {
			t.Fatalf("%v %v", m, err)
		}
		if c.Connections() != 2 {
			t.Errorf("%d connections while lines are asked for", c.Connections())
		}
		s.Ask(t, &agentv1.LogSubscription{SubscriptionId: "a", Cancel: true})
		if m, err := lines.Recv(); !errors.Is(err, io.EOF) {
			t.Errorf("after the wish was over: %v %v", m, err)
		}
		l.eventually("the connection for lines stays open", func() bool { return c.Connections() == 1 })
	}
	select {
	case <-s.Ended():
		t.Error("the session ended with the wish")
	default:
	}
}
