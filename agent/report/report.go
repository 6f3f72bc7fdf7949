// Package report keeps the newest status of every site, notice and instance of a host between the data plane, which
// learns of them, and the session, which tells the controller.
//
// Only the newest word on a thing counts: what was not sent yet is replaced, so a controller that is slow or away costs
// one status each, never a queue. Nothing is lost either: a session begins with everything there is.
package report

import (
	"sync"

	"google.golang.org/protobuf/proto"

	agentv1 "github.com/ancora-fleet/ancora/proto/ancora/agent/v1"
	typesv1 "github.com/ancora-fleet/ancora/proto/ancora/types/v1"
)

// maxReport is how many bytes of instances go into one message: a report of all is cut, its first part is complete, the
// others add to it. A message has its limit, and heartbeats should not stand behind a large one.
const maxReport = 256 << 10

// Reporter holds the newest statuses. Its methods may be called from any goroutine; messages that are given to it must
// not be changed afterwards.
type Reporter struct {
	mu        sync.Mutex
	changed   chan struct{} // closed when there is something to send
	sites     kept[string, *typesv1.SiteStatus]
	notices   kept[string, *typesv1.NoticeStatus]
	instances kept[instance, *typesv1.InstanceStatus]
	gone      bool // an instance is gone: the next report is a complete one
}

// instance is what tells instances apart.
type instance struct {
	site, application string
	slot              uint32
}

func key(s *typesv1.InstanceStatus) instance {
	return instance{s.GetSite(), s.GetApplication(), s.GetInstance()}
}

// New makes a Reporter that knows of nothing.
func New() *Reporter {
	return &Reporter{
		changed:   make(chan struct{}),
		sites:     newKept[string, *typesv1.SiteStatus](),
		notices:   newKept[string, *typesv1.NoticeStatus](),
		instances: newKept[instance, *typesv1.InstanceStatus](),
	}
}

// Site notes the newest status of a site.
func (r *Reporter) Site(status *typesv1.SiteStatus) {
	r.change(func() bool { return r.sites.put(status.GetSite(), status) })
}

// Notice notes the newest status of a notice.
func (r *Reporter) Notice(status *typesv1.NoticeStatus) {
	r.change(func() bool { return r.notices.put(status.GetNotice(), status) })
}

// Instance notes the newest status of an instance.
func (r *Reporter) Instance(status *typesv1.InstanceStatus) {
	r.change(func() bool { return r.instances.put(key(status), status) })
}

// Replace notes the whole truth: what it leaves out is gone. Of sites and notices that are gone nothing is said any
// more; that instances are gone is told by a complete report.
func (r *Reporter) Replace(sites []*typesv1.SiteStatus, notices []*typesv1.NoticeStatus, instances []*typesv1.InstanceStatus) {
	r.change(func() bool {
		news, _ := r.sites.replace(sites, (*typesv1.SiteStatus).GetSite)
		newNotices, _ := r.notices.replace(notices, (*typesv1.NoticeStatus).GetNotice)
		newInstances, gone := r.instances.replace(instances, key)
		r.gone = r.gone || gone
		return news || newNotices || newInstances || gone
	})
}

// Changed is closed once there is something to send that neither Complete nor Changes has given out.
func (r *Reporter) Changed() <-chan struct{} {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.changed
}

// Complete gives everything, as the messages a session begins with. A session that ends has perhaps not delivered what
// it took: the next one begins with everything again, so nothing needs to be put back.
func (r *Reporter) Complete() []*agentv1.SessionRequest {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.sites.touchAll()
	r.notices.touchAll()
	r.gone = true
	return r.take()
}

// Changes gives what is new since the last call of Complete or Changes, in the order it was learnt; nil when nothing is.
func (r *Reporter) Changes() []*agentv1.SessionRequest {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.take()
}

// change applies a change and wakes who waits when it was one.
func (r *Reporter) change(apply func() bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !apply() {
		return
	}
	select {
	case <-r.changed:
	default:
		close(r.changed)
	}
}

// take gives out all that is fresh. Notices come first: somebody waits for them.
func (r *Reporter) take() []*agentv1.SessionRequest {
	var messages []*agentv1.SessionRequest
	for _, status := range r.notices.take() {
		messages = append(messages, &agentv1.SessionRequest{Message: &agentv1.SessionRequest_NoticeStatus{NoticeStatus: status}})
	}
	for _, report := range r.reports() {
		messages = append(messages, &agentv1.SessionRequest{Message: &agentv1.SessionRequest_InstanceReport{InstanceReport: report}})
	}
	for _, status := range r.sites.take() {
		messages = append(messages, &agentv1.SessionRequest{Message: &agentv1.SessionRequest_SiteStatus{SiteStatus: status}})
	}
	select {
	case <-r.changed:
		r.changed = make(chan struct{})
	default:
	}
	return messages
}

// reports gives the instances that are fresh, all of them in a complete report when one is gone.
func (r *Reporter) reports() []*agentv1.InstanceReport {
	complete := r.gone
	if complete {
		r.instances.touchAll()
	}
	r.gone = false
	fresh := r.instances.take()
	if len(fresh) == 0 && !complete {
		return nil
	}
	reports := []*agentv1.InstanceReport{{Complete: complete}}
	size := 0
	for _, status := range fresh {
		last := reports[len(reports)-1]
		n := proto.Size(status)
		if size+n > maxReport && len(last.Instances) > 0 {
			last = &agentv1.InstanceReport{}
			reports = append(reports, last)
			size = 0
		}
		last.Instances = append(last.Instances, status)
		size += n
	}
	return reports
}
