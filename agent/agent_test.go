package agent_test

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/ancora-fleet/ancora/dataplane/wire"
	agentv1 "github.com/ancora-fleet/ancora/proto/ancora/agent/v1"
	typesv1 "github.com/ancora-fleet/ancora/proto/ancora/types/v1"
	"github.com/ancora-fleet/ancora/tests/lab"
)

const (
	serving  = typesv1.Phase_PHASE_SERVING
	rejected = typesv1.Phase_PHASE_REJECTED
)

// A host runs what its controller assigns, says so, and swaps to a new revision; what a manifest leaves out stops.
func TestAssignment(t *testing.T) {
	l := newHost(t)
	s := l.welcome()
	if f := s.Hello.GetFacts(); s.Hello.GetHost() != "web1" || s.Hello.GetStoreId() != "" || len(f.GetListeners()) != 1 ||
		f.GetListeners()[0].GetAddress() != l.address || f.GetArch() == "" || f.GetKernel() == "" || f.GetMemoryBytes() == 0 || f.GetCpus() == 0 {
		t.Errorf("%v", s.Hello)
	}
	doc, shop := l.site("shop", 1, l.folder("apps/shop"), "first")
	s.Document(t, doc)
	l.taken(s, &agentv1.Manifest{StoreId: "a", Generation: 5, Sites: []*agentv1.ManifestSite{shop}})
	if st := l.phase(s, "shop", 1, serving); !bytes.Equal(st.GetDigest(), shop.GetDigest()) || st.GetServingRevision() != 1 {
		t.Errorf("%v", st)
	}
	l.answers("shop", 200, "first")
	doc, shop = l.site("shop", 2, "apps/shop", "second")
	s.Document(t, doc)
	l.taken(s, &agentv1.Manifest{StoreId: "a", Generation: 6, Sites: []*agentv1.ManifestSite{shop}})
	l.eventually("shop", 200, "second")
	s.Until(t, func(m *agentv1.SessionRequest) bool {
		for _, i := range m.GetInstanceReport().GetInstances() {
			if i.GetState() == typesv1.InstanceState_INSTANCE_STATE_READY && i.GetRevision() == 2 && i.GetPid() > 0 && i.GetPort() > 0 {
				return true
			}
		}
		return false
	})
	l.taken(s, &agentv1.Manifest{StoreId: "a", Generation: 7}) // one of one
	l.eventually("shop", 404, "")
	s.Until(t, func(m *agentv1.SessionRequest) bool {
		return m.GetInstanceReport().GetComplete() && len(m.GetInstanceReport().GetInstances()) == 0
	})
}

// What a host refuses as a whole changes nothing; a document it does not understand costs its own site alone.
func TestRefused(t *testing.T) {
	l := newHost(t)
	s := l.welcome()
	var all []*agentv1.ManifestSite
	for _, name := range []string{"a", "b", "c"} {
		doc, m := l.site(name, 1, l.folder("apps/"+name), name+" one")
		s.Document(t, doc)
		all = append(all, m)
	}
	l.taken(s, &agentv1.Manifest{StoreId: "store", Generation: 5, Sites: all})
	for name, c := range map[string]struct {
		m    *agentv1.Manifest
		want string
	}{
		"older":       {&agentv1.Manifest{StoreId: "store", Generation: 4, Sites: all}, "older than 5"},
		"other store": {&agentv1.Manifest{StoreId: "other", Generation: 9, Sites: all}, "this host follows store"},
		"emptied":     {&agentv1.Manifest{StoreId: "store", Generation: 9, Sites: all[:1]}, "2 of 3 sites"},
	} {
		if r := s.Manifest(t, c.m); !strings.Contains(r.GetRefusal(), c.want) || r.GetFollowedStoreId() != "store" {
			t.Errorf("%s: %v", name, r)
		}
	}
	for _, name := range []string{"a", "b", "c"} {
		l.eventually(name, 200, name+" one")
	}
	// b gets a field of the future, c goes on to a second revision.
	strange, b := l.site("b", 2, "apps/b", "b two")
	strange.Content = protowire.AppendVarint(protowire.AppendTag(strange.GetContent(), 999, protowire.VarintType), 1)
	strange.Digest = wire.Digest(strange.GetContent())
	b.Digest = strange.GetDigest()
	torn, _ := l.site("c", 2, "apps/c", "c two")
	torn.Content = torn.GetContent()[1:]
	doc, c := l.site("c", 2, "apps/c", "c two")
	s.Document(t, strange)
	s.Document(t, torn) // its digest does not fit
	s.Document(t, doc)
	l.taken(s, &agentv1.Manifest{StoreId: "store", Generation: 10, Sites: []*agentv1.ManifestSite{all[0], b, c}})
	if st := l.phase(s, "b", 2, rejected); !strings.Contains(st.GetReason(), "does not know: a field of Site") || st.GetServingRevision() != 1 {
		t.Errorf("%v", st)
	}
	l.eventually("c", 200, "c two")
	// An operator who asks is told of the document, although the data plane never saw it.
	s.Send(t, &agentv1.SessionResponse{Message: &agentv1.SessionResponse_Explain{Explain: &agentv1.Explain{
		Id: "q", Question: &typesv1.ExplainQuestion{Site: "b", Scheme: "http", Authority: "b.test", Target: "/"},
	}}})
	e := s.Until(t, func(m *agentv1.SessionRequest) bool { return m.GetExplained().GetId() == "q" }).GetExplained().GetExplanation()
	if first := e.GetSteps()[0]; !strings.Contains(first.GetText(), "site b, revision 2 is REJECTED") || !strings.Contains(first.GetText(), "does not know: a field of Site") || e.GetInstance() != 1 {
		t.Errorf("%v", e)
	}
	if !slices.Contains(s.Hello.GetCapabilities(), "explain") {
		t.Errorf("nobody would ask: %v", s.Hello.GetCapabilities())
	}
	l.answers("b", 200, "b one")
	if !strings.Contains(l.agent.Log(), "document not kept: name=c") {
		t.Error("a document that is not what its digest says is not told")
	}
	l.stop(syscall.SIGTERM)
	l.start()
	l.eventually("b", 200, "b one")
	s = l.welcome()
	if st := l.phase(s, "b", 2, rejected); !strings.Contains(st.GetReason(), "does not know: a field of Site") {
		t.Errorf("after a restart: %v", st)
	}
	// An operator says yes: to fewer sites, and to another store.
	l.taken(s, &agentv1.Manifest{StoreId: "other", Generation: 1, OperatorConfirmed: true, Sites: all[:1]})
	l.eventually("c", 404, "")
	l.answers("a", 200, "a one")
}

// Without a controller a host runs from disk: the sites, the last good revision of what was rejected, the notices and their
// ends. With one it asks for nothing that it holds.
func TestFromDisk(t *testing.T) {
	l := newHost(t)
	s := l.welcome()
	doc, shop := l.site("shop", 1, l.folder("apps/shop"), "shop one")
	s.Document(t, doc)
	doc, blog := l.site("blog", 1, l.folder("apps/blog"), "blog one")
	s.Document(t, doc)
	l.taken(s, &agentv1.Manifest{StoreId: "a", Generation: 1, Sites: []*agentv1.ManifestSite{shop, blog}})
	l.phase(s, "blog", 1, serving)
	doc, blog = l.site("blog", 2, "apps/missing", "blog two")
	s.Document(t, doc)
	l.taken(s, &agentv1.Manifest{StoreId: "a", Generation: 2, Sites: []*agentv1.ManifestSite{shop, blog}})
	if st := l.phase(s, "blog", 2, rejected); !strings.Contains(st.GetReason(), "missing") || st.GetServingRevision() != 1 {
		t.Errorf("%v", st)
	}
	address := l.address
	l.stop(syscall.SIGTERM)
	l.start()
	if l.address != address {
		t.Errorf("the port is %s, it was %s", l.address, address)
	}
	l.eventually("shop", 200, "shop one")
	l.eventually("blog", 200, "blog one")

	s = l.welcome()
	held := map[string]bool{}
	for _, h := range s.Hello.GetHeld() {
		held[h.GetName()] = true
	}
	if s.Hello.GetStoreId() != "a" || s.Hello.GetGeneration() != 2 || len(held) != 2 || !held["shop"] || !held["blog"] {
		t.Errorf("%v", s.Hello)
	}
	doc, short := l.notice("short")
	s.Document(t, doc)
	short.TimeLeft = durationpb.New(4 * time.Second)
	doc, long := l.notice("long")
	s.Document(t, doc)
	l.taken(s, &agentv1.Manifest{StoreId: "a", Generation: 3, Sites: []*agentv1.ManifestSite{shop, blog}, Notices: []*agentv1.ManifestNotice{short}})
	began := time.Now()
	s.Until(t, func(m *agentv1.SessionRequest) bool {
		n := m.GetNoticeStatus()
		return n.GetNotice() == "short" && n.GetState() == typesv1.NoticeState_NOTICE_STATE_APPLIED && bytes.Equal(n.GetDigest(), short.GetDigest())
	})
	if code, body, head := l.get("shop"); code != 503 || !strings.Contains(body, "back soon") || head.Get("X-Ancora-Offline") != "short" {
		t.Errorf("%d %q %v", code, body, head)
	}
	l.stop(syscall.SIGTERM)
	l.start()
	if time.Since(began) < 3*time.Second { // a machine that is slow today shows it another day
		l.answers("shop", 503, "back soon")
	}
	l.eventually("shop", 200, "shop one") // the host keeps the end itself, without its controller
	s = l.welcome()
	l.taken(s, &agentv1.Manifest{StoreId: "a", Generation: 4, Sites: []*agentv1.ManifestSite{shop, blog}, Notices: []*agentv1.ManifestNotice{long}})
	s.Until(t, func(m *agentv1.SessionRequest) bool {
		n := m.GetNoticeStatus()
		return n.GetNotice() == "long" && n.GetState() == typesv1.NoticeState_NOTICE_STATE_FAILED && strings.Contains(n.GetReason(), "not here")
	}) // its document was swept away with the manifest that did not name it
	s.Document(t, doc)
	l.taken(s, &agentv1.Manifest{StoreId: "a", Generation: 5, Sites: []*agentv1.ManifestSite{shop, blog}, Notices: []*agentv1.ManifestNotice{long}})
	l.eventually("blog", 503, "back soon")
}

// The policy is the host's last word, and is read again when it changes; a broken one leaves the last good one.
func TestPolicy(t *testing.T) {
	l := newHost(t)
	s := l.welcome()
	doc, shop := l.site("shop", 1, l.folder("elsewhere/shop"), "hello")
	s.Document(t, doc)
	l.taken(s, &agentv1.Manifest{StoreId: "a", Generation: 1, Sites: []*agentv1.ManifestSite{shop}})
	if st := l.phase(s, "shop", 1, rejected); !strings.Contains(st.GetReason(), "elsewhere") {
		t.Errorf("%v", st)
	}
	text, err := os.ReadFile(l.policy)
	if err != nil {
		t.Fatal(err)
	}
	write := func(content string) {
		t.Helper()
		if err := os.WriteFile(l.policy, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write(strings.Replace(string(text), filepath.Join(l.dir, "apps"), filepath.Join(l.dir, "elsewhere"), 1))
	l.phase(s, "shop", 1, serving)
	l.answers("shop", 200, "hello")
	write("roots: [/nowhere]\nrots: []\n")
	deadline := time.After(10 * time.Second)
	for !strings.Contains(l.agent.Log(), "agent.yaml:2:1: ") {
		select {
		case <-deadline:
			t.Fatal("the broken policy is not told")
		case <-time.After(10 * time.Millisecond):
		}
	}
	l.answers("shop", 200, "hello")
	id, err := os.ReadFile(filepath.Join(l.data, "keeper-id"))
	if err != nil {
		t.Fatal(err)
	}
	for _, worker := range lab.Marked(strings.TrimSpace(string(id)) + "/worker") { // the next one finds it broken
		_ = syscall.Kill(worker, syscall.SIGKILL)
	}
	lab.Eventually(t, func() string {
		if !strings.Contains(l.agent.Log(), "instance adopted") {
			return "the next worker does not take over"
		}
		return ""
	})
	l.answers("shop", 200, "hello")
}

// Mistakes that no second attempt mends end with 2 and say what to do.
func TestMistakes(t *testing.T) {
	l := newHost(t)
	other := filepath.Join(l.dir, "other")
	join := []string{"join", l.controller.Address, "--data", other, "--policy", filepath.Join(l.dir, "other.yaml"), "--token"}
	for name, c := range map[string]struct {
		args []string
		code int
		want string
	}{
		"run, not joined":    {[]string{"run", "--data", other, "--policy", l.policy}, 2, "this host has not joined a controller: ancora-agent join"},
		"run, no policy":     {[]string{"run", "--data", l.data, "--policy", other}, 2, other},
		"run, log level":     {[]string{"run", "--log-level", "loud"}, 2, `"loud" is not known`},
		"join, no address":   {[]string{"join"}, 2, "arg"},
		"join, no token":     {[]string{"join", "x:1"}, 2, "--token is missing"},
		"join, name":         {append(join[:len(join):len(join)], l.controller.Token("s"), "--name", "Web_1"), 2, "--name: "},
		"join, listener":     {append(join[:len(join):len(join)], l.controller.Token("s"), "--listen", "http"), 2, "NAME=ADDRESS"},
		"join, port":         {append(join[:len(join):len(join)], l.controller.Token("s"), "--listen", "http=:99999"), 2, "is not HOST:PORT"},
		"join, root":         {append(join[:len(join):len(join)], l.controller.Token("s"), "--root", "apps"), 2, "is not absolute"},
		"join, not a token":  {append(join[:len(join):len(join)], "secret"), 1, "is no join token"},
		"join, unknown flag": {[]string{"join", "x:1", "--tokn", "x"}, 2, "--tokn"},
	} {
		if out, code := l.run(c.args...); code != c.code || !strings.Contains(out, c.want) {
			t.Errorf("%s: %d %s", name, code, out)
		}
	}
	if _, err := os.Stat(filepath.Join(l.dir, "other.yaml")); err == nil {
		t.Error("a join that was refused wrote a policy")
	}
	// A second join keeps the policy that is there, and the host goes on under its new certificate.
	before, err := os.ReadFile(l.policy)
	if err != nil {
		t.Fatal(err)
	}
	out, code := l.run("join", l.controller.Address, "--token", l.controller.Token("s"), "--name", "web1", "--data", l.data, "--policy", l.policy, "--root", "/elsewhere")
	if after, err := os.ReadFile(l.policy); err != nil || code != 0 || !bytes.Equal(before, after) {
		t.Errorf("%d %s: %v\n%s", code, out, err, after)
	}
}
