package dataplane

import (
	"time"

	"github.com/ancora-fleet/ancora/dataplane/supervise"
)

// Phase is where a site stands.
type Phase string

const (
	// Accepted: held and valid, nothing has been done yet.
	Accepted Phase = "ACCEPTED"
	// Starting: an instance is coming up.
	Starting Phase = "STARTING"
	// Serving: every application with an instance has one that serves.
	Serving Phase = "SERVING"
	// Idle: applied, not proven; the first request starts it.
	Idle Phase = "IDLE"
	// Failed: applied, but an application does not start.
	Failed Phase = "FAILED"
	// Rejected: this revision is not run here.
	Rejected Phase = "REJECTED"
)

// SiteStatus is the answer for one site.
type SiteStatus struct {
	Site     string
	Revision int64
	Digest   []byte
	Phase    Phase
	// Reason says why REJECTED or FAILED.
	Reason string
	// ServingRevision is what requests are answered by; 0: by nothing.
	ServingRevision int64
	// Offline is all that holds the site.
	Offline []string
	// Routed says that requests for the site are answered here, if only by pages that say it does not run.
	Routed bool
	// Notes is what operators should know of how web.config is read, and of certificates; what likely is not as somebody meant
	// it begins with WarningPrefix.
	Notes []string
}

// WarningPrefix begins a note that is a warning.
const WarningPrefix = "WARNING: "

// NoticeState is where a notice stands.
type NoticeState string

const (
	NoticePending     NoticeState = "PENDING"
	NoticeApplied     NoticeState = "APPLIED"
	NoticeNothingToDo NoticeState = "NOTHING_TO_DO"
	NoticeFailed      NoticeState = "FAILED"
	NoticeExpired     NoticeState = "EXPIRED"
)

// NoticeStatus is the answer for one notice.
type NoticeStatus struct {
	Notice string
	Digest []byte
	State  NoticeState
	Reason string
}

// InstanceStatus is one instance, running or the last that ran.
type InstanceStatus struct {
	Site, Application string
	supervise.Status
}

// Listener is one named listener.
type Listener struct {
	Name string
	// Address is what it is bound to; Error why it is not.
	Address, Error string
}

// Snapshot is everything at one moment.
type Snapshot struct {
	Sites     []SiteStatus
	Notices   []NoticeStatus
	Instances []InstanceStatus
	Listeners []Listener
	Time      time.Time
}
