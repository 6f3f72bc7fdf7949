package api_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/ancora-fleet/ancora/controlplane/store"
	controlv1 "github.com/ancora-fleet/ancora/proto/ancora/control/v1"
	typesv1 "github.com/ancora-fleet/ancora/proto/ancora/types/v1"
)

func TestHosts(t *testing.T) {
	l := newLab(t)
	l.host("web1", "web")
	l.host("web2", "web")
	l.host("db1", "db")
	_, err := l.hosts.CreateHost(t.Context(), &controlv1.CreateHostRequest{Name: "web1"})
	l.refused(err, codes.AlreadyExists, "web1")
	_, err = l.hosts.CreateHost(t.Context(), &controlv1.CreateHostRequest{Name: "Web_1", Labels: map[string]string{"-": "x"}})
	l.refused(err, codes.InvalidArgument)
	if got := fields(err); !slices.Equal(got, []string{"name", "labels"}) {
		t.Errorf("fields %v", got)
	}
	list, err := l.hosts.ListHosts(t.Context(), &controlv1.ListHostsRequest{Labels: &typesv1.Selector{Expression: "role=web"}})
	if err != nil || len(list.GetHosts()) != 2 || list.GetHosts()[0].GetState() != typesv1.HostState_HOST_STATE_PENDING {
		t.Errorf("%v %v", list, err)
	}
	l.store.Observed().Begin("web1", store.Session{ID: "s", AgentVersion: "1.2", Facts: &typesv1.HostFacts{Arch: "amd64"}, Start: time.Now()})
	got, err := l.hosts.GetHost(t.Context(), &controlv1.GetHostRequest{Name: "web1"})
	if h := got.GetHost(); err != nil || h.GetState() != typesv1.HostState_HOST_STATE_CONNECTED || h.GetFacts().GetArch() != "amd64" || h.GetLastSeenTime() == nil {
		t.Errorf("%v %v", got, err)
	}
	_, err = l.hosts.UpdateHost(t.Context(), &controlv1.UpdateHostRequest{Name: "web1", Etag: "1", SetLabels: map[string]string{"a": "b"}})
	l.refused(err, codes.Aborted, "web1")
	updated, err := l.hosts.UpdateHost(t.Context(), &controlv1.UpdateHostRequest{
		Name: "web1", Etag: got.GetHost().GetEtag(), SetLabels: map[string]string{"a": "b"}, RemoveLabels: []string{"role"},
	})
	if labels := updated.GetHost().GetLabels(); err != nil || labels["a"] != "b" || len(labels) != 1 {
		t.Errorf("%v %v", updated, err)
	}
	if _, err := l.hosts.DeleteHost(t.Context(), &controlv1.DeleteHostRequest{Name: "web1"}); err != nil {
		t.Fatal(err)
	}
	_, err = l.hosts.GetHost(t.Context(), &controlv1.GetHostRequest{Name: "web1"})
	l.refused(err, codes.NotFound, "web1")
	if !l.store.View().IsRevoked("web1", "whatever key it had") {
		t.Error("the host's certificate is still good")
	}
}

func TestTokens(t *testing.T) {
	l := newLab(t)
	made, err := l.tokens.CreateToken(t.Context(), &controlv1.CreateTokenRequest{})
	if err != nil {
		t.Fatal(err)
	}
	parts := strings.Split(made.GetJoinToken(), ".")
	if len(parts) != 3 || parts[0] != "ancora-join" || len(parts[1]) != 43 || len(parts[2]) != 64 {
		t.Errorf("join token %q", made.GetJoinToken())
	}
	if life := time.Until(made.GetToken().GetExpireTime().AsTime()); life > time.Hour || life < 59*time.Minute || made.GetToken().GetMaxUses() != 1 {
		t.Errorf("defaults: %v", made.GetToken())
	}
	if l.store.View().Tokens[store.Digest([]byte(parts[1]))] == nil {
		t.Error("the secret's digest is not what is stored")
	}
	_, err = l.tokens.CreateToken(t.Context(), &controlv1.CreateTokenRequest{Host: "No", MaxUses: -1, Ttl: durationpb.New(time.Hour * 1000)})
	l.refused(err, codes.InvalidArgument)
	if got := fields(err); !slices.Equal(got, []string{"host", "max_uses", "ttl"}) {
		t.Errorf("fields %v", got)
	}
	list, err := l.tokens.ListTokens(t.Context(), &controlv1.ListTokensRequest{})
	if err != nil || len(list.GetTokens()) != 1 {
		t.Errorf("%v %v", list, err)
	}
	if _, err := l.tokens.DeleteToken(t.Context(), &controlv1.DeleteTokenRequest{Id: made.GetToken().GetId()}); err != nil {
		t.Error(err)
	}
	_, err = l.tokens.DeleteToken(t.Context(), &controlv1.DeleteTokenRequest{Id: made.GetToken().GetId()})
	l.refused(err, codes.NotFound)
}

func TestInstances(t *testing.T) {
	l := newLab(t)
	l.host("web1", "web")
	l.host("web2", "web")
	l.host("db1", "db")
	l.apply(&controlv1.UpdateSiteRequest{Site: siteMessage("shop", "role=web")})
	o := l.store.Observed()
	o.Begin("web1", store.Session{ID: "s"})
	o.SetInstances("web1", "s", true, []*typesv1.InstanceStatus{{Host: "web1", Site: "shop"}, {Host: "web1", Site: "other"}})
	list, err := l.instances.ListInstances(t.Context(), &controlv1.ListInstancesRequest{Site: "shop"})
	if err != nil || len(list.GetInstances()) != 1 || !slices.Equal(list.GetUnreachableHosts(), []string{"web2"}) {
		t.Errorf("%v %v", list, err)
	}
	watch, err := l.instances.WatchInstances(t.Context(), &controlv1.WatchInstancesRequest{Site: "shop"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := watch.Recv(); err != nil {
		t.Fatal(err)
	}
	o.SetInstances("web1", "s", false, []*typesv1.InstanceStatus{{Host: "web1", Site: "shop", RecentFailures: 3}})
	if message, err := watch.Recv(); err != nil || message.GetInstances()[0].GetRecentFailures() != 3 {
		t.Errorf("%v %v", message, err)
	}
	_, err = l.instances.ListInstances(t.Context(), &controlv1.ListInstancesRequest{Site: "none"})
	l.refused(err, codes.NotFound, "none")
}

func TestRecycle(t *testing.T) {
	l := newLab(t)
	l.host("web1", "web")
	l.host("web2", "web")
	l.apply(&controlv1.UpdateSiteRequest{Site: siteMessage("shop", "role=web")})
	recycle := func(hosts *typesv1.Selector) ([]string, error) {
		answer, err := l.instances.RecycleInstances(t.Context(), &controlv1.RecycleInstancesRequest{Site: "shop", Hosts: hosts})
		return answer.GetHosts(), err
	}
	if hosts, err := recycle(nil); err != nil || len(hosts) != 2 {
		t.Errorf("%v %v", hosts, err)
	}
	l.store.View()
	if _, err := l.hosts.UpdateHost(t.Context(), &controlv1.UpdateHostRequest{Name: "web2", SetLabels: map[string]string{"ring": "b"}}); err != nil {
		t.Fatal(err)
	}
	if hosts, err := recycle(&typesv1.Selector{Expression: "ring=b"}); err != nil || !slices.Equal(hosts, []string{"web2"}) {
		t.Errorf("%v %v", hosts, err)
	}
	view := l.store.View()
	if one, two := view.RecycleEpoch("shop", "web1"), view.RecycleEpoch("shop", "web2"); one != 1 || two != 2 {
		t.Errorf("epochs %d and %d, want 1 and 2", one, two)
	}
	_, err := recycle(&typesv1.Selector{Expression: "ring=z"})
	l.refused(err, codes.InvalidArgument, "matches no host")
}

func TestOfflineNotices(t *testing.T) {
	l := newLab(t)
	l.host("web1", "web")
	l.host("db1", "db")
	l.apply(&controlv1.UpdateSiteRequest{Site: siteMessage("shop", "role=web")})
	create := func(n *typesv1.OfflineNotice) (*controlv1.CreateOfflineNoticeResponse, error) {
		return l.offline.CreateOfflineNotice(t.Context(), &controlv1.CreateOfflineNoticeRequest{Notice: n})
	}
	made, err := create(&typesv1.OfflineNotice{Name: "mine", Sites: []string{"shop"}})
	if err != nil || made.GetNotice().GetName() != "n-1" || !slices.Equal(made.GetHosts(), []string{"web1"}) {
		t.Fatalf("%v %v", made, err)
	}
	_, err = create(&typesv1.OfflineNotice{Sites: []string{"shop", "nope"}})
	l.refused(err, codes.NotFound, "nope")
	_, err = create(&typesv1.OfflineNotice{Hosts: &typesv1.Selector{Expression: "role=none"}})
	l.refused(err, codes.InvalidArgument, "matches no host")
	_, err = create(&typesv1.OfflineNotice{
		Content:    &typesv1.OfflineNotice_PageHtml{PageHtml: make([]byte, 64<<10+1)},
		RetryAfter: durationpb.New(-time.Second),
		ExpireTime: timestamppb.New(time.Now().Add(-time.Second)),
	})
	l.refused(err, codes.InvalidArgument)
	if got := fields(err); !slices.Equal(got, []string{"notice.page_html", "notice.retry_after", "notice.expire_time"}) {
		t.Errorf("fields %v", got)
	}

	watch, err := l.offline.WatchOfflineNotice(t.Context(), &controlv1.WatchOfflineNoticeRequest{Name: "n-1"})
	if err != nil {
		t.Fatal(err)
	}
	if message, err := watch.Recv(); err != nil || len(message.GetHosts()) != 1 || message.GetHosts()[0].GetStatus() != nil {
		t.Fatalf("%v %v", message, err)
	}
	o := l.store.Observed()
	o.Begin("web1", store.Session{ID: "s"})
	o.SetNoticeStatus("web1", "s", &typesv1.NoticeStatus{Host: "web1", Notice: "n-1", State: typesv1.NoticeState_NOTICE_STATE_APPLIED})
	for applied := false; !applied; {
		message, err := watch.Recv()
		if err != nil {
			t.Fatal(err)
		}
		applied = message.GetHosts()[0].GetStatus().GetState() == typesv1.NoticeState_NOTICE_STATE_APPLIED
	}
	if _, err := l.offline.DeleteOfflineNotice(t.Context(), &controlv1.DeleteOfflineNoticeRequest{Name: "n-1"}); err != nil {
		t.Fatal(err)
	}
	if message, err := watch.Recv(); err != nil || !message.GetEnded() {
		t.Errorf("%v %v", message, err)
	}
	ended(t, watch)
	if again, err := create(&typesv1.OfflineNotice{}); err != nil || again.GetNotice().GetName() != "n-2" {
		t.Errorf("a number was given again: %v %v", again, err)
	}
	_, err = l.offline.WatchOfflineNotice(t.Context(), &controlv1.WatchOfflineNoticeRequest{Name: "n-1"})
	if err != nil {
		t.Fatal(err)
	}
}

func TestLogs(t *testing.T) {
	l := newLab(t)
	ask := func(request *controlv1.StreamLogsRequest) (*controlv1.StreamLogsResponse, error) {
		stream, err := l.logs.StreamLogs(t.Context(), request)
		if err != nil {
			t.Fatal(err)
		}
		return stream.Recv()
	}
	_, err := ask(&controlv1.StreamLogsRequest{Hosts: &typesv1.Selector{Expression: "(("}})
	l.refused(err, codes.InvalidArgument, "query.site", "hosts")
	query := &typesv1.LogQuery{Site: "shop"}
	_, err = ask(&controlv1.StreamLogsRequest{Query: query})
	l.refused(err, codes.NotFound, "shop")
	l.apply(&controlv1.UpdateSiteRequest{Site: siteMessage("shop", "all")})
	answer, err := ask(&controlv1.StreamLogsRequest{Query: query})
	if err != nil || answer.GetHost().GetHost() != "asked" {
		t.Errorf("%v %v", answer, err)
	}
}
