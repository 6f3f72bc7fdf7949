// Package forward carries one request to one instance and its answer back: it strips and adds fields, streams bodies,
// watches the time limit, tunnels WebSockets, and says in one typed error what went wrong.
//
// It owns the neutral door between ingress and application: Request and ResponseWriter. Nothing behind that door knows
// which version of HTTP the client speaks.
package forward

import (
	"context"
	"io"
	"net/netip"

	"github.com/ancora-fleet/ancora/dataplane/h1"
)

// Field is one field line of a head.
type Field = h1.Field

// Request is a byte view of a head plus a body; it is valid only until Serve returns.
type Request struct {
	// Method, Host and Query are as the client sent them; Query includes its '?' and is empty when there is none.
	// Path is normalised (route.Normalise) and starts with '/'.
	Method, Path, Query, Host []byte

	// Fields are the client's, in its order, all of them: what must not pass on is stripped by Serve, not before it.
	Fields []Field

	// Base is the prefix of Path that is the application's path, spelled as the client wrote it; empty for an
	// application at the root. The router sets it.
	Base []byte

	// ContentLength is the length of the body in bytes, 0 without a body, -1 when only its end will tell.
	ContentLength int64

	// Body is nil when there is none. For a checked WebSocket upgrade it is the client's raw bytes, to be read only
	// after Head(101). A Body that is an io.Closer can be closed at any time from another goroutine: a Read that waits
	// for the client then returns. One with Buffered() int tells how many bytes a Read gives without waiting.
	Body io.Reader

	// Trailers names the trailer fields that may follow the body, and has their values when it has been read to its end. Nil:
	// there are none, or they are dropped, as those of HTTP/1.1 are.
	Trailers func() []Field

	// Upgrade is set for a well-formed WebSocket handshake (GET, HTTP/1.1, no body).
	Upgrade bool
	// Expect100 is set when the client waits for 100 Continue. It is sent when Body is first read, never later than
	// the head of the answer.
	Expect100 bool

	// Client is where the connection comes from. Secure is set when it came over TLS.
	Client netip.AddrPort
	Secure bool
	// ClientTold and SchemeTold say that Client and Secure are what a trusted proxy has said in X-Forwarded-For and
	// X-Forwarded-Proto. Those fields pass on as they are then: they say it already.
	ClientTold, SchemeTold bool

	// Lane is a number that requests have in common which tend to run on one processor; any will do.
	Lane uint32

	// ClientCertificate is the one that the client has shown and TLS has verified: its DER in base64. Empty without one.
	ClientCertificate []byte

	// Context ends when the client is gone. There is one per connection, so nothing is attached to it.
	Context context.Context
	// Ending ends when the connection should come to its end: a WebSocket is told so. Nil: never.
	Ending context.Context
}

// Owed reports whether the client may still have to send bytes of the body: those that have not come with the head, all of
// one that waits for 100 Continue, and any of which only the end tells the length. A body that does not tell how much has
// come is owed. To be asked before it is read.
func (r *Request) Owed() bool {
	if r.Body == nil || r.Upgrade {
		return false
	}
	if r.ContentLength < 0 || r.Expect100 {
		return true
	}
	b, ok := r.Body.(interface{ Buffered() int })
	return !ok || int64(b.Buffered()) < r.ContentLength
}

// Source is the client as it is counted where clients have their share: an IPv6 network of 64 bits is one.
func Source(client netip.Addr) netip.Addr {
	if !client.Is6() {
		return client
	}
	return netip.PrefixFrom(client, 64).Masked().Addr()
}

// ResponseWriter takes one answer.
type ResponseWriter interface {
	// Head is called once for the final answer; length is that of the body in bytes, -1 when unknown. Informational
	// answers (102 to 199) may precede it; they go to clients that know of them, at once, and their length means nothing.
	// After Head(101) both directions are raw bytes. The final head may be held back until the first Write, so that both
	// leave together. Fields are not kept after it returns.
	Head(status int, fields []Field, length int64) error

	// Write sends a piece of the body at once; the bytes are not kept. Writing no bytes sends a head that was held back.
	Write(p []byte) (int, error)

	// Abort cuts the answer so that the client sees it was cut: no last chunk, RST_STREAM, a reset.
	Abort(err error)
}

// Door serves requests, each on its own goroutine. An application's front door is one.
type Door interface {
	Serve(*Request, ResponseWriter)
}
