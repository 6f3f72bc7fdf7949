package cli

import (
	"bytes"
	"strings"
	"testing"

	controlv1 "github.com/ancora-fleet/ancora/proto/ancora/control/v1"
	typesv1 "github.com/ancora-fleet/ancora/proto/ancora/types/v1"
)

const connected = typesv1.HostState_HOST_STATE_CONNECTED

func placed(host string, phase typesv1.Phase, digest string) *controlv1.PlacedHost {
	return &controlv1.PlacedHost{Host: host, State: connected, Status: &typesv1.SiteStatus{
		Phase: phase, Digest: []byte(digest), Revision: 2, ServingRevision: 2,
	}}
}

func TestJudge(t *testing.T) {
	rejected := placed("a", typesv1.Phase_PHASE_REJECTED, "new")
	rejected.Status.Reason, rejected.Status.ServingRevision = "no folder /srv", 1
	away := placed("a", typesv1.Phase_PHASE_SERVING, "new")
	away.State = typesv1.HostState_HOST_STATE_UNREACHABLE
	refusing := placed("a", typesv1.Phase_PHASE_SERVING, "new")
	refusing.Refusal = "another store"
	for _, c := range []struct {
		host *controlv1.PlacedHost
		want outcome
		says string
	}{
		{placed("a", typesv1.Phase_PHASE_SERVING, "new"), outcomeGood, "SERVING"},
		{placed("a", typesv1.Phase_PHASE_IDLE, "new"), outcomeGood, "applied, not proven"},
		{placed("a", typesv1.Phase_PHASE_FAILED, "new"), outcomeBad, "FAILED"},
		{rejected, outcomeBad, "REJECTED  no folder /srv (revision 1 goes on)"},
		{placed("a", typesv1.Phase_PHASE_STARTING, "new"), outcomeOpen, "STARTING"},
		{placed("a", typesv1.Phase_PHASE_ACCEPTED, "new"), outcomeOpen, "ACCEPTED"},
		{placed("a", typesv1.Phase_PHASE_SERVING, "old"), outcomeOpen, "has not answered"},
		{&controlv1.PlacedHost{Host: "a", State: connected}, outcomeOpen, "has not answered"},
		{away, outcomePending, "pending: it has no session"},
		{&controlv1.PlacedHost{Host: "a", State: typesv1.HostState_HOST_STATE_PENDING}, outcomePending, "pending"},
		{refusing, outcomeBad, "REFUSED  another store"},
	} {
		if got, text := judge(c.host, []byte("new")); got != c.want || !strings.Contains(text, c.says) {
			t.Errorf("%v: %d %q, want %d %q", c.host, got, text, c.want, c.says)
		}
	}
}

func TestTally(t *testing.T) {
	for _, c := range []struct {
		tally tally
		code  int
		text  string
	}{
		{tally{good: 3}, exitOK, "3 of 3 hosts good"},
		{tally{}, exitOK, "0 of 0 hosts good"},
		{tally{good: 2, bad: 1}, exitPartial, "2 of 3 hosts good, 1 not"},
		{tally{good: 2, pending: 1}, exitPartial, "2 of 3 hosts good, 1 pending"},
		{tally{pending: 1}, exitPartial, "0 of 1 host good, 1 pending"},
		{tally{bad: 2}, exitFailed, "0 of 2 hosts good, 2 not"},
		{tally{good: 5, open: 1}, exitTimedOut, "5 of 6 hosts good, 1 not answered in time"},
	} {
		if c.tally.code() != c.code || c.tally.String() != c.text {
			t.Errorf("%+v: %d %q, want %d %q", c.tally, c.tally.code(), c.tally, c.code, c.text)
		}
	}
}

// A host's line is printed once, when it has said its last word, and again only when that changes.
func TestProgress(t *testing.T) {
	var out bytes.Buffer
	p := &program{Env: Env{Out: &out}}
	w := waiting{site: "shop", digest: []byte("new"), hosts: []string{"a", "b"}}
	said := map[string]string{}
	if sum := p.progress(w.unheard(), w, said); sum.open != 2 {
		t.Errorf("nothing is heard yet: %+v", sum)
	}
	hosts := []*controlv1.PlacedHost{placed("a", typesv1.Phase_PHASE_STARTING, "new"), placed("b", typesv1.Phase_PHASE_IDLE, "new")}
	p.progress(hosts, w, said)
	p.progress(hosts, w, said)
	hosts[0] = placed("a", typesv1.Phase_PHASE_SERVING, "new")
	if sum := p.progress(hosts, w, said); sum.code() != exitOK {
		t.Errorf("%+v", sum)
	}
	if want := "b  IDLE  applied, not proven: it starts on the first request\na  SERVING\n"; out.String() != want {
		t.Errorf("%q, want %q", out.String(), want)
	}
	out.Reset()
	if sum := p.timedOut(w.unheard(), w, map[string]string{}); sum.code() != exitTimedOut || strings.Count(out.String(), "has not answered\n") != 2 {
		t.Errorf("%+v\n%s", sum, out.String())
	}
}
