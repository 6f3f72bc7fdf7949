package api

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/ancora-fleet/ancora/controlplane/selector"
	"github.com/ancora-fleet/ancora/controlplane/store"
	"github.com/ancora-fleet/ancora/dataplane/site"
	controlv1 "github.com/ancora-fleet/ancora/proto/ancora/control/v1"
	typesv1 "github.com/ancora-fleet/ancora/proto/ancora/types/v1"
)

const (
	maxNoticePage = 64 << 10
	maxText       = 4 << 10 // of message and reason, bytes
	maxRetryAfter = 30 * 24 * time.Hour
)

type offline struct {
	controlv1.UnimplementedOfflineServiceServer
	services
}

func (s *offline) CreateOfflineNotice(ctx context.Context, request *controlv1.CreateOfflineNoticeRequest) (*controlv1.CreateOfflineNoticeResponse, error) {
	now := time.Now()
	notice, err := validNotice(request.GetNotice(), now)
	if err != nil {
		return nil, err
	}
	view, err := s.store.Update(ctx, func(tx *store.Tx) error {
		if err := targetsExist(tx.View, notice); err != nil {
			return err
		}
		tx.PutNotice(notice)
		return nil
	})
	if err != nil {
		return nil, err
	}
	s.logger.Info("offline notice created", "notice", notice.GetName(), "sites", strings.Join(notice.GetSites(), ","))
	answer := &controlv1.CreateOfflineNoticeResponse{Notice: notice}
	if stored := view.Notices[notice.GetName()]; stored != nil {
		answer.Hosts = selector.Targets(view, stored)
	}
	return answer, nil
}

// validNotice says all that is wrong with a notice, and strips what is not the operator's to say.
func validNotice(sent *typesv1.OfflineNotice, now time.Time) (*typesv1.OfflineNotice, error) {
	if sent == nil {
		return nil, problem("notice", "is missing")
	}
	n := proto.CloneOf(sent)
	n.Name, n.CreateTime = "", timestamppb.New(now)
	slices.Sort(n.Sites)
	n.Sites = slices.Compact(n.Sites)
	var problems site.Problems
	add := func(field, format string, args ...any) {
		problems = append(problems, problem("notice."+field, format, args...)...)
	}
	if len(n.GetPageHtml()) > maxNoticePage {
		add("page_html", "takes %d bytes, more than %d", len(n.GetPageHtml()), maxNoticePage)
	}
	for _, text := range []struct{ field, value string }{{"message", n.GetMessage()}, {"reason", n.GetReason()}} {
		if len(text.value) > maxText {
			add(text.field, "takes %d bytes, more than %d", len(text.value), maxText)
		}
	}
	if r := n.GetRetryAfter(); r != nil && (r.AsDuration() < 0 || r.AsDuration() > maxRetryAfter) {
		add("retry_after", "%s is not 0s to 720h", r.AsDuration())
	}
	if e := n.GetExpireTime(); e != nil && !e.AsTime().After(now) {
		add("expire_time", "%s is past", e.AsTime().Format(time.RFC3339))
	}
	if n.Hosts != nil {
		if _, err := selector.Parse(n.Hosts); err != nil {
			add("hosts", "%v", err)
		}
	}
	if len(problems) > 0 {
		return nil, problems
	}
	return n, nil
}

// targetsExist refuses what would take nothing out of service because of a misspelt name.
func targetsExist(view *store.View, n *typesv1.OfflineNotice) error {
	var missing []string
	for _, name := range n.GetSites() {
		if view.Sites[name] == nil {
			missing = append(missing, name)
		}
	}
	if len(missing) > 0 {
		return fmt.Errorf("site %s %w", strings.Join(missing, ", "), store.ErrNotExist)
	}
	if n.GetHosts() == nil {
		return nil
	}
	hosts, err := selector.Parse(n.GetHosts())
	if err != nil {
		return problem("notice.hosts", "%v", err)
	}
	if len(view.HostsWith(hosts)) == 0 {
		return problem("notice.hosts", "%q matches no host", n.GetHosts().GetExpression())
	}
	return nil
}

// ListOfflineNotices gives them in order of creation.
func (s *offline) ListOfflineNotices(context.Context, *controlv1.ListOfflineNoticesRequest) (*controlv1.ListOfflineNoticesResponse, error) {
	answer := &controlv1.ListOfflineNoticesResponse{}
	for _, n := range s.store.View().Notices {
		answer.Notices = append(answer.Notices, n.Message)
	}
	slices.SortFunc(answer.Notices, func(a, b *typesv1.OfflineNotice) int {
		return cmp.Or(a.GetCreateTime().AsTime().Compare(b.GetCreateTime().AsTime()), strings.Compare(a.GetName(), b.GetName()))
	})
	return answer, nil
}

func (s *offline) DeleteOfflineNotice(ctx context.Context, request *controlv1.DeleteOfflineNoticeRequest) (*controlv1.DeleteOfflineNoticeResponse, error) {
	_, err := s.store.Update(ctx, func(tx *store.Tx) error {
		n := tx.View.Notices[request.GetName()]
		if n == nil {
			return notFound("offline notice", request.GetName())
		}
		tx.DeleteNotice(n)
		return nil
	})
	if err != nil {
		return nil, err
	}
	s.logger.Info("offline notice deleted", "notice", request.GetName())
	return &controlv1.DeleteOfflineNoticeResponse{}, nil
}

func (s *offline) WatchOfflineNotice(request *controlv1.WatchOfflineNoticeRequest, stream controlv1.OfflineService_WatchOfflineNoticeServer) error {
	var last *controlv1.WatchOfflineNoticeResponse
	return s.watch(stream.Context(), func(view *store.View) (bool, error) {
		n := view.Notices[request.GetName()]
		switch {
		case n == nil && last == nil:
			return false, notFound("offline notice", request.GetName())
		case n == nil:
			return true, stream.Send(&controlv1.WatchOfflineNoticeResponse{Hosts: last.Hosts, Ended: true})
		}
		answer := &controlv1.WatchOfflineNoticeResponse{Hosts: s.targets(view, n)}
		if last != nil && proto.Equal(last, answer) {
			return false, nil
		}
		last = answer
		return false, stream.Send(answer)
	})
}

// targets is where every targeted host stands.
func (s *offline) targets(view *store.View, n *store.Notice) []*controlv1.NoticeHost {
	var hosts []*controlv1.NoticeHost
	for _, name := range selector.Targets(view, n) {
		hosts = append(hosts, &controlv1.NoticeHost{
			Host:   name,
			State:  s.hostState(view, name),
			Status: s.observed.NoticeStatus(name, n.Name()),
		})
	}
	return hosts
}
