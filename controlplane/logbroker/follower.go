package logbroker

import (
	"context"
	"errors"
	"io"
	"sync"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/ancora-fleet/ancora/controlplane/dispatch"
	controlv1 "github.com/ancora-fleet/ancora/proto/ancora/control/v1"
	typesv1 "github.com/ancora-fleet/ancora/proto/ancora/types/v1"
)

const (
	// askAgain is the pause before a host whose answer broke off is asked again.
	askAgain = 200 * time.Millisecond
	// askRefused is the pause before a host that could not answer is asked again.
	askRefused = 2 * time.Second
)

// follower asks one host, again and again when its answer breaks off.
type follower struct {
	broker *Broker
	host   string
	query  *typesv1.LogQuery
	out    *outlet
	began  time.Time

	// stop ends the running follower; nil when it does not run. done is closed when the last run has ended.
	stop context.CancelFunc
	done chan struct{}

	// cursors are the places reached, the newest of each application; asked says that lines may have been sent.
	cursors map[string]string
	asked   bool
	// away is why the operator was told last that no lines come; empty when they do. refused says that the host itself
	// could not answer: only a block shows that it can again.
	away    string
	refused bool
}

func newFollower(b *Broker, host string, query *typesv1.LogQuery, out *outlet) *follower {
	f := &follower{broker: b, host: host, query: query, out: out, began: time.Now(), cursors: map[string]string{}, done: make(chan struct{})}
	close(f.done)
	return f
}

// start runs it once an earlier run has ended.
func (f *follower) start(ctx context.Context, asking *sync.WaitGroup) {
	ctx, f.stop = context.WithCancel(ctx)
	before, done := f.done, make(chan struct{})
	f.done = done
	asking.Go(func() {
		defer close(done)
		<-before
		f.run(ctx)
	})
}

func (f *follower) run(ctx context.Context) {
	for ctx.Err() == nil {
		connected, changed := f.broker.hosts.Connected(f.host)
		if !connected {
			f.unreachable("it has no session")
			f.refused = false
			if !f.query.GetFollow() {
				return
			}
			select {
			case <-changed:
			case <-ctx.Done():
			}
			continue
		}
		err := f.ask(ctx)
		pause := askAgain
		switch {
		case ctx.Err() != nil:
			return
		case errors.Is(err, io.EOF):
			f.out.host(f.host, controlv1.LogHostState_LOG_HOST_STATE_ENDED, "")
			return
		case !f.query.GetFollow():
			f.unreachable(err.Error())
			return
		case !errors.Is(err, dispatch.ErrBroken) && !errors.Is(err, dispatch.ErrNoSession):
			f.unreachable(err.Error())
			f.refused, pause = true, askRefused
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
		}
	}
}

func (f *follower) unreachable(reason string) {
	if f.away != reason {
		f.out.host(f.host, controlv1.LogHostState_LOG_HOST_STATE_UNREACHABLE, reason)
	}
	f.away = reason
}

func (f *follower) streaming() {
	f.out.host(f.host, controlv1.LogHostState_LOG_HOST_STATE_STREAMING, "")
	f.away, f.refused = "", false
}

// ask sends what one subscription gives; io.EOF says that this is all.
func (f *follower) ask(ctx context.Context) error {
	sub, err := f.broker.hosts.Subscribe(f.host, f.next())
	if err != nil {
		return err
	}
	defer sub.Close()
	if !f.asked || f.away != "" && !f.refused {
		f.streaming()
	}
	f.asked = true
	for {
		block, err := sub.Next(ctx)
		if err != nil {
			return err
		}
		if f.refused {
			f.streaming()
		}
		f.cursors[block.GetApplication()] = block.GetCursor()
		f.out.block(block)
	}
}

// next is the question: the operator's first, later from where the last answer broke off. An application of which nothing
// has come yet has no place: of that all is wanted that was written since the operator began to ask for the last n lines.
func (f *follower) next() *typesv1.LogQuery {
	if !f.asked {
		return f.query
	}
	q := proto.CloneOf(f.query)
	for _, cursor := range f.cursors {
		q.Cursors = append(q.Cursors, cursor)
	}
	if q.Tail != nil && len(f.query.GetCursors()) == 0 && (q.SinceTime == nil || q.SinceTime.AsTime().Before(f.began)) {
		q.SinceTime = timestamppb.New(f.began)
	}
	q.Tail = nil
	return q
}
