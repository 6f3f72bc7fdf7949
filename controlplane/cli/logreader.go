package cli

import (
	"context"
	"fmt"
	"slices"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	controlv1 "github.com/ancora-fleet/ancora/proto/ancora/control/v1"
	typesv1 "github.com/ancora-fleet/ancora/proto/ancora/types/v1"
)

const (
	// historyQuiet is how long no line comes when the hosts have sent what they had; historyLimit ends the wait for that
	// also where lines come all the time, historySize where there are more than one wants to hold in memory.
	historyQuiet = 250 * time.Millisecond
	historyLimit = 3 * time.Second
	historySize  = 64 << 20
)

// logReader prints one stream of lines. What the hosts have already is held back and merged by time; lines that come
// later are printed as they come.
type logReader struct {
	*program
	options *logOptions
	began   time.Time
	// cursors are the places reached, of each application of each host.
	cursors map[string]string
	away    map[string]bool
	hosts   int

	holding bool
	held    []logLine
	size    int
	newest  map[runKey]time.Time
}

// runKey is what has an order of its own.
type runKey struct {
	host, application string
	instance          uint32
	run               uint64
}

func newLogReader(p *program, o *logOptions) *logReader {
	return &logReader{
		program: p, options: o, began: time.Now(), cursors: map[string]string{}, away: map[string]bool{},
		holding: !o.follow || o.tail != 0, newest: map[runKey]time.Time{},
	}
}

// logPlace is where lines come from.
type logPlace struct {
	runKey
	site string
}

func placeOf(b *typesv1.LogBlock) logPlace {
	return logPlace{runKey{b.GetHost(), b.GetApplication(), b.GetInstance(), b.GetRun()}, b.GetSite()}
}

type logLine struct {
	logPlace
	*typesv1.LogLine
	// dropped lines came before this one; at is its place in time among others.
	dropped uint64
	at      time.Time
}

// received is what a stream gave.
type received struct {
	message *controlv1.StreamLogsResponse
	err     error
}

func (r *logReader) read(ctx context.Context, c *client, request *controlv1.StreamLogsRequest) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := c.logs.StreamLogs(ctx, request)
	if err != nil {
		return err
	}
	messages := make(chan received)
	go func() {
		for err == nil {
			var m *controlv1.StreamLogsResponse
			m, err = stream.Recv()
			select {
			case messages <- received{m, err}:
			case <-ctx.Done():
				return
			}
		}
	}()
	return r.take(ctx, messages)
}

// take prints messages until there are no more. With -f it lets go of the history as soon as that seems complete.
func (r *logReader) take(ctx context.Context, messages <-chan received) error {
	var quiet, limit <-chan time.Time
	if r.holding && r.options.follow {
		quiet, limit = time.After(historyQuiet), time.After(historyLimit)
	}
	for {
		var err error
		select {
		case m := <-messages:
			if m.err != nil {
				return m.err
			}
			if err = r.message(m.message); r.holding && r.options.follow {
				quiet = time.After(historyQuiet)
			}
		case <-quiet:
			quiet, err = nil, r.release()
		case <-limit:
			limit, err = nil, r.release()
		case <-ctx.Done():
			return ctx.Err()
		}
		if err != nil {
			return err
		}
	}
}

func (r *logReader) message(m *controlv1.StreamLogsResponse) error {
	if h := m.GetHost(); h != nil {
		r.host(h)
		return nil
	}
	return r.block(m.GetBlock())
}

// resume asks for what comes behind the last line of each host. An application of which nothing has come yet has no place:
// of that all is wanted that was written since the last n lines were asked for.
func (r *logReader) resume(request *controlv1.StreamLogsRequest) {
	q := request.Query
	if q.Tail != nil && (q.SinceTime == nil || q.SinceTime.AsTime().Before(r.began)) {
		q.SinceTime = timestamppb.New(r.began)
	}
	q.Cursors, q.Tail = nil, nil
	for _, cursor := range r.cursors {
		request.Query.Cursors = append(request.Query.Cursors, cursor)
	}
}

func (r *logReader) host(h *controlv1.LogHost) {
	if r.options.host != "" && r.options.host != h.GetHost() {
		return
	}
	switch h.GetState() {
	case controlv1.LogHostState_LOG_HOST_STATE_UNREACHABLE:
		r.away[h.GetHost()] = true
		r.note("-- host %s is not reached: %s --", h.GetHost(), h.GetReason())
	case controlv1.LogHostState_LOG_HOST_STATE_STREAMING:
		if r.away[h.GetHost()] {
			r.note("-- host %s is back --", h.GetHost())
		}
		delete(r.away, h.GetHost())
		r.hosts++
	}
}

func (r *logReader) block(b *typesv1.LogBlock) error {
	if r.options.host != "" && r.options.host != b.GetHost() {
		return nil
	}
	var lines typesv1.LogLines
	if err := proto.Unmarshal(b.GetLines(), &lines); err != nil {
		return fmt.Errorf("lines of host %s: %w", b.GetHost(), err)
	}
	for i, l := range lines.GetLines() {
		line := logLine{logPlace: placeOf(b), LogLine: l}
		if i == 0 {
			line.dropped = b.GetDropped()
		}
		if r.holding {
			r.hold(line)
		} else if err := r.print(line); err != nil {
			return err
		}
	}
	r.cursors[b.GetHost()+" "+b.GetApplication()] = b.GetCursor()
	if r.options.follow && r.size > historySize {
		return r.release()
	}
	return nil
}

// hold keeps a line back. Within a run the order is that of its lines, also when the host's clock was set back.
func (r *logReader) hold(l logLine) {
	l.at = l.GetTime().AsTime()
	if newest := r.newest[l.runKey]; newest.After(l.at) {
		l.at = newest
	}
	r.newest[l.runKey] = l.at
	r.held = append(r.held, l)
	r.size += len(l.GetLine())
}

// release prints what was held back, merged by time.
func (r *logReader) release() error {
	held := r.held
	r.holding, r.held, r.size, r.newest = false, nil, 0, nil
	slices.SortStableFunc(held, func(a, b logLine) int { return a.at.Compare(b.at) })
	for _, l := range held {
		if err := r.print(l); err != nil {
			return err
		}
	}
	return nil
}

// over is the end of a stream that has sent all.
func (r *logReader) over() error {
	switch {
	case len(r.away) == 0:
		return nil
	case r.hosts == 0:
		return said(exitFailed)
	}
	return said(exitPartial)
}
