package cli

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	controlv1 "github.com/ancora-fleet/ancora/proto/ancora/control/v1"
	typesv1 "github.com/ancora-fleet/ancora/proto/ancora/types/v1"
)

func TestNotice(t *testing.T) {
	now := time.Date(2026, 1, 2, 14, 22, 0, 0, time.Local)
	page := filepath.Join(t.TempDir(), "page.html")
	if err := os.WriteFile(page, []byte("<p>"), 0o600); err != nil {
		t.Fatal(err)
	}
	o := offlineOptions{hosts: "role=web", page: page, reason: "why", lasts: 10 * time.Minute, retryAfter: 5 * time.Second}
	got, err := o.notice([]string{"shop"}, now)
	if err != nil {
		t.Fatal(err)
	}
	want := &typesv1.OfflineNotice{
		Sites: []string{"shop"}, Hosts: &typesv1.Selector{Expression: "role=web"}, Content: &typesv1.OfflineNotice_PageHtml{PageHtml: []byte("<p>")},
		Reason: "why", ExpireTime: timestamppb.New(now.Add(10 * time.Minute)), RetryAfter: durationpb.New(5 * time.Second),
	}
	if diff := cmp.Diff(want, got, protocmp.Transform()); diff != "" {
		t.Error(diff)
	}
	for says, o := range map[string]offlineOptions{
		"which sites":                  {},
		"either --message or --page":   {all: true, message: "a", page: page},
		"--for and --retry-after":      {all: true, lasts: -time.Second},
		"--page: open /nowhere/at/all": {all: true, page: "/nowhere/at/all"},
		"--hosts: ":                    {all: true, hosts: "=x"},
	} {
		if _, err := o.notice(nil, now); ExitCode(err) != exitUsage || !strings.Contains(err.Error(), says) {
			t.Errorf("%+v: %v, want %q", o, err, says)
		}
	}
}

func TestOfflineResult(t *testing.T) {
	created := time.Date(2026, 1, 2, 14, 22, 30, 0, time.Local)
	notice := &typesv1.OfflineNotice{Name: "n-1", CreateTime: timestamppb.New(created), ExpireTime: timestamppb.New(created.Add(10*time.Minute - 3*time.Millisecond))}
	host := func(name string, state typesv1.NoticeState, reason string) *controlv1.NoticeHost {
		return &controlv1.NoticeHost{Host: name, State: connected, Status: &typesv1.NoticeStatus{State: state, Reason: reason}}
	}
	applied, nothing := host("web1", typesv1.NoticeState_NOTICE_STATE_APPLIED, ""), host("web2", typesv1.NoticeState_NOTICE_STATE_NOTHING_TO_DO, "")
	away := &controlv1.NoticeHost{Host: "web3", State: typesv1.HostState_HOST_STATE_UNREACHABLE, Status: applied.Status}
	for _, c := range []struct {
		hosts []*controlv1.NoticeHost
		code  int
		out   string
	}{
		{[]*controlv1.NoticeHost{applied, nothing}, exitOK, "offline on 2/2 hosts until 14:32 (503, Retry-After 600)\n"},
		{[]*controlv1.NoticeHost{applied, away}, exitPartial, "web3  pending: it has no session and gets this when it comes back\noffline on 1/2 hosts until 14:32 (503, Retry-After 600)\n"},
		{[]*controlv1.NoticeHost{host("web1", typesv1.NoticeState_NOTICE_STATE_FAILED, "no listener")}, exitFailed, "web1  FAILED  no listener\noffline on 0/1 hosts until 14:32 (503, Retry-After 600)\n"},
		{[]*controlv1.NoticeHost{applied, {Host: "web2", State: connected}}, exitTimedOut, "web2  has not answered\noffline on 1/2 hosts until 14:32 (503, Retry-After 600)\n"},
		{[]*controlv1.NoticeHost{host("web1", typesv1.NoticeState_NOTICE_STATE_PENDING, "")}, exitTimedOut, "web1  has not answered\noffline on 0/1 hosts until 14:32 (503, Retry-After 600)\n"},
	} {
		var out, errors bytes.Buffer
		p := &program{Env: Env{Out: &out, Err: &errors}}
		err := p.offlineResult(notice, c.hosts)
		if ExitCode(err) != c.code || out.String() != c.out || errors.String() != "notice n-1\n" {
			t.Errorf("code %d, want %d; %s%s", ExitCode(err), c.code, errors.String(), cmp.Diff(c.out, out.String()))
		}
	}
}

func TestHoldText(t *testing.T) {
	created := time.Date(2026, 1, 2, 14, 22, 7, 0, time.Local)
	until := func(d time.Duration) *timestamppb.Timestamp { return timestamppb.New(created.Add(d)) }
	for want, n := range map[string]*typesv1.OfflineNotice{
		" (503)":                                            {},
		" (503, Retry-After 77)":                            {RetryAfter: durationpb.New(77 * time.Second)},
		" until 14:22:37 (503, Retry-After 30)":             {ExpireTime: until(30 * time.Second)},
		" until 16:22 (503, Retry-After 5)":                 {ExpireTime: until(2 * time.Hour), RetryAfter: durationpb.New(5 * time.Second)},
		" until 2026-01-04 14:22 (503, Retry-After 172800)": {ExpireTime: until(48 * time.Hour)},
	} {
		n.CreateTime = timestamppb.New(created)
		if got := holdText(n); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

func TestMadeFor(t *testing.T) {
	n := func(hosts string, sites ...string) *typesv1.OfflineNotice {
		n := &typesv1.OfflineNotice{Sites: sites}
		if hosts != "" {
			n.Hosts = &typesv1.Selector{Expression: hosts}
		}
		return n
	}
	for _, c := range []struct {
		notice *typesv1.OfflineNotice
		sites  []string
		hosts  string
		want   bool
	}{
		{n(""), nil, "", true},
		{n("", "shop"), []string{"shop"}, "", true},
		{n("", "blog", "shop"), []string{"shop", "blog", "shop"}, "", true},
		{n(""), []string{"shop"}, "", false},
		{n("", "shop"), nil, "", false},
		{n("", "blog", "shop"), []string{"shop"}, "", false},
		{n("role=web", "shop"), []string{"shop"}, "", false},
		{n("role=web", "shop"), []string{"shop"}, "role=web", true},
	} {
		if got := madeFor(c.notice, c.sites, c.hosts); got != c.want {
			t.Errorf("%v for %v on %q: %v", c.notice, c.sites, c.hosts, got)
		}
	}
}
