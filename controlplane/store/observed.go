package store

import (
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	agentv1 "github.com/ancora-fleet/ancora/proto/ancora/agent/v1"
	typesv1 "github.com/ancora-fleet/ancora/proto/ancora/types/v1"
)

// Observed is what hosts say, as far as this controller has their sessions. Reports name the session they came by; those
// of a session that is no longer the host's current one are dropped, and the method says so by false. Messages given in
// are kept and must not be changed afterwards, nor may those that are handed out.
type Observed struct {
	mu      sync.Mutex
	hosts   map[string]*observedHost
	changed chan struct{}
	view    func() *View
}

// Session is one registration of an agent.
type Session struct {
	ID string
	// AgentInstanceID is made anew at each start of a keeper.
	AgentInstanceID string
	AgentVersion    string
	Facts           *typesv1.HostFacts
	Start           time.Time
}

// HostStatus is where a host stands.
type HostStatus struct {
	// Connected says that Session has not ended.
	Connected bool
	// Session is the newest one; zero when there was none since this controller started.
	Session  Session
	LastSeen time.Time
	// Generation of the manifest sent last.
	Generation int64
	// Refusal says why the host refused it; empty when it did not.
	Refusal string
	// FollowedStoreID is the store the host follows, when it refused because of that.
	FollowedStoreID string
	// Held names the sites that were placed on the host when its session ended; nil while it is connected.
	Held []string
}

type observedHost struct {
	status    HostStatus
	sites     map[string]*typesv1.SiteStatus
	notices   map[string]*typesv1.NoticeStatus
	instances map[instanceKey]*typesv1.InstanceStatus
}

// maxStatuses bounds what one host may make us remember of each kind; what it says beyond that is dropped.
const maxStatuses = 10_000

type instanceKey struct {
	site, application string
	instance          uint32
}

func newObserved(view func() *View) *Observed {
	return &Observed{hosts: make(map[string]*observedHost), changed: make(chan struct{}), view: view}
}

// Changed is closed at the next change. Take it before reading, then wait on it: nothing is missed and many changes
// are one.
func (o *Observed) Changed() <-chan struct{} {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.changed
}

// wake tells who waits; the lock is held.
func (o *Observed) wake() {
	close(o.changed)
	o.changed = make(chan struct{})
}

// Begin makes a session the host's current one. What earlier sessions said of sites and notices is forgotten: the agent
// says all of it again.
func (o *Observed) Begin(host string, session Session) {
	o.mu.Lock()
	defer o.mu.Unlock()
	h := o.hosts[host]
	if h == nil {
		h = &observedHost{instances: make(map[instanceKey]*typesv1.InstanceStatus)}
		o.hosts[host] = h
	}
	h.status = HostStatus{Connected: true, Session: session, LastSeen: session.Start}
	h.sites = make(map[string]*typesv1.SiteStatus)
	h.notices = make(map[string]*typesv1.NoticeStatus)
	o.wake()
}

// End ends a session; the host is unreachable until the next one begins.
func (o *Observed) End(host, session string) bool {
	placed := o.view().SitesOn(host)
	return o.report(host, session, func(h *observedHost) {
		h.status.Connected = false
		h.status.Held = make([]string, len(placed))
		for i, s := range placed {
			h.status.Held[i] = s.Name()
		}
	})
}

// Forget drops a host that was deleted.
func (o *Observed) Forget(host string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.hosts[host] != nil {
		delete(o.hosts, host)
		o.wake()
	}
}

// Touch notes that a session was heard of. It wakes nobody.
func (o *Observed) Touch(host, session string, now time.Time) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	h := o.current(host, session)
	if h == nil {
		return false
	}
	h.status.LastSeen = now
	return true
}

// SetGeneration notes which manifest was sent; what the host said of an earlier one is past.
func (o *Observed) SetGeneration(host, session string, generation int64) bool {
	return o.report(host, session, func(h *observedHost) { h.status.Generation, h.status.Refusal = generation, "" })
}

// SetManifestResult notes whether the host took the manifest.
func (o *Observed) SetManifestResult(host, session string, result *agentv1.ManifestResult) bool {
	return o.report(host, session, func(h *observedHost) {
		h.status.Refusal = result.GetRefusal()
		h.status.FollowedStoreID = result.GetFollowedStoreId()
	})
}

// SetSiteStatus notes what the host says of a site; the newest wins.
func (o *Observed) SetSiteStatus(host, session string, status *typesv1.SiteStatus) bool {
	return o.report(host, session, func(h *observedHost) { put(h.sites, status.GetSite(), status) })
}

// SetNoticeStatus notes what the host says of a notice; the newest wins.
func (o *Observed) SetNoticeStatus(host, session string, status *typesv1.NoticeStatus) bool {
	return o.report(host, session, func(h *observedHost) { put(h.notices, status.GetNotice(), status) })
}

// SetInstances notes what the host says of instances; what a complete report leaves out is gone.
func (o *Observed) SetInstances(host, session string, complete bool, instances []*typesv1.InstanceStatus) bool {
	return o.report(host, session, func(h *observedHost) {
		if complete {
			clear(h.instances)
		}
		for _, i := range instances {
			put(h.instances, instanceKey{i.GetSite(), i.GetApplication(), i.GetInstance()}, i)
		}
	})
}

func put[K comparable, V any](m map[K]V, k K, v V) {
	if _, has := m[k]; has || len(m) < maxStatuses {
		m[k] = v
	}
}

// report applies what came by a host's current session.
func (o *Observed) report(host, session string, change func(*observedHost)) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	h := o.current(host, session)
	if h == nil {
		return false
	}
	change(h)
	o.wake()
	return true
}

// current gives the host when session is its current one; the lock is held.
func (o *Observed) current(host, session string) *observedHost {
	h := o.hosts[host]
	if h == nil || !h.status.Connected || h.status.Session.ID != session {
		return nil
	}
	return h
}

// Host says where a host stands; the zero value when it has not been heard of.
func (o *Observed) Host(name string) HostStatus {
	o.mu.Lock()
	defer o.mu.Unlock()
	if h := o.hosts[name]; h != nil {
		return h.status
	}
	return HostStatus{}
}

// Connected lists the hosts that have a session, by name.
func (o *Observed) Connected() []string {
	o.mu.Lock()
	defer o.mu.Unlock()
	var names []string
	for name, h := range o.hosts {
		if h.status.Connected {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// SiteStatus gives the host's newest word on a site; nil when it has said nothing in its newest session.
func (o *Observed) SiteStatus(host, site string) *typesv1.SiteStatus {
	o.mu.Lock()
	defer o.mu.Unlock()
	if h := o.hosts[host]; h != nil {
		return h.sites[site]
	}
	return nil
}

// SiteStatuses gives the host's newest words on all sites, by name.
func (o *Observed) SiteStatuses(host string) []*typesv1.SiteStatus {
	o.mu.Lock()
	defer o.mu.Unlock()
	h := o.hosts[host]
	if h == nil {
		return nil
	}
	return slices.SortedFunc(maps.Values(h.sites), func(a, b *typesv1.SiteStatus) int {
		return strings.Compare(a.GetSite(), b.GetSite())
	})
}

// NoticeStatus gives the host's newest word on a notice; nil when it has said nothing in its newest session.
func (o *Observed) NoticeStatus(host, notice string) *typesv1.NoticeStatus {
	o.mu.Lock()
	defer o.mu.Unlock()
	if h := o.hosts[host]; h != nil {
		return h.notices[notice]
	}
	return nil
}

// Instances gives what a host said last of the instances of a site, of all sites when it is empty, in order of site,
// application and instance. It is kept when the session ends.
func (o *Observed) Instances(host, site string) []*typesv1.InstanceStatus {
	o.mu.Lock()
	defer o.mu.Unlock()
	h := o.hosts[host]
	if h == nil {
		return nil
	}
	var instances []*typesv1.InstanceStatus
	for k, i := range h.instances {
		if site == "" || k.site == site {
			instances = append(instances, i)
		}
	}
	slices.SortFunc(instances, func(a, b *typesv1.InstanceStatus) int {
		if c := strings.Compare(a.GetSite(), b.GetSite()); c != 0 {
			return c
		}
		if c := strings.Compare(a.GetApplication(), b.GetApplication()); c != 0 {
			return c
		}
		return int(a.GetInstance()) - int(b.GetInstance())
	})
	return instances
}
