package forward

import "fmt"

// Kind says what kept a request from its answer.
type Kind int

// The kinds of failure, and the status that a client is told while nothing was sent to it (behaviour: ERR-5 to ERR-7).
const (
	Refused    Kind = iota + 1 // nobody accepts connections on the instance's port; 502
	Reset                      // the connection ended before the answer did; 502
	Timeout                    // no byte moved for RequestTimeout (FWD-30); 502
	Malformed                  // the answer breaks HTTP/1.1; 502
	ClientGone                 // the client left, or does not take its answer; nobody to tell
	TooLarge                   // the body is over BodyLimit (FWD-15); 413
	BadRequest                 // the client's body breaks its framing; 400
	TooSlow                    // the client's body comes too slowly; 408
	Ended                      // the instance ends, and its answer went on; always Sent
)

var kinds = [...]string{Refused: "refused", Reset: "reset", Timeout: "timeout", Malformed: "malformed answer",
	ClientGone: "client gone", TooLarge: "body too large", BadRequest: "malformed body", TooSlow: "body too slow", Ended: "instance ends"}

// String is a short name for logs.
func (k Kind) String() string {
	if k > 0 && int(k) < len(kinds) {
		return kinds[k]
	}
	return fmt.Sprintf("kind %d", int(k))
}

// Status is what the client is told when nothing was sent yet.
func (k Kind) Status() int {
	switch k {
	case TooLarge:
		return 413
	case TooSlow:
		return 408
	case BadRequest, ClientGone:
		return 400
	}
	return 502
}

// Error is the one error that Serve returns.
type Error struct {
	Kind Kind
	Err  error // what happened below; may be nil
	Sent bool  // a head has gone to the client: the answer was cut, no page can follow
}

func (e *Error) Error() string {
	if e.Err == nil {
		return "forward: " + e.Kind.String()
	}
	return fmt.Sprintf("forward: %s: %v", e.Kind, e.Err)
}

// Unwrap gives the error below.
func (e *Error) Unwrap() error { return e.Err }
