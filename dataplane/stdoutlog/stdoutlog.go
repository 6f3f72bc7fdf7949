// Package stdoutlog writes what applications print into files of their own folders, as stdoutLogEnabled asks for (LOG-1
// to LOG-7). It follows the journal, so an application never waits for it and secrets are redacted; a file that cannot
// be opened or written is told (1004) and tried again, and the application runs on.
//
// Where a run's file stands is noted beside its capture after each write, so another worker goes on there: what the
// former wrote but did not note is cut off and written again, and no line is lost or stands twice.
package stdoutlog

import (
	"context"
	"errors"
	"path"
	"path/filepath"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/ancora-fleet/ancora/dataplane/capture"
	"github.com/ancora-fleet/ancora/dataplane/journal"
	"github.com/ancora-fleet/ancora/dataplane/process"
	"github.com/ancora-fleet/ancora/dataplane/rootfile"
)

const (
	// DefaultSize is how large a file becomes before the next begins, in bytes.
	DefaultSize = 10_000_000
	// DefaultFiles is how many files of an application are kept.
	DefaultFiles = 10
)

// Config is for New.
type Config struct {
	Journal *journal.Journal
	// Captures is the directory that the journal reads.
	Captures string
	// Warn is told once of each reason why a run has no file, or none any more; it may take its time.
	Warn func(run process.Identity, reason string)
	// Size and Files are DefaultSize and DefaultFiles when they are 0.
	Size  int64
	Files int
	// Logger may be nil.
	Logger hclog.Logger
}

// Target is where an application's output goes.
type Target struct {
	Folder rootfile.Folder
	// Path lies below Folder; _<yyyyMMddHHmmss>_<pid>.log is added to it, in UTC (LOG-2).
	Path string
	// DropEmpty removes the file of a run that said nothing (LOG-3, in-process); else it stays, empty.
	DropEmpty bool
}

// Logs are the files of all applications of a host. Its methods may be called from any goroutine, and none of them waits
// for a file.
type Logs struct {
	config Config
	ctx    context.Context
	cancel context.CancelFunc

	mu     sync.Mutex
	runs   map[string]*follower // by the directory of the run
	inUse  map[string]bool      // files that are written
	active sync.WaitGroup
}

// New makes logs that follow nothing yet.
func New(config Config) *Logs {
	if config.Logger == nil {
		config.Logger = hclog.NewNullLogger()
	}
	if config.Size == 0 {
		config.Size = DefaultSize
	}
	if config.Files == 0 {
		config.Files = DefaultFiles
	}
	ctx, cancel := context.WithCancel(context.Background())
	return &Logs{config: config, ctx: ctx, cancel: cancel, runs: map[string]*follower{}, inUse: map[string]bool{}}
}

// Follow writes the output of a run, process pid of which began at started, from where an earlier worker stopped.
func (l *Logs) Follow(run process.Identity, target Target, pid int, started time.Time) {
	dir := l.dir(run)
	s, err := loadState(dir)
	if err != nil {
		s = state{Target: target, Identity: run, PID: pid, Started: started.UTC(), Number: 1}
	}
	l.follow(dir, s, false)
}

// Ended says that a run is over: what it has left is written, and its file closed.
func (l *Logs) Ended(run process.Identity) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if f := l.runs[l.dir(run)]; f != nil {
		f.end()
	}
}

// Resume goes on with runs that an earlier worker followed and nobody else will say anything of: they ended when no
// worker was there.
func (l *Logs) Resume() {
	notes, err := filepath.Glob(filepath.Join(l.config.Captures, "*", "*", "*", stateFile))
	if err != nil {
		return // the pattern is a good one
	}
	for _, note := range notes {
		dir := filepath.Dir(note)
		if s, err := loadState(dir); err == nil {
			l.follow(dir, s, true)
		}
	}
}

// Close writes what is there and returns when no file is open any more. Runs that go on are for the next worker.
func (l *Logs) Close() {
	l.mu.Lock()
	l.cancel()
	l.mu.Unlock()
	l.active.Wait()
}

func (l *Logs) dir(run process.Identity) string {
	return capture.RunDir(l.config.Captures, run.Site, run.Application, run.Run)
}

func (l *Logs) follow(dir string, s state, leftover bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.runs[dir] != nil || l.ctx.Err() != nil {
		return
	}
	f := newFollower(l, dir, s)
	if leftover {
		f.leftover = true
		f.end()
	}
	l.runs[dir] = f
	l.active.Go(func() {
		f.run(l.ctx)
		l.mu.Lock()
		defer l.mu.Unlock()
		delete(l.runs, dir)
	})
}

// use notes that a file is written, so that it is not among those that are removed for their age.
func (l *Logs) use(file string, used bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if used {
		l.inUse[file] = true
	} else {
		delete(l.inUse, file)
	}
}

// prune removes the oldest files of an application's name pattern, and never one that is written.
func (l *Logs) prune(t Target) error {
	dir, base := path.Split(t.Path)
	names, err := t.Folder.List(t.Path + "_")
	if err != nil {
		return err
	}
	old := namesOf(base, names)
	var errs []error
	for excess := len(old) - l.config.Files; excess > 0 && len(old) > 0; old = old[1:] {
		name := dir + old[0]
		l.mu.Lock()
		used := l.inUse[filepath.Join(t.Folder.Path, name)]
		l.mu.Unlock()
		if used {
			continue
		}
		errs = append(errs, t.Folder.Remove(name))
		excess--
	}
	return errors.Join(errs...)
}
