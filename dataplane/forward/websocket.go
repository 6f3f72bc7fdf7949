package forward

import (
	"crypto/sha1"
	"encoding/base64"
	"io"

	"github.com/ancora-fleet/ancora/dataplane/h1"
	"github.com/ancora-fleet/ancora/dataplane/upstream"
)

// accepts checks the application's side of the handshake (RFC 6455 4.1): a tunnel opens only for an answer that was
// made for this request, never because some bytes look like a 101.
func accepts(r *Request, answer *h1.Response) bool {
	if !answer.Upgrade || answer.Chunked || answer.Length > 0 {
		return false
	}
	key, one := only(r.Fields, "sec-websocket-key")
	accept, two := only(answer.Fields, "sec-websocket-accept")
	if !one || !two {
		return false
	}
	sum := sha1.Sum(append(append([]byte(nil), key...), "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"...))
	return base64.StdEncoding.EncodeToString(sum[:]) == string(accept)
}

func only(fields []Field, name string) (value []byte, ok bool) {
	n := 0
	for _, f := range fields {
		if h1.EqualFold(f.Name, name) {
			value = f.Value
			n++
		}
	}
	return value, n == 1
}

// tunnel passes bytes both ways until one side ends. Neither side gets a half-close: Kestrel takes it for an abort, and
// a WebSocket has its own way to say goodbye.
func (x *exchange) tunnel(c *upstream.Conn, answer *h1.Response) error {
	defer c.Discard()
	x.sent = true
	if err := x.w.Head(101, filterAnswer(answer, x.opt.Token), -1); err != nil {
		return x.failure(clientError{err})
	}
	if _, err := x.w.Write(nil); err != nil {
		return x.failure(clientError{err})
	}
	c.Raw()
	p := &pump{c: c, body: x.r.Body, done: make(chan struct{})}
	go p.runRaw()
	defer p.stop(c, x.r.Body)
	for {
		piece, err := c.Receive()
		if err != nil {
			err = p.explain(err)
			if err != io.EOF {
				x.w.Abort(err)
			}
			return nil // a tunnel has no other end than this
		}
		if _, err := x.w.Write(piece); err != nil {
			return nil
		}
	}
}

func (p *pump) runRaw() {
	defer close(p.done)
	buf := p.c.Borrow()
	defer p.c.Return(buf)
	for {
		n, err := p.body.Read(*buf)
		if n > 0 {
			if sendErr := p.c.Send((*buf)[:n]); sendErr != nil {
				err = sendErr
			}
		}
		if err != nil {
			p.err = err
			p.c.Interrupt(io.EOF) // the client has left: so does the other side
			return
		}
	}
}
