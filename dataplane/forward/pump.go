package forward

import (
	"errors"
	"io"
	"sync/atomic"

	"github.com/ancora-fleet/ancora/dataplane/h1"
	"github.com/ancora-fleet/ancora/dataplane/upstream"
)

var errTooLarge = errors.New("forward: body over the limit")

// pumpMargin is the room for a chunk's line before it, and for CRLF and the last chunk behind it.
const pumpMargin = 16

// pump sends a request body beside the goroutine that waits for the answer, since an application may answer before it
// has read everything, and may stop reading then. A nil pump has nothing to send.
type pump struct {
	c     *upstream.Conn
	body  io.Reader
	left  int64 // of a body with a length; -1 sends chunks
	limit int64 // of a body without one; below 0 is none
	read  atomic.Bool
	done  chan struct{}
	err   error // once done is closed
}

func startPump(c *upstream.Conn, body io.Reader, length, limit int64) *pump {
	p := &pump{c: c, body: body, left: length, limit: limit, done: make(chan struct{})}
	go p.run()
	return p
}

func (p *pump) run() {
	defer close(p.done)
	lent := p.c.Borrow()
	defer p.c.Return(lent)
	buf := *lent
	if p.left < 0 {
		p.err = p.sendChunks(buf)
	} else {
		p.err = p.sendLength(buf)
	}
	if fromClient := (clientError{}); errors.As(p.err, &fromClient) || p.err == errTooLarge {
		p.c.Interrupt(p.err) // no answer is of use any more
	}
}

// receive waits for the client, which is not the instance's fault.
func (p *pump) receive(buf []byte) (int, error) {
	p.c.Pause()
	defer p.c.Resume()
	return p.body.Read(buf)
}

func (p *pump) sendLength(buf []byte) error {
	for p.left > 0 {
		n, err := p.receive(buf[:min(int64(len(buf)), p.left)])
		if p.left -= int64(n); p.left == 0 {
			p.read.Store(true)
		} else if err != nil {
			return clientError{noEOF(err)}
		}
		if err := p.c.Send(buf[:n]); err != nil {
			return err
		}
	}
	p.read.Store(true)
	return nil
}

func (p *pump) sendChunks(buf []byte) error {
	for total := int64(0); ; {
		n, err := p.receive(buf[pumpMargin : len(buf)-pumpMargin])
		if total += int64(n); p.limit >= 0 && total > p.limit {
			return errTooLarge
		}
		if err != nil && err != io.EOF {
			return clientError{err}
		}
		out := buf[pumpMargin:pumpMargin]
		if n > 0 {
			var line [pumpMargin]byte
			size := h1.AppendChunk(line[:0], n)
			copy(buf[pumpMargin-len(size):], size)
			out = append(buf[pumpMargin-len(size):pumpMargin+n], '\r', '\n')
		}
		if err == io.EOF {
			p.read.Store(true)
			out = append(out, "0\r\n\r\n"...)
		}
		if sendErr := p.c.Send(out); sendErr != nil || err == io.EOF {
			return sendErr
		}
	}
}

func noEOF(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

// explain replaces an error of the waiting side by the pump's when that was the cause.
func (p *pump) explain(err error) error {
	if p == nil {
		return err
	}
	select {
	case <-p.done:
		if fromClient := (clientError{}); errors.As(p.err, &fromClient) || p.err == errTooLarge {
			return p.err
		}
	default:
	}
	return err
}

// whole waits for the end if the client's part is over, and reports whether everything was sent.
func (p *pump) whole() bool {
	if p == nil {
		return true
	}
	if p.read.Load() {
		<-p.done
	}
	select {
	case <-p.done:
		return p.err == nil
	default:
		return false
	}
}

// stop ends the pump and waits for it, so that nobody touches the client's body once Serve has returned. It reports
// whether there was one.
func (p *pump) stop(c *upstream.Conn, body io.Reader) bool {
	if p == nil {
		return false
	}
	select {
	case <-p.done:
		return true
	default:
	}
	c.Interrupt(errStopped)
	if closer, ok := body.(io.Closer); ok {
		closer.Close()
	}
	<-p.done
	return true
}

var errStopped = errors.New("forward: the answer is over")
