package agent

import (
	"encoding/hex"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/ancora-fleet/ancora/agent/lastgood"
	"github.com/ancora-fleet/ancora/dataplane"
	"github.com/ancora-fleet/ancora/dataplane/supervise"
	typesv1 "github.com/ancora-fleet/ancora/proto/ancora/types/v1"
)

// siteMessages answer for the wanted sites; one whose document cannot be used is rejected, whatever runs of it.
func siteMessages(shot dataplane.Snapshot, wanted []lastgood.Site, unusable map[string]string) []*typesv1.SiteStatus {
	running := map[string]dataplane.SiteStatus{}
	for _, s := range shot.Sites {
		running[s.Site] = s
	}
	var all []*typesv1.SiteStatus
	for _, w := range wanted {
		digest, _ := hex.DecodeString(w.Digest)
		m := &typesv1.SiteStatus{Site: w.Name, Revision: w.Revision, Digest: digest, Phase: typesv1.Phase_PHASE_ACCEPTED}
		s, ok := running[w.Name]
		if ok {
			m.ServingRevision, m.Offline, m.Notes = s.ServingRevision, s.Offline, s.Notes
		}
		switch {
		case unusable[w.Name] != "":
			m.Phase, m.Reason = typesv1.Phase_PHASE_REJECTED, unusable[w.Name]
		case ok && hex.EncodeToString(s.Digest) == w.Digest:
			m.Phase, m.Reason = phase(s.Phase), s.Reason
		}
		all = append(all, m)
	}
	return all
}

func phase(p dataplane.Phase) typesv1.Phase {
	switch p {
	case dataplane.Accepted:
		return typesv1.Phase_PHASE_ACCEPTED
	case dataplane.Starting:
		return typesv1.Phase_PHASE_STARTING
	case dataplane.Serving:
		return typesv1.Phase_PHASE_SERVING
	case dataplane.Idle:
		return typesv1.Phase_PHASE_IDLE
	case dataplane.Failed:
		return typesv1.Phase_PHASE_FAILED
	case dataplane.Rejected:
		return typesv1.Phase_PHASE_REJECTED
	}
	return typesv1.Phase_PHASE_UNSPECIFIED
}

func noticeMessages(shot dataplane.Snapshot, wanted []lastgood.Notice, unusable map[string]string) []*typesv1.NoticeStatus {
	seen := map[string]dataplane.NoticeStatus{}
	for _, n := range shot.Notices {
		seen[n.Notice] = n
	}
	var all []*typesv1.NoticeStatus
	for _, w := range wanted {
		digest, _ := hex.DecodeString(w.Digest)
		m := &typesv1.NoticeStatus{Notice: w.Name, Digest: digest, State: typesv1.NoticeState_NOTICE_STATE_PENDING}
		if n, ok := seen[w.Name]; ok {
			m.State, m.Reason = noticeState(n.State), n.Reason
		}
		if unusable[w.Name] != "" {
			m.State, m.Reason = typesv1.NoticeState_NOTICE_STATE_FAILED, unusable[w.Name]
		}
		all = append(all, m)
	}
	return all
}

func noticeState(s dataplane.NoticeState) typesv1.NoticeState {
	switch s {
	case dataplane.NoticeApplied:
		return typesv1.NoticeState_NOTICE_STATE_APPLIED
	case dataplane.NoticeNothingToDo:
		return typesv1.NoticeState_NOTICE_STATE_NOTHING_TO_DO
	case dataplane.NoticeFailed:
		return typesv1.NoticeState_NOTICE_STATE_FAILED
	case dataplane.NoticeExpired:
		return typesv1.NoticeState_NOTICE_STATE_EXPIRED
	}
	return typesv1.NoticeState_NOTICE_STATE_PENDING
}

func instanceMessages(shot dataplane.Snapshot) []*typesv1.InstanceStatus {
	var all []*typesv1.InstanceStatus
	for _, i := range shot.Instances {
		m := &typesv1.InstanceStatus{
			Site: i.Site, Application: i.Application, Instance: i.Instance, Run: i.Run, State: instanceState(i.Status), Revision: i.Revision,
			Pid: int32(i.PID), Port: uint32(i.Port), RecentFailures: uint32(i.RecentFailures), Message: i.Message, StartTime: moment(i.StartTime),
		}
		if e := i.LastExit; e != nil {
			m.LastExit = &typesv1.ExitStatus{
				Code: int32(e.Code), Signal: int32(e.Signal), Time: moment(e.Time), Run: e.Run, Unexpected: e.Unexpected, LastOutput: valid(e.Output),
			}
		}
		if r := i.Recycled; r != nil {
			m.LastRecycle = &typesv1.RecycleStatus{Time: moment(r.Time), Reason: string(r.Reason), Message: r.Text}
		}
		all = append(all, m)
	}
	return all
}

func instanceState(s supervise.Status) typesv1.InstanceState {
	switch {
	case s.State == supervise.Starting, s.State == supervise.Warming:
		return typesv1.InstanceState_INSTANCE_STATE_STARTING
	case s.State == supervise.Ready:
		return typesv1.InstanceState_INSTANCE_STATE_READY
	case s.State == supervise.Draining:
		return typesv1.InstanceState_INSTANCE_STATE_DRAINING
	case s.State == supervise.Stopping:
		return typesv1.InstanceState_INSTANCE_STATE_STOPPING
	case s.Refused:
		return typesv1.InstanceState_INSTANCE_STATE_REFUSED
	}
	return typesv1.InstanceState_INSTANCE_STATE_EXITED
}

func moment(t time.Time) *timestamppb.Timestamp {
	if t.IsZero() {
		return nil
	}
	return timestamppb.New(t)
}
