package accesslog

import (
	"bytes"
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/ancora-fleet/ancora/dataplane/site"
)

const (
	// bufferSize is how many bytes of lines wait for the disk; what comes beyond is dropped and counted.
	bufferSize = 1 << 20
	// keptSize is what a buffer may keep when it is empty.
	keptSize = 64 << 10
	// pause is between two writes, so that a busy site's lines are written together.
	pause = 50 * time.Millisecond
)

// Config is for New.
type Config struct {
	Origin
	// Dir holds the runs of the log, and nothing else.
	Dir string
	// NextRun gives a run number that was not given before.
	NextRun func() (uint64, error)
	Logger  hclog.Logger
}

// Log takes the lines of one site. Add never waits for the disk: one goroutine, Run, writes.
type Log struct {
	config Config
	log    hclog.Logger
	form   atomic.Pointer[site.AccessLog]
	lines  sync.Pool // of *[]byte, to make one in

	mu        sync.Mutex
	pending   []byte
	lostBytes uint64 // since the last write
	wake      chan struct{}

	dropped atomic.Uint64
	file    file
}

// New makes a log in no form yet.
func New(config Config) *Log {
	if config.Logger == nil {
		config.Logger = hclog.NewNullLogger()
	}
	log := config.Logger.Named("accesslog").With("site", config.Site)
	l := &Log{config: config, log: log, wake: make(chan struct{}, 1), file: file{dir: config.Dir, limit: runSize, nextRun: config.NextRun, log: log}}
	l.lines.New = func() any { return new([]byte) }
	off := site.AccessLogOff
	l.form.Store(&off)
	return l
}

// SetForm changes the form of the lines that follow.
func (l *Log) SetForm(form site.AccessLog) {
	if old := l.form.Swap(&form); *old != form && form == site.AccessLogW3C {
		l.put(appendW3CHeader(nil, &l.config.Origin, time.Now()))
	}
}

// Add takes a request. It may be called from any goroutine.
func (l *Log) Add(e *Entry) {
	line := l.lines.Get().(*[]byte)
	*line = Append((*line)[:0], *l.form.Load(), &l.config.Origin, e)
	l.put(*line)
	if cap(*line) <= keptSize {
		l.lines.Put(line)
	}
}

// put leaves whole lines to the writer, if there is room.
func (l *Log) put(lines []byte) {
	if len(lines) == 0 {
		return
	}
	l.mu.Lock()
	first := len(l.pending) == 0
	fits := len(l.pending)+len(lines) <= bufferSize
	if fits {
		l.pending = append(l.pending, lines...)
	} else {
		l.lostBytes += uint64(len(lines))
	}
	l.mu.Unlock()
	if !fits {
		l.dropped.Add(uint64(bytes.Count(lines, []byte{'\n'})))
	}
	if first {
		select {
		case l.wake <- struct{}{}:
		default:
		}
	}
}

// Dropped is how many lines were lost, to a disk that was full or too slow, since New.
func (l *Log) Dropped() uint64 { return l.dropped.Load() }

// Run writes until ctx ends, then what is left. What the disk does not take is dropped: nobody waits for it.
func (l *Log) Run(ctx context.Context) {
	defer func() {
		if err := l.file.close(); err != nil {
			l.log.Warn("not closed", "error", err)
		}
	}()
	var spare []byte
	said := ""
	for {
		last := false
		select {
		case <-l.wake:
		case <-ctx.Done():
			last = true
		}
		var err error
		if spare, err = l.flush(spare); err != nil && err.Error() != said {
			said = err.Error()
			l.log.Warn("lines not kept", "error", err)
		}
		if last {
			return
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
		}
	}
}

// flush writes what waits, and gives its buffer back for the next time.
func (l *Log) flush(spare []byte) ([]byte, error) {
	l.mu.Lock()
	lines, lost := l.pending, l.lostBytes
	l.pending, l.lostBytes = spare[:0], 0
	l.mu.Unlock()
	var err error
	if len(lines) > 0 {
		if err = l.write(lines); err != nil {
			lost += uint64(len(lines))
			l.dropped.Add(uint64(bytes.Count(lines, []byte{'\n'})))
		}
	}
	l.file.lose(lost)
	if cap(lines) > keptSize && len(lines) < cap(lines)/4 {
		lines = nil
	}
	return lines, err
}

// write begins a new run where one is due; each begins with its directives, where the form has some.
func (l *Log) write(lines []byte) error {
	fresh, err := l.file.ready()
	if err != nil {
		return err
	}
	if fresh && *l.form.Load() == site.AccessLogW3C && lines[0] != '#' {
		if err := l.file.append(appendW3CHeader(nil, &l.config.Origin, time.Now())); err != nil {
			return err
		}
	}
	return l.file.append(lines)
}
