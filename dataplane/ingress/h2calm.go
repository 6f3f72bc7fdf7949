package ingress

import (
	"encoding/binary"
	"errors"
	"net"
	"sync/atomic"
	"time"

	"golang.org/x/net/http2"
)

const (
	// vainFrames is how many frames that bring nothing a client may send within vainTime.
	vainFrames = 128
	vainTime   = 100 * time.Millisecond
	// vainTimes is how many times it may want to send more; as much time without that forgives one.
	vainTimes = 30
	// creditFrames is the most that it can have left for what it was sent.
	creditFrames = 32 * vainFrames
)

// errFlood ends a connection of which nothing comes but work.
var errFlood = errors.New("ingress: too many frames that bring nothing")

// frame is the beginning of one: what its nine bytes of header say.
type frame struct {
	kind   http2.FrameType
	flags  http2.Flags
	length int
}

// vain reports whether a frame from a client brings no request and nothing of one. Of a padded one the padding may be all.
func (f frame) vain() bool {
	switch f.kind {
	case http2.FrameHeaders:
		return false
	case http2.FrameData:
		return !f.flags.Has(http2.FlagDataEndStream) && (f.length == 0 || f.flags.Has(http2.FlagDataPadded) && f.length <= 1+255)
	}
	return true
}

// credit is how many frames a client may need to say for one of ours: a window is opened for the stream and for the
// connection, by some by as little as 4 KiB each time, and a request may be given a priority. Bytes that come singly, as a small
// window makes them, are worth none. A stream that we reset has cost us as much as one that the client resets.
func (f frame) credit() int64 {
	const worth, step = 64, 1 << 10
	switch {
	case f.kind == http2.FrameData && f.length >= worth:
		return 2 + 2*int64(f.length/step)
	case f.kind == http2.FrameHeaders:
		return 2
	case f.kind == http2.FrameRSTStream:
		return -1
	}
	return 0
}

// frames follows one direction of a connection over HTTP/2.
type frames struct {
	skip   int // bytes that come before the next header
	header [9]byte
	have   int // of the header
}

// next gives the next frame whose header is whole in p, and what follows in p; ok is false when there is none.
func (s *frames) next(p []byte) (f frame, rest []byte, ok bool) {
	n := min(s.skip, len(p))
	s.skip -= n
	p = p[n:]
	n = copy(s.header[s.have:], p)
	s.have += n
	if p = p[n:]; s.have < len(s.header) {
		return frame{}, p, false
	}
	s.have = 0
	length := int(binary.BigEndian.Uint32(s.header[:4]) >> 8)
	s.skip = length
	return frame{http2.FrameType(s.header[3]), http2.Flags(s.header[4]), length}, p, true
}

// calm is what a client has left of the frames that bring nothing. Who has used them up before vainTime was over waits, unread,
// for its end; for who goes on like that it is over.
type calm struct {
	left  int64
	ends  time.Time // when there are vainFrames again
	waits int       // that are not forgiven
}

// spend takes n frames. It gives how long to wait before any more is read, or errFlood.
func (k *calm) spend(n, credit int64, now time.Time) (time.Duration, error) {
	if k.left = min(k.left+credit, creditFrames) - n; k.left > 0 {
		return 0, nil
	}
	if late := now.Sub(k.ends); late >= 0 {
		k.left, k.ends, k.waits = vainFrames, now.Add(vainTime), max(k.waits-int(late/vainTime), 0)
		return 0, nil
	}
	if k.waits++; k.waits > vainTimes {
		return 0, errFlood
	}
	wait := k.ends.Sub(now)
	k.left, k.ends = vainFrames, k.ends.Add(vainTime)
	return wait, nil
}

// flow is both directions of a connection.
type flow struct {
	in, out frames
	calm    calm
	credit  atomic.Int64
	closed  chan struct{}
}

func newFlow() *flow {
	return &flow{in: frames{skip: len(preface)}, closed: make(chan struct{})}
}

// received looks at what a client has sent, and waits if that was in vain too often.
func (w *flow) received(p []byte) error {
	vain := int64(0)
	for len(p) > 0 {
		f, rest, ok := w.in.next(p)
		if p = rest; ok && f.vain() {
			vain++
		}
	}
	if vain == 0 && w.credit.Load() >= 0 {
		return nil
	}
	wait, err := w.calm.spend(vain, w.credit.Swap(0), time.Now())
	if wait == 0 {
		return err
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-w.closed:
		return net.ErrClosed
	}
}

// sent looks at what a client gets.
func (w *flow) sent(p []byte) {
	credit := int64(0)
	for len(p) > 0 {
		f, rest, ok := w.out.next(p)
		if p = rest; ok {
			credit += f.credit()
		}
	}
	w.credit.Add(credit)
}
