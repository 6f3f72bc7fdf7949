package dataplane

import (
	"bytes"
	"context"
	"fmt"
	"runtime/debug"
	"sync"
	"time"

	"github.com/ancora-fleet/ancora/dataplane/capture"
	"github.com/ancora-fleet/ancora/dataplane/debuglog"
	"github.com/ancora-fleet/ancora/dataplane/journal"
	"github.com/ancora-fleet/ancora/dataplane/launch"
	"github.com/ancora-fleet/ancora/dataplane/process"
	"github.com/ancora-fleet/ancora/dataplane/rootfile"
	"github.com/ancora-fleet/ancora/dataplane/stdoutlog"
)

// recordLimit bounds the writing of one event.
const recordLimit = 30 * time.Second

// witness keeps the logs of an application under one configuration: the file of its output and its debug log.
type witness struct {
	server            *Server
	site, application string
	program           string
	stdout            *stdoutlog.Target // nil: none
	debug             debuglog.Settings
	serial            uint64 // grows with each configuration
	trouble           string // why there is no file although one is asked for
}

// newWitness is called with the server's lock held.
func (s *Server) newWitness(site, application string, who account, plan *launch.Plan) *witness {
	s.witnesses++
	w := &witness{server: s, site: site, application: application, program: plan.Program, serial: s.witnesses, trouble: plan.StdoutTrouble}
	place := func(f launch.File) debuglog.Place {
		return debuglog.Place{Folder: rootfile.Folder{Path: f.Folder, Owner: who.credential}, Path: f.Path}
	}
	if f := plan.Stdout; f.Path != "" {
		w.stdout = &stdoutlog.Target{Folder: place(f).Folder, Path: f.Path, DropEmpty: plan.InProcess}
	}
	if d := plan.Debug; d.Level != debuglog.Off {
		w.debug = debuglog.Settings{Level: d.Level, Sinks: d.Sinks, Place: place(d.Place), First: place(d.First)}
	}
	return w
}

// Began implements supervise.Witness.
func (w *witness) Began(run uint64, pid int, started time.Time, adopted bool) {
	if w.stdout != nil {
		w.server.outputs.Follow(w.identity(run), *w.stdout, pid, started)
	}
	if adopted {
		w.log().Write(debuglog.Info, "Took over process %d as run %d: '%s'", pid, run, w.program)
		return
	}
	w.log().Write(debuglog.Info, "Started process %d as run %d: '%s'", pid, run, w.program)
	if w.trouble != "" {
		go w.server.append(w.identity(run), journal.Event{ID: journal.EventConfiguration, Message: "the stdout log is not written", Reason: w.trouble})
	}
}

// Event implements supervise.Witness.
func (w *witness) Event(run uint64, e journal.Event) {
	text := fmt.Sprintf("Event %d of run %d: %s", e.ID, run, e.Message)
	if e.Reason != "" {
		text += ": " + e.Reason
	}
	if e.Exit != "" {
		text += " (" + e.Exit + ")"
	}
	w.log().Write(levelOf(e.ID), "%s", text)
}

// Ended implements supervise.Witness.
func (w *witness) Ended(run uint64) {
	w.server.outputs.Ended(w.identity(run))
	w.log().Write(debuglog.Trace, "Run %d has ended", run)
}

func (w *witness) identity(run uint64) process.Identity {
	return process.Identity{Site: w.site, Application: w.application, Run: run}
}

func levelOf(id int) debuglog.Level {
	switch id {
	case journal.EventRapidFails, journal.EventExited, journal.EventExitedByCode, journal.EventStartFailed, journal.EventFailedInProcess:
		return debuglog.Error
	case journal.EventStartAttemptFailed, journal.EventConfiguration, journal.EventShutdownFailed, journal.EventRecycleFailed:
		return debuglog.Warning
	}
	return debuglog.Info
}

// log gives the application's debug log, with these settings unless there are newer ones; nil while none was asked for.
func (w *witness) log() *debuglog.Log {
	l := w.server.debug.of(w.site, w.application, w.debug.Level != debuglog.Off)
	l.Set(w.serial, w.debug)
	return l
}

// debugLogs are those of all applications. One that was once begun stays until the server ends.
type debugLogs struct {
	make func(site, application string) *debuglog.Log
	ctx  context.Context
	end  context.CancelFunc

	mu     sync.Mutex
	logs   map[string]*debuglog.Log
	active sync.WaitGroup
}

func (s *Server) newDebugLogs() *debugLogs {
	ctx, end := context.WithCancel(context.Background())
	return &debugLogs{ctx: ctx, end: end, logs: map[string]*debuglog.Log{}, make: func(site, application string) *debuglog.Log {
		return debuglog.New(debuglog.Config{
			Site: site, Application: application, Version: s.config.Version, Commit: commit(), Logger: s.log.Named("debug"),
			Record: func(line string) {
				s.recordNewest(site, application, journal.Event{ID: journal.EventDebug, Message: line})
			},
			Warn: func(reason string) {
				s.recordNewest(site, application, journal.Event{ID: journal.EventConfiguration, Message: "the debug log is not written", Reason: reason})
			},
		})
	}}
}

// of gives the log of an application, which is made when it is wanted.
func (d *debugLogs) of(site, application string, wanted bool) *debuglog.Log {
	d.mu.Lock()
	defer d.mu.Unlock()
	key := site + application
	if d.logs[key] == nil && wanted && d.ctx.Err() == nil {
		l := d.make(site, application)
		d.logs[key] = l
		d.active.Go(func() { l.Run(d.ctx) })
	}
	return d.logs[key]
}

func (d *debugLogs) close() {
	d.mu.Lock()
	d.end()
	d.mu.Unlock()
	d.active.Wait()
}

// warnStdout keeps why an application's output is in no file (LOG-7).
func (s *Server) warnStdout(run process.Identity, reason string) {
	s.append(run, journal.Event{ID: journal.EventConfiguration, Message: "the stdout log is not written", Reason: reason})
}

// recordNewest writes an event into the stream of the newest run there is; without any there is none.
func (s *Server) recordNewest(site, application string, e journal.Event) {
	if run := s.config.Journal.NewestRun(site, application); run != 0 {
		s.append(process.Identity{Site: site, Application: application, Run: run}, e)
	}
}

func (s *Server) append(run process.Identity, e journal.Event) {
	ctx, cancel := context.WithTimeout(context.Background(), recordLimit)
	defer cancel()
	dir := capture.RunDir(Captures(s.config.DataDir), run.Site, run.Application, run.Run)
	for line := range bytes.Lines(e.Encode()) {
		if err := s.config.Keeper.Append(ctx, dir, line); err != nil {
			s.log.Warn("event not kept", "site", run.Site, "application", run.Application, "run", run.Run, "error", err)
			return
		}
	}
}

// commit is what the program was built from, as far as its build knew.
func commit() string {
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, setting := range info.Settings {
			if setting.Key == "vcs.revision" {
				return setting.Value
			}
		}
	}
	return "unknown"
}
