package forward

import (
	"net/netip"
	"time"
)

// Exchange is a request and what became of it, as the client's end saw it. Its bytes are views: nothing of it is kept after
// the call it was passed to.
type Exchange struct {
	Request *Request
	// Protocol is HTTP/1.0, HTTP/1.1 or HTTP/2.
	Protocol string
	// Conn tells which end of the connection is ours; to ask may cost a system call, once a connection.
	Conn interface{ Local() netip.AddrPort }
	// Status is that of the final answer; 0 when none was begun.
	Status int
	// Substatus is the part behind the point where the page says one, as in 502.5; else 0.
	Substatus int
	// Received and Sent are the bytes of this request and its answer, heads and framing included as far as they are
	// counted: HTTP/2 counts bodies only. Payload is those of the answer's body alone.
	Received, Sent, Payload int64
	// Duration is from the end of the head to the end of the answer, which is when End is called.
	Duration time.Duration
	// Aborted says that the client has not got the whole answer.
	Aborted bool
}

// Observer is what a Door may be as well, to be told of its requests: Begin before Serve, End when the answer has gone or was
// cut. Both are called on the goroutine of the request, for every request: they do not wait and do not allocate.
type Observer interface {
	Begin(*Request)
	End(*Exchange)
}
