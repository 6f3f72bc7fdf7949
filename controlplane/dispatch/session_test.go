package dispatch_test

import (
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/ancora-fleet/ancora/controlplane/dispatch/dispatchtest"
	"github.com/ancora-fleet/ancora/controlplane/store"
	agentv1 "github.com/ancora-fleet/ancora/proto/ancora/agent/v1"
	typesv1 "github.com/ancora-fleet/ancora/proto/ancora/types/v1"
)

func ended(t *testing.T, s *dispatchtest.Session, code codes.Code, says string) {
	t.Helper()
	if err := s.Ended(); status.Code(err) != code || !strings.Contains(err.Error(), says) {
		t.Errorf("the session ends with %v, want %s and %q", err, code, says)
	}
}

func TestDocumentsComeBeforeTheManifest(t *testing.T) {
	l := dispatchtest.New(t, 0)
	l.Site("shop", "all", "/srv/1")
	l.Site("blog", "role=web", "/srv/1")
	l.Site("mail", "role=mail", "/srv/1")
	agent := l.Host("web1", map[string]string{"role": "web"})
	s := agent.Session(&agentv1.Hello{})
	if w := s.Next().GetWelcome(); w.GetSessionId() == "" || w.GetHeartbeatInterval().AsDuration() >= w.GetLeaseDuration().AsDuration() {
		t.Errorf("welcome %v", w)
	}
	m, documents := s.Manifest()
	if len(m.GetSites()) != 2 || len(documents) != 2 || m.GetStoreId() != l.Store.View().StoreID {
		t.Fatalf("%v with %d documents", m, len(documents))
	}
	for i, d := range documents {
		if site := m.GetSites()[i]; d.GetName() != site.GetName() || string(d.GetDigest()) != string(site.GetDigest()) {
			t.Errorf("document %d is %s, the manifest names %s", i, d.GetName(), site.GetName())
		}
	}

	// What has come before does not come again: neither with a change nor with a new session.
	l.Site("shop", "all", "/srv/2")
	next, documents := s.Manifest()
	if len(documents) != 1 || documents[0].GetName() != "shop" || documents[0].GetRevision() != 2 || next.GetGeneration() <= m.GetGeneration() {
		t.Errorf("generation %d after %d with documents %v", next.GetGeneration(), m.GetGeneration(), documents)
	}
	hello := &agentv1.Hello{StoreId: next.GetStoreId(), Generation: next.GetGeneration()}
	for _, site := range next.GetSites() {
		hello.Held = append(hello.Held, &agentv1.HeldDocument{Name: site.GetName(), Digest: site.GetDigest()})
	}
	again, documents := agent.Session(hello).Manifest()
	if len(documents) != 0 || len(again.GetSites()) != 2 {
		t.Errorf("%d documents travel again for %v", len(documents), again)
	}
}

func TestAHostHearsOnlyWhatConcernsIt(t *testing.T) {
	l := dispatchtest.New(t, 0)
	s := l.Host("web1", map[string]string{"role": "web"}).Session(&agentv1.Hello{})
	if m, _ := s.Manifest(); len(m.GetSites()) != 0 {
		t.Fatalf("manifest %v", m)
	}
	l.Site("mail", "role=mail", "/srv/1")
	l.Site("shop", "role=web", "/srv/1")
	if m, _ := s.Manifest(); len(m.GetSites()) != 1 || m.GetSites()[0].GetName() != "shop" {
		t.Errorf("manifest %v, want the one that names shop", m)
	}
}

func TestNoticesAreAnswered(t *testing.T) {
	l := dispatchtest.New(t, 0)
	l.Site("shop", "all", "/srv/1")
	s := l.Host("web1", nil).Session(&agentv1.Hello{})
	s.Manifest()
	var name string
	l.Update(func(tx *store.Tx) {
		name = tx.PutNotice(&typesv1.OfflineNotice{Sites: []string{"shop"}, ExpireTime: timestamppb.New(time.Now().Add(time.Hour))})
	})
	m, documents := s.Manifest()
	if len(documents) != 1 || documents[0].GetKind() != agentv1.DocumentKind_DOCUMENT_KIND_NOTICE || documents[0].GetName() != name {
		t.Fatalf("documents %v", documents)
	}
	if left := m.GetNotices()[0].GetTimeLeft().AsDuration(); left <= 59*time.Minute || left > time.Hour {
		t.Errorf("time left %s", left)
	}
	s.Send(&agentv1.SessionRequest{Message: &agentv1.SessionRequest_NoticeStatus{NoticeStatus: &typesv1.NoticeStatus{
		Host: "another", Notice: name, Digest: documents[0].GetDigest(), State: typesv1.NoticeState_NOTICE_STATE_APPLIED,
	}}})
	l.Eventually("the notice is applied", func(o *store.Observed) bool {
		n := o.NoticeStatus("web1", name)
		return n.GetState() == typesv1.NoticeState_NOTICE_STATE_APPLIED && n.GetHost() == "web1"
	})
	l.Update(func(tx *store.Tx) { tx.DeleteNotice(tx.View.Notices[name]) })
	if m, _ := s.Manifest(); len(m.GetNotices()) != 0 {
		t.Errorf("manifest %v after the notice was deleted", m)
	}
}

func TestReports(t *testing.T) {
	l := dispatchtest.New(t, 0)
	s := l.Host("web1", nil).Session(&agentv1.Hello{Facts: &typesv1.HostFacts{Arch: "amd64"}})
	s.Send(&agentv1.SessionRequest{Message: &agentv1.SessionRequest_SiteStatus{SiteStatus: &typesv1.SiteStatus{
		Host: "another", Site: "shop", Phase: typesv1.Phase_PHASE_REJECTED, Reason: "no folder",
	}}})
	s.Send(&agentv1.SessionRequest{Message: &agentv1.SessionRequest_InstanceReport{InstanceReport: &agentv1.InstanceReport{
		Complete: true, Instances: []*typesv1.InstanceStatus{{Host: "another", Site: "shop", Pid: 7}},
	}}})
	m, _ := s.Manifest()
	refuse := func(generation int64, why string) {
		s.Send(&agentv1.SessionRequest{Message: &agentv1.SessionRequest_ManifestResult{ManifestResult: &agentv1.ManifestResult{
			Generation: generation, Refusal: why, FollowedStoreId: "other",
		}}})
	}
	refuse(m.GetGeneration(), "it follows another store")
	refuse(m.GetGeneration()-1, "said of an earlier one")
	s.Send(&agentv1.SessionRequest{Message: &agentv1.SessionRequest_SiteStatus{SiteStatus: &typesv1.SiteStatus{Site: "last"}}})
	l.Eventually("all is told", func(o *store.Observed) bool {
		site, instances, host := o.SiteStatus("web1", "shop"), o.Instances("web1", "shop"), o.Host("web1")
		return site.GetReason() == "no folder" && site.GetHost() == "web1" &&
			len(instances) == 1 && instances[0].GetPid() == 7 && instances[0].GetHost() == "web1" &&
			o.SiteStatus("web1", "last") != nil &&
			host.Refusal == "it follows another store" && host.FollowedStoreID == "other" && host.Session.Facts.GetArch() == "amd64"
	})
}

func TestWhoDoesNotIntroduceItself(t *testing.T) {
	l := dispatchtest.New(t, 0)
	agent := l.Host("web1", nil)
	l.Host("web2", nil)

	silent := agent.Open()
	silent.Send(&agentv1.SessionRequest{Message: &agentv1.SessionRequest_Heartbeat{Heartbeat: &agentv1.Heartbeat{}}})
	ended(t, silent, codes.FailedPrecondition, "Hello")
	ended(t, agent.Session(&agentv1.Hello{Host: "web2"}), codes.PermissionDenied, "web2")
	many := &agentv1.Hello{}
	for range 20_001 {
		many.Held = append(many.Held, &agentv1.HeldDocument{})
	}
	ended(t, agent.Session(many), codes.InvalidArgument, "20001")
	ended(t, l.Certified("web9").Session(&agentv1.Hello{}), codes.NotFound, "ancora token create --host web9")
}

func TestTheNewestSessionWins(t *testing.T) {
	l := dispatchtest.New(t, 0)
	agent := l.Host("web1", nil)
	first := agent.Session(&agentv1.Hello{AgentInstanceId: "first"})
	first.Manifest()
	second := agent.Session(&agentv1.Hello{AgentInstanceId: "second"})
	second.Manifest()
	ended(t, first, codes.Aborted, "another session")
	l.Site("shop", "all", "/srv/1")
	if m, _ := second.Manifest(); len(m.GetSites()) != 1 {
		t.Errorf("manifest %v", m)
	}
	if h := l.Store.Observed().Host("web1"); !h.Connected || h.Session.AgentInstanceID != "second" {
		t.Errorf("the end of the first counts: %+v", h)
	}
}

func TestALeaseEnds(t *testing.T) {
	const lease = time.Second
	l := dispatchtest.New(t, lease)
	agent := l.Host("web1", nil)
	s := agent.Session(&agentv1.Hello{})
	s.Manifest()
	tick := time.NewTicker(lease / 10)
	defer tick.Stop()
	for begin := time.Now(); time.Since(begin) < 2*lease; <-tick.C {
		s.Send(&agentv1.SessionRequest{Message: &agentv1.SessionRequest_Heartbeat{Heartbeat: &agentv1.Heartbeat{}}})
		if m := s.Next(); m.GetHeartbeat() == nil {
			t.Fatalf("%v, want a heartbeat", m)
		}
	}
	ended(t, s, codes.DeadlineExceeded, "lease")
	l.Eventually("the host is unreachable", func(o *store.Observed) bool { return !o.Host("web1").Connected })
}

// An agent that neither speaks nor reads fills what may be on the way to it; its lease ends all the same.
func TestALeaseEndsWhileSendingWaits(t *testing.T) {
	l := dispatchtest.New(t, time.Second)
	for _, name := range strings.Fields("a b c d e f g h i j") {
		l.Site(name, "all", "/"+strings.Repeat(name, 90<<10))
	}
	l.Host("web1", nil).Session(&agentv1.Hello{})
	l.Eventually("there is a session", func(o *store.Observed) bool { return o.Host("web1").Session.ID != "" })
	l.Eventually("the host is unreachable", func(o *store.Observed) bool { return !o.Host("web1").Connected })
}

func TestARemovedHostIsSentAway(t *testing.T) {
	l := dispatchtest.New(t, 0)
	l.Site("shop", "all", "/srv/1")
	agent := l.Host("web1", nil)
	s := agent.Session(&agentv1.Hello{})
	s.Manifest()
	lines := agent.Lines()
	l.Update(func(tx *store.Tx) { tx.DeleteHost(tx.View.Hosts["web1"]) })
	for {
		m, err := s.Recv()
		if status.Code(err) == codes.Unauthenticated {
			break
		}
		if err != nil || m.GetManifest() != nil {
			t.Fatalf("a host that was deleted gets %v, %v", m, err)
		}
	}
	if _, err := lines.Recv(); status.Code(err) != codes.Unauthenticated {
		t.Errorf("its stream of lines gets %v", err)
	}
	ended(t, agent.Session(&agentv1.Hello{}), codes.Unauthenticated, "revoked")
}

// A host that joins anew has another key: who still calls with the one before is not that host.
func TestAnEarlierKeyIsSentAway(t *testing.T) {
	l := dispatchtest.New(t, 0)
	before := l.Host("web1", nil).Session(&agentv1.Hello{})
	before.Manifest()
	agent := l.Host("web1", nil)
	ended(t, before, codes.Unauthenticated, "revoked")
	agent.Session(&agentv1.Hello{}).Manifest()
}
