// Package accesslog keeps a line about every request of a site: its forms are pure functions of what is known of a request,
// its file is a capture like those of applications, so that lines are numbered, bounded, followed and read by the journal.
package accesslog

import (
	"net/netip"
	"time"

	"github.com/ancora-fleet/ancora/dataplane/site"
)

// Entry is what is known of one request. Its bytes are whatever a client has sent; no form lets them end or forge a line.
type Entry struct {
	// Begin is when the head had come, Duration until the answer had gone.
	Begin    time.Time
	Duration time.Duration
	Client   netip.AddrPort
	// Local is our end of the connection; only W3C shows it.
	Local                     netip.AddrPort
	Method, Host, Path, Query []byte // Query includes its '?'
	Protocol                  string
	// Status is 0 when the client left before there was an answer; that is shown as 499.
	Status, Substatus int
	// Received and Sent are bytes with heads, Payload those of the answer's body.
	Received, Sent, Payload int64
	Aborted                 bool
	UserAgent, Referer      []byte
	// TraceParent is the field of W3C Trace Context.
	TraceParent []byte
}

// Origin is what the lines of one host and site have in common.
type Origin struct{ Site, Computer, Software string }

// clientGone is the status of a request without an answer, as other proxies log it.
const clientGone = 499

// How many bytes a value may take in a line, escapes included: a line stays below 64 KiB, where the journal would cut it.
const (
	maxMethod = 64
	maxHost   = 1 << 10
	maxPath   = 16 << 10
	maxQuery  = 16 << 10
	maxField  = 8 << 10
)

// Append adds the line of an entry, with its line feed, in one of the forms; any other form adds nothing.
func Append(b []byte, form site.AccessLog, o *Origin, e *Entry) []byte {
	switch form {
	case site.AccessLogJSON:
		return appendJSON(b, e)
	case site.AccessLogCombined:
		return appendCombined(b, e)
	case site.AccessLogW3C:
		return appendW3C(b, o, e)
	}
	return b
}

func (e *Entry) status() int {
	if e.Status == 0 {
		return clientGone
	}
	return e.Status
}

// query is what stands behind the question mark.
func (e *Entry) query() []byte {
	if len(e.Query) > 0 && e.Query[0] == '?' {
		return e.Query[1:]
	}
	return e.Query
}

// traceID gives the trace of a traceparent (W3C Trace Context 3.2), nil when it is none.
func traceID(parent []byte) []byte {
	const length = len("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
	if len(parent) < length || parent[2] != '-' || parent[35] != '-' || parent[52] != '-' || string(parent[:2]) == "ff" {
		return nil
	}
	if len(parent) > length && (string(parent[:2]) == "00" || parent[length] != '-') {
		return nil
	}
	set := false
	for i, c := range parent[:length] {
		if i == 2 || i == 35 || i == 52 {
			continue
		}
		if (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return nil
		}
		set = set || i > 2 && i < 35 && c != '0'
	}
	if !set {
		return nil
	}
	return parent[3:35]
}
