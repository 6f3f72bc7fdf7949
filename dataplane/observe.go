package dataplane

import (
	"maps"
	"slices"
	"sync/atomic"
	"time"

	"github.com/ancora-fleet/ancora/dataplane/accesslog"
	"github.com/ancora-fleet/ancora/dataplane/app"
	"github.com/ancora-fleet/ancora/dataplane/forward"
	"github.com/ancora-fleet/ancora/dataplane/meter"
	"github.com/ancora-fleet/ancora/dataplane/recycle"
)

// watchedDoor is a door that tells an observer of the requests.
type watchedDoor struct {
	forward.Door
	*observer
}

var _ forward.Observer = (*watchedDoor)(nil)

// observer is told of the requests of one site, whichever application they are for. It stays while the site does.
type observer struct {
	meter *meter.Site
	log   atomic.Pointer[accesslog.Log] // nil: the site asks for none
}

func newObserver() *observer { return &observer{meter: meter.NewSite()} }

// Begin implements forward.Observer.
func (o *observer) Begin(r *forward.Request) { o.meter.Begin(r.Lane) }

// End implements forward.Observer.
func (o *observer) End(x *forward.Exchange) {
	o.meter.End(x.Request.Lane, x.Status, x.Duration, x.Received, x.Sent, x.Aborted)
	if l := o.log.Load(); l != nil {
		e := entryOf(x, time.Now())
		l.Add(&e)
	}
}

// SiteCounts is what was counted at one site since the worker started.
type SiteCounts struct {
	Site string // empty for the requests that no site has claimed
	meter.Counts
	// LogDropped are lines of the access log that the disk was too slow or too full for.
	LogDropped   uint64
	Applications []ApplicationCounts
}

// ApplicationCounts is what was counted behind the door of one application.
type ApplicationCounts struct {
	Application string
	// Connects are connections to instances that were opened.
	Connects uint64
	// Starts are instances that were started, by reason.
	Starts map[meter.Reason]uint64
	// Recycles are instances that were replaced or stopped by the application's rules, by reason.
	Recycles map[recycle.Reason]uint64
	// Load is its queue, and what was refused; it starts at zero also when the folder of the application moves.
	Load app.Load
}

// Counts gives the counters of the sites that run here, in the order of their names, those of no site first. It is not for the path of requests.
func (s *Server) Counts() []SiteCounts {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := []SiteCounts{{Counts: s.nowhere.meter.Counts()}}
	for _, name := range slices.Sorted(maps.Keys(s.sites)) {
		r := s.sites[name]
		counts := SiteCounts{Site: name, Counts: r.observer.meter.Counts()}
		if l := s.logs[name]; l != nil {
			counts.LogDropped = l.Dropped()
		}
		for _, path := range slices.Sorted(maps.Keys(r.apps)) {
			counts.Applications = append(counts.Applications, applicationCounts(path, r))
		}
		all = append(all, counts)
	}
	return all
}

func applicationCounts(path string, r *runningSite) ApplicationCounts {
	m := r.observer.meter.Application(path)
	c := ApplicationCounts{Application: path, Connects: m.Connects(), Starts: map[meter.Reason]uint64{}, Recycles: map[recycle.Reason]uint64{}, Load: r.apps[path].app.Load()}
	for _, why := range meter.Reasons() {
		c.Starts[why] = m.Starts(why)
	}
	for _, why := range recycle.Reasons() {
		c.Recycles[why] = m.Recycles(why)
	}
	return c
}
