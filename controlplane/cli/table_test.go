package cli

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/types/known/timestamppb"

	controlv1 "github.com/ancora-fleet/ancora/proto/ancora/control/v1"
	typesv1 "github.com/ancora-fleet/ancora/proto/ancora/types/v1"
)

func text(t *testing.T, table *table) string {
	t.Helper()
	var b bytes.Buffer
	if err := table.write(&b, ""); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestTable(t *testing.T) {
	table := newTable("NAME", "NOTE", "LAST")
	table.row("größe", "", "x")
	table.row("漢字", "two\nlines\tand \x1b[31m")
	want := `NAME   NOTE                     LAST
größe  -                        x
漢字   two\nlines and \x1b[31m  -
`
	if diff := cmp.Diff(want, text(t, table)); diff != "" {
		t.Error(diff)
	}
}

func TestWidth(t *testing.T) {
	for s, want := range map[string]int{"abc": 3, "größe": 5, "漢字": 4, "e\u0301": 1, "🙂": 2, "": 0} {
		if got := width(s); got != want {
			t.Errorf("%q: %d, want %d", s, got, want)
		}
	}
}

func overview(name string, hosts, ready int32, statuses ...*typesv1.SiteStatus) *controlv1.SiteOverview {
	return &controlv1.SiteOverview{
		Site:  &typesv1.Site{Name: name, Revision: 4, Bindings: []*typesv1.Binding{{Listener: "http", Hostnames: []string{"a.example", "b.example"}}, {Listener: "alt"}}},
		Hosts: hosts, Ready: ready, Statuses: statuses,
	}
}

func answered(host string, phase typesv1.Phase, reason string, offline ...string) *typesv1.SiteStatus {
	return &typesv1.SiteStatus{Host: host, Phase: phase, Reason: reason, Revision: 4, Offline: offline}
}

func TestSiteTable(t *testing.T) {
	sites := []*controlv1.SiteOverview{
		overview("bad", 3, 1, answered("web1", typesv1.Phase_PHASE_SERVING, ""), answered("web2", typesv1.Phase_PHASE_REJECTED, "no folder /srv\nmore"), answered("web3", typesv1.Phase_PHASE_FAILED, "x")),
		overview("closed", 2, 2, answered("web1", typesv1.Phase_PHASE_IDLE, "", "n-1"), answered("web2", typesv1.Phase_PHASE_SERVING, "")),
		overview("demo", 3, 3, answered("web1", typesv1.Phase_PHASE_IDLE, ""), answered("web2", typesv1.Phase_PHASE_IDLE, ""), answered("web3", typesv1.Phase_PHASE_IDLE, "")),
		overview("new", 3, 0),
		overview("nowhere", 0, 0),
		overview("shop", 2, 2, answered("web1", typesv1.Phase_PHASE_SERVING, ""), answered("web2", typesv1.Phase_PHASE_IDLE, "")),
	}
	want := `SITE     HOSTS  READY  STATE     REVISION  RESTARTS  NOTE
bad      3      1/3    rejected  4         2         web2: no folder /srv ...
closed   2      2/2    offline   4         0         offline on 1 of 2 hosts
demo     3      3/3    idle      4         0         starts on first request
new      3      0/3    pending   4         0         3 of 3 hosts have not answered
nowhere  0      0/0    unplaced  4         0         its placement matches no host
shop     2      2/2    serving   4         0         -
`
	if diff := cmp.Diff(want, text(t, siteTable(sites, map[string]uint64{"bad": 2}, false))); diff != "" {
		t.Error(diff)
	}
	if wide := text(t, siteTable(sites[:1], nil, true)); !strings.Contains(wide, "http:a.example,http:b.example,alt") {
		t.Error(wide)
	}
}

func TestRestarts(t *testing.T) {
	instance := func(host, site, path string, run uint64) *typesv1.InstanceStatus {
		return &typesv1.InstanceStatus{Host: host, Site: site, Application: path, Run: run}
	}
	instances := []*typesv1.InstanceStatus{
		instance("web1", "shop", "/", 3), instance("web1", "shop", "/", 4), instance("web1", "shop", "/api", 2),
		instance("web2", "shop", "/", 2), instance("web2", "demo", "/", 1),
	}
	if diff := cmp.Diff(map[string]uint64{"shop": 5}, restartsOf(instances, nil)); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(map[string]uint64{"shop": 1}, restartsOf(instances, map[string]bool{"web2": true})); diff != "" {
		t.Error(diff)
	}
}

func TestHostTable(t *testing.T) {
	hosts := []*typesv1.Host{
		{Name: "web1", State: connected, Labels: map[string]string{"role": "web", "dc": "a"}, LastSeenTime: timestamppb.Now(),
			Facts: &typesv1.HostFacts{Os: "Debian", Cpus: 2, MemoryBytes: 512 << 20, Listeners: []*typesv1.ListenerFact{{Name: "http", Address: "127.0.0.1:80"}, {Name: "https", Error: "in use"}}}},
		{Name: "web2", State: typesv1.HostState_HOST_STATE_PENDING, Refusal: "another store"},
	}
	want := `HOST  STATE      LABELS         LISTENERS                          LAST SEEN  NOTE
web1  connected  dc=a,role=web  http=127.0.0.1:80,https=not bound  now        -
web2  pending    -              -                                  -          another store
`
	if diff := cmp.Diff(want, text(t, hostTable(hosts, false))); diff != "" {
		t.Error(diff)
	}
	if wide := text(t, hostTable(hosts, true)); !strings.Contains(wide, "Debian") || !strings.Contains(wide, "512 MiB") {
		t.Error(wide)
	}
}

func TestInstanceTable(t *testing.T) {
	instances := []*typesv1.InstanceStatus{
		{Host: "web1", Site: "shop", Application: "/", State: typesv1.InstanceState_INSTANCE_STATE_READY, Run: 2, Pid: 77, RecentFailures: 1,
			LastExit: &typesv1.ExitStatus{Signal: 11, Time: timestamppb.New(time.Now().Add(-3 * time.Minute))}},
		{Host: "web2", Site: "shop", Application: "/", State: typesv1.InstanceState_INSTANCE_STATE_EXITED, Run: 1, Pid: 78,
			LastExit: &typesv1.ExitStatus{Code: 131, Time: timestamppb.New(time.Now().Add(-72 * time.Hour))}},
	}
	want := `HOST  SITE  APPLICATION  STATE   RUN  PID  FAILURES  LAST EXIT
web1  shop  /            ready   2    77   1         signal SIGSEGV, 3m ago
web2  shop  /            exited  1    -    0         exit code 131, 3d ago
`
	if diff := cmp.Diff(want, text(t, instanceTable(instances, false))); diff != "" {
		t.Error(diff)
	}
}

func TestText(t *testing.T) {
	for want, got := range map[string]string{
		"":          ago(time.Time{}),
		"now":       ago(time.Now()),
		"90s ago":   ago(time.Now().Add(-90 * time.Second)),
		"47h ago":   ago(time.Now().Add(-47*time.Hour - time.Minute)),
		"1.5 GiB":   bytesText(3 << 29),
		"1 host":    plural(1, "host"),
		"0 hosts":   plural(0, "host"),
		"one ...":   firstLine("one\ntwo"),
		"a=1,b=":    labelText(map[string]string{"b": "", "a": "1"}),
		"IDLE":      phaseName(typesv1.Phase_PHASE_IDLE),
		"signal 99": strings.TrimSuffix(exitText(&typesv1.ExitStatus{Signal: 99, Time: timestamppb.Now()}), ", now"),
	} {
		if got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
