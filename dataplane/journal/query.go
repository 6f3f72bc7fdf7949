package journal

import (
	"time"

	"github.com/ancora-fleet/ancora/dataplane/capture"
)

// Stream is where a line came from.
type Stream = capture.Stream

// The streams of a run.
const (
	Stdout      = capture.Stdout
	Stderr      = capture.Stderr
	EventStream = capture.Event // what the agent saw happen to the application: see Event
)

// AccessStream is the access log of a site. Its lines belong to no application and no instance; they are captured as the
// stdout of runs of their own (capture.AccessLog).
const AccessStream Stream = EventStream + 1

// Query says which lines are wanted. Filters come first, then Tail.
type Query struct {
	Site        string    // required
	Application *string   // path of one application; nil: all of the site. One gives no access lines; nor do Instance and Previous
	Instance    uint32    // 0: all
	Streams     []Stream  // empty: stdout and stderr
	Since       time.Time // only lines captured at or after it; zero: all
	Tail        *int      // the last n lines of what the filters leave, per application; nil: all
	Follow      bool      // go on with lines as they come, until the context ends
	Previous    int       // 0: all runs; n: only the last n runs that have ended
	Cursors     []string  // go on behind these places; those of another journal or site are ignored
}

// Entry is one line. Runs of one application may overlap while a new instance replaces an old one; within a run entries
// come in sequence.
type Entry struct {
	Site, Application string // no application for AccessStream
	Instance          uint32 // 0 for events that belong to no run, and for AccessStream
	Run               uint64 // 0 for events that belong to no run
	Sequence          uint64 // from 1 per run
	Stream            Stream
	Time              time.Time // when the bytes that end the line were captured
	Line              []byte    // without its line feed, at most 64 KiB, secrets redacted; the caller's to keep

	// Dropped is how many lines of this run were lost since the last entry: deleted by quota before they were read, or
	// drained on a full disk. Where nobody ever counted them it is 1 for each gap: at least one.
	Dropped uint64

	// Cursor is the place behind this line, for every run of its application.
	Cursor string
}

// streams is a set of Stream.
type streams uint8

func (s streams) has(x Stream) bool { return s&(1<<x) != 0 }

func (q Query) streams() streams {
	if len(q.Streams) == 0 {
		return 1<<Stdout | 1<<Stderr
	}
	var set streams
	for _, s := range q.Streams {
		set |= 1 << s
	}
	return set
}
