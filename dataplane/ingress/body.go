package ingress

import (
	"errors"
	"io"
	"sync/atomic"

	"github.com/ancora-fleet/ancora/dataplane/h1"
)

var errBodyClosed = errors.New("ingress: body closed")

// body reads a request's body, or after Head(101) whatever the client sends. It may be read on another goroutine than
// the answer is written on.
type body struct {
	t       *turn
	left    int64 // -1: chunked
	chunks  h1.Chunks
	upgrade bool
	err     error
	got     int64       // bytes of the body that were read
	done    atomic.Bool // it has been read to its end
	closed  atomic.Bool
}

func (b *body) reset(t *turn, length int64) {
	b.t, b.left, b.chunks, b.err, b.got = t, length, h1.Chunks{}, nil, 0
	b.upgrade = t != nil && t.head.Upgrade
	if done := length == 0; b.done.Load() != done { // to store costs far more than to load
		b.done.Store(done)
	}
	if b.closed.Load() {
		b.closed.Store(false)
	}
	if length != 0 && t != nil {
		t.c.came.Store(0)
		t.c.slow.Store(false)
	}
}

// Buffered is the number of bytes of a body with a length that Read gives without waiting.
func (b *body) Buffered() int {
	if b.left < 0 || b.upgrade {
		return 0
	}
	return int(min(b.left, int64(b.t.w-b.t.r)))
}

// Close ends a Read that waits, from another goroutine.
func (b *body) Close() error {
	b.closed.Store(true)
	b.t.c.sock.InterruptRead()
	return nil
}

// Read implements io.Reader. The first one sends 100 Continue to a client that waits for it.
func (b *body) Read(p []byte) (n int, err error) {
	if b.err != nil || len(p) == 0 {
		return 0, b.err
	}
	if b.t.head.Expect {
		b.t.out.proceed()
	}
	switch {
	case b.upgrade:
		n, err = b.readSome(p)
	case b.left < 0:
		n, err = b.readChunks(p)
	case b.left == 0:
		return 0, io.EOF
	default:
		n, err = b.readSome(p[:min(int64(len(p)), b.left)])
		if b.left -= int64(n); b.left == 0 {
			b.done.Store(true)
		} else if err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
	}
	if n > 0 {
		b.got += int64(n)
		return n, nil
	}
	b.err = err
	return n, err
}

// readSome takes what has been read ahead, then reads into p itself.
func (b *body) readSome(p []byte) (int, error) {
	t := b.t
	if t.r < t.w {
		n := copy(p, (*t.buf)[t.r:t.w])
		t.r += n
		return n, nil
	}
	return b.receive(p)
}

func (b *body) receive(p []byte) (int, error) {
	if b.closed.Load() {
		return 0, errBodyClosed
	}
	c := b.t.c
	if b.upgrade { // a WebSocket may be silent for as long as it likes
		return c.sock.Read(p)
	}
	c.reads.Add(1)
	n, err := c.sock.Read(p)
	c.reads.Add(1)
	return c.received(n, err)
}

func (b *body) readChunks(p []byte) (int, error) {
	t := b.t
	for {
		if b.chunks.Done() {
			b.done.Store(true)
			return 0, io.EOF
		}
		if t.r == t.w {
			if left := b.chunks.Left(); left > 0 && len(p) >= smallSize { // the data of a chunk needs no look at it
				n, err := b.receive(p[:min(int64(len(p)), left)])
				if n > 0 {
					b.chunks.Skip(n)
					return n, nil
				}
				return 0, unexpected(err)
			}
			n, err := b.receive((*t.buf)[t.behind:])
			if t.r, t.w = t.behind, t.behind+n; n == 0 {
				return 0, unexpected(err)
			}
		}
		in := (*t.buf)[t.r:min(t.w, t.r+len(p))]
		piece, n, err := b.chunks.Next(in)
		if err != nil {
			return 0, err
		}
		k := copy(p, piece)
		t.r += n
		if b.chunks.Done() {
			b.done.Store(true)
		}
		if k > 0 {
			return k, nil
		}
	}
}

func unexpected(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}
