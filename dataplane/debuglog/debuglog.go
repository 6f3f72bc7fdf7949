// Package debuglog tells what the agent does for an application to whom its debugLevel names: a file of its own folder,
// the event stream, the agent's log (DBG-1 to DBG-6). It is for looking into one application for a while; nobody who
// writes to it waits.
package debuglog

import (
	"context"
	"fmt"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/ancora-fleet/ancora/dataplane/rootfile"
)

// queued is how many lines wait for the file; more are counted and not written.
const queued = 1024

// Config is for New.
type Config struct {
	Site, Application string
	// Version and Commit are the agent's, for the first line of a file.
	Version, Commit string
	// Record keeps a line as event 1036, for the sink EVENTLOG; it may take its time.
	Record func(line string)
	// Warn is told why there is no file.
	Warn   func(reason string)
	Logger hclog.Logger
}

// Settings is what is told, and where.
type Settings struct {
	Level Level
	Sinks
	// Place is the file. First is the one that holds before the settings of web.config are read, when that is another
	// (DBG-2); without a path there is none.
	Place, First Place
}

// Place is a file below a folder.
type Place struct {
	Folder rootfile.Folder
	Path   string
}

// Log is the debug log of one application. A nil Log tells nothing.
type Log struct {
	config  Config
	lines   chan line
	dropped atomic.Int64

	mu       sync.Mutex
	settings Settings
	serial   uint64
}

type line struct {
	time     time.Time
	text     string
	settings Settings
}

// New makes a log that tells nothing yet; Run writes.
func New(config Config) *Log {
	if config.Logger == nil {
		config.Logger = hclog.NewNullLogger()
	}
	return &Log{config: config, lines: make(chan line, queued)}
}

// Set puts settings in force, unless some with a higher serial are: while one instance replaces another both have theirs.
func (l *Log) Set(serial uint64, s Settings) {
	if l == nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if serial >= l.serial {
		l.serial, l.settings = serial, s
	}
}

// Write tells a message, which becomes one line. It does not wait.
func (l *Log) Write(level Level, format string, args ...any) {
	if l == nil {
		return
	}
	l.mu.Lock()
	s := l.settings
	l.mu.Unlock()
	if level > s.Level {
		return
	}
	select {
	case l.lines <- line{time.Now(), oneLine(fmt.Sprintf(format, args...)), s}:
	default:
		l.dropped.Add(1)
	}
}

// oneLine keeps every line of a file one that begins with time and process (DBG-6).
func oneLine(text string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, text)
}

// Run writes until ctx ends, and then what waits.
func (l *Log) Run(ctx context.Context) {
	w := &writer{log: l}
	defer w.close()
	for {
		select {
		case one := <-l.lines:
			l.tell(w, one)
		case <-ctx.Done():
			for range len(l.lines) {
				l.tell(w, <-l.lines)
			}
			return
		}
	}
}

func (l *Log) tell(w *writer, one line) {
	if n := l.dropped.Swap(0); n > 0 {
		l.tell(w, line{one.time, fmt.Sprintf("%d lines are missing here", n), one.settings})
	}
	if one.settings.File {
		w.write(one)
	}
	if one.settings.Console {
		l.config.Logger.Info("debug log", "site", l.config.Site, "application", l.config.Application, "message", one.text)
	}
	if one.settings.Events && l.config.Record != nil {
		l.config.Record(one.text)
	}
}

// first is what a file begins with.
func (l *Log) first() string {
	return fmt.Sprintf("Initializing logs for application '%s' of site '%s'. Process Id: %d. File Version: %s. Description: ancora-agent, commit %s",
		l.config.Application, l.config.Site, os.Getpid(), l.config.Version, l.config.Commit)
}
