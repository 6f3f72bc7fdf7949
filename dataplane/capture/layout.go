// Package capture is the form of the files in which the keeper keeps the output of each run: segments of raw bytes a
// stream, and beside them the marks that say in which order the bytes came. The keeper writes, the journal reads.
package capture

import (
	"fmt"
	"net/url"
	"path/filepath"
	"strconv"
	"strings"
)

const (
	// MarksFile holds the marks of a run.
	MarksFile = "marks"
	// RedactFile holds what is to be redacted when lines are read, one secret a line.
	RedactFile = "redact"
	// SegmentSize is when a segment ends and the next begins, in bytes.
	SegmentSize = 8 << 20
	// ApplicationQuota is how many bytes of segments an application keeps; the oldest go first.
	ApplicationQuota = 64 << 20
	// RunsKept is how many runs an application keeps.
	RunsKept = 100
	// AccessLog is the directory beside those of a site's applications that holds its access log, as the stdout of runs. No
	// application has it: their paths begin with a slash.
	AccessLog = "access"
)

// Stream is where bytes came from.
type Stream uint8

const (
	Stdout Stream = 1 + iota
	Stderr
	// Event is what the agent itself says about the run.
	Event
)

// Streams lists all of them in the order in which open lines end with a run.
func Streams() []Stream { return []Stream{Stdout, Stderr, Event} }

func (s Stream) String() string {
	switch s {
	case Stdout:
		return "stdout"
	case Stderr:
		return "stderr"
	case Event:
		return "event"
	}
	return "stream " + strconv.Itoa(int(s))
}

// AppDir is the directory of an application's runs below the captures' root, or of the runs of AccessLog.
func AppDir(root, site, application string) string {
	return filepath.Join(root, site, url.PathEscape(application))
}

// RunDir is the directory of one run. Run 0 holds the events that belong to no run.
func RunDir(root, site, application string, run uint64) string {
	return filepath.Join(AppDir(root, site, application), strconv.FormatUint(run, 10))
}

// SegmentName is the file that begins at offset start of the stream.
func SegmentName(s Stream, start uint64) string { return fmt.Sprintf("%s.%016x", s, start) }

// ParseSegment reads a name that SegmentName made.
func ParseSegment(name string) (s Stream, start uint64, ok bool) {
	stream, hex, found := strings.Cut(name, ".")
	if !found || len(hex) != 16 {
		return 0, 0, false
	}
	start, err := strconv.ParseUint(hex, 16, 64)
	if err != nil || SegmentName(1, start) != "stdout."+hex {
		return 0, 0, false
	}
	for _, s := range Streams() {
		if s.String() == stream {
			return s, start, true
		}
	}
	return 0, 0, false
}
