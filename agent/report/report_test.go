package report_test

import (
	"fmt"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/ancora-fleet/ancora/agent/report"
	agentv1 "github.com/ancora-fleet/ancora/proto/ancora/agent/v1"
	typesv1 "github.com/ancora-fleet/ancora/proto/ancora/types/v1"
	"github.com/ancora-fleet/ancora/proto/transport"
)

func site(name string, revision int64) *typesv1.SiteStatus {
	return &typesv1.SiteStatus{Site: name, Revision: revision}
}

func instance(site string, n uint32, run uint64) *typesv1.InstanceStatus {
	return &typesv1.InstanceStatus{Site: site, Application: "/", Instance: n, Run: run}
}

func words(messages []*agentv1.SessionRequest) string {
	var all []string
	for _, m := range messages {
		switch m := m.GetMessage().(type) {
		case *agentv1.SessionRequest_SiteStatus:
			all = append(all, fmt.Sprintf("%s r%d", m.SiteStatus.GetSite(), m.SiteStatus.GetRevision()))
		case *agentv1.SessionRequest_NoticeStatus:
			all = append(all, fmt.Sprintf("%s %d", m.NoticeStatus.GetNotice(), m.NoticeStatus.GetState()))
		case *agentv1.SessionRequest_InstanceReport:
			text := "some"
			if m.InstanceReport.GetComplete() {
				text = "all"
			}
			for _, i := range m.InstanceReport.GetInstances() {
				text += fmt.Sprintf(" %s%d#%d", i.GetSite(), i.GetInstance(), i.GetRun())
			}
			all = append(all, text)
		}
	}
	return strings.Join(all, ", ")
}

func changed(r *report.Reporter) bool {
	select {
	case <-r.Changed():
		return true
	default:
		return false
	}
}

// The newest word on each thing goes out once, in the order it was learnt, notices before all else.
func TestNewest(t *testing.T) {
	r := report.New()
	if changed(r) || r.Changes() != nil {
		t.Error("there is something to say at the start")
	}
	r.Site(site("a", 1))
	r.Site(site("b", 1))
	r.Instance(instance("a", 1, 1))
	r.Site(site("a", 2))
	r.Instance(instance("a", 1, 2))
	r.Notice(&typesv1.NoticeStatus{Notice: "n"})
	if !changed(r) {
		t.Error("nobody is woken")
	}
	if got := words(r.Changes()); got != "n 0, some a1#2, b r1, a r2" {
		t.Error(got)
	}
	if changed(r) || r.Changes() != nil {
		t.Error("it is said twice")
	}
	r.Site(site("a", 2))
	r.Instance(instance("a", 1, 2))
	if changed(r) {
		t.Error("what is known already wakes")
	}
	r.Site(site("a", 3))
	if got := words(r.Changes()); !strings.HasSuffix(got, "a r3") || strings.Contains(got, "b") {
		t.Error(got)
	}
}

// Who waits is woken by the next change also after what was there had been taken.
func TestChangedAgain(t *testing.T) {
	r := report.New()
	r.Site(site("a", 1))
	before := r.Changed()
	r.Changes()
	after := r.Changed()
	if before == after {
		t.Fatal("a channel that is closed is given out again")
	}
	select {
	case <-after:
		t.Fatal("woken by nothing")
	default:
	}
	r.Site(site("a", 2))
	<-after
}

// Complete gives everything, also what was taken before.
func TestComplete(t *testing.T) {
	r := report.New()
	if got := words(r.Complete()); got != "all" {
		t.Errorf("of an empty host: %q", got)
	}
	r.Replace([]*typesv1.SiteStatus{site("a", 1), site("b", 1)}, []*typesv1.NoticeStatus{{Notice: "n"}}, []*typesv1.InstanceStatus{instance("a", 1, 1), instance("b", 1, 1)})
	r.Changes()
	r.Site(site("b", 2))
	got := words(r.Complete())
	for _, want := range []string{"n 0", "all ", "a1#1", "b1#1", "a r1", "b r2"} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in %q", want, got)
		}
	}
	if changed(r) || r.Changes() != nil {
		t.Error("it is said twice")
	}
}

// What Replace leaves out is gone: of instances a complete report tells it, of sites and notices nothing is said any more.
func TestReplace(t *testing.T) {
	r := report.New()
	r.Replace([]*typesv1.SiteStatus{site("a", 1), site("b", 1)}, []*typesv1.NoticeStatus{{Notice: "n"}}, []*typesv1.InstanceStatus{instance("a", 1, 1), instance("b", 1, 1)})
	r.Changes()
	r.Replace([]*typesv1.SiteStatus{site("a", 1)}, nil, []*typesv1.InstanceStatus{instance("a", 1, 1), instance("b", 1, 1)})
	if changed(r) {
		t.Errorf("a site that is gone wakes: %s", words(r.Changes()))
	}
	r.Replace([]*typesv1.SiteStatus{site("a", 1)}, nil, []*typesv1.InstanceStatus{instance("a", 1, 1)})
	if !changed(r) {
		t.Error("an instance that is gone wakes nobody")
	}
	if got := words(r.Changes()); got != "all a1#1" {
		t.Error(got)
	}
	if got := words(r.Complete()); got != "all a1#1, a r1" {
		t.Error(got)
	}
}

// Many instances go out in several messages, of which the first alone is complete.
func TestLargeReport(t *testing.T) {
	r := report.New()
	var all []*typesv1.InstanceStatus
	for n := range uint32(500) {
		i := instance("a", n+1, 1)
		i.Message = strings.Repeat("x", 10<<10)
		all = append(all, i)
	}
	r.Replace(nil, nil, all)
	messages := r.Complete()
	if len(messages) < 10 {
		t.Errorf("5 MB in %d messages", len(messages))
	}
	seen := map[uint32]bool{}
	for i, m := range messages {
		if m.GetInstanceReport().GetComplete() != (i == 0) {
			t.Errorf("message %d: complete is %v", i, m.GetInstanceReport().GetComplete())
		}
		if n := proto.Size(m); n > transport.MaxMessage/8 {
			t.Errorf("message %d has %d bytes", i, n)
		}
		for _, s := range m.GetInstanceReport().GetInstances() {
			seen[s.GetInstance()] = true
		}
	}
	if len(seen) != len(all) {
		t.Errorf("%d of %d instances", len(seen), len(all))
	}
}
