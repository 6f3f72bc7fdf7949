package dataplane

import (
	"maps"
	"slices"
	"time"

	"github.com/ancora-fleet/ancora/dataplane/app"
)

// Snapshot tells where everything stands.
func (s *Server) Snapshot() Snapshot {
	s.mu.Lock()
	defer s.mu.Unlock()
	shot := Snapshot{Listeners: s.listeners.list(), Time: time.Now()}
	for _, d := range s.desired.Sites {
		status, instances := s.siteStatus(d, shot.Time)
		shot.Sites = append(shot.Sites, status)
		shot.Instances = append(shot.Instances, instances...)
	}
	for _, name := range slices.Sorted(maps.Keys(s.notices)) {
		shot.Notices = append(shot.Notices, s.notices[name].status)
	}
	return shot
}

// siteStatus tells where one site stands; the lock is held.
func (s *Server) siteStatus(d DesiredSite, now time.Time) (status SiteStatus, instances []InstanceStatus) {
	status = SiteStatus{Site: d.Site.Name, Revision: d.Revision, Digest: d.Digest, Phase: Accepted}
	r := s.sites[d.Site.Name]
	if r == nil {
		return status, nil
	}
	status.Routed = r.site != nil && r.route == ""
	status.Notes = slices.Concat(r.notes, r.certificateNotes(now))
	var apps []app.Status
	for _, path := range slices.Sorted(maps.Keys(r.apps)) {
		a := r.apps[path].app.Status()
		apps = append(apps, a)
		status.Offline = union(status.Offline, a.Offline)
		for _, i := range a.Instances {
			instances = append(instances, InstanceStatus{r.name, path, i})
		}
	}
	s.judge(&status, r, apps)
	return status, instances
}

// judge folds what is known of a site's applications into one phase.
func (s *Server) judge(status *SiteStatus, r *runningSite, apps []app.Status) {
	problem := r.rejected
	if problem == "" && r.site != nil {
		problem = s.unbound(r.site)
	}
	if problem == "" {
		problem = r.route
	}
	starting, ready := false, false
	for _, a := range apps {
		if a.Revision > status.ServingRevision {
			status.ServingRevision = a.Revision
		}
		starting = starting || a.Starting || a.Swapping
		ready = ready || a.Ready
		failure := a.SwapError
		if failure == nil && !a.Ready && !a.Starting {
			failure = a.Failure
		}
		if failure != nil && status.Reason == "" {
			status.Reason = failure.Error()
		}
	}
	switch {
	case problem != "":
		status.Phase, status.Reason = Rejected, problem
		if r.route != "" {
			status.ServingRevision = 0
		}
	case status.Reason != "":
		status.Phase = Failed
	case starting:
		status.Phase = Starting
	case ready:
		status.Phase = Serving
	default:
		status.Phase = Idle
	}
}

func union(a, b []string) []string {
	for _, x := range b {
		if !slices.Contains(a, x) {
			a = append(a, x)
		}
	}
	return a
}
