package forward

import (
	"crypto/sha1"
	"encoding/base64"

	"github.com/ancora-fleet/ancora/dataplane/h1"
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
