package h1

import "bytes"

// Limits of what is accepted. They bound the memory of a connection, so they are constants.
const (
	MaxHead      = 64 << 10 // bytes of a head, with its last empty line; 431 above
	MaxTarget    = 16 << 10 // bytes of a request target; 414 above
	MaxMethod    = 32       // bytes of a method; 501 above
	MaxFields    = 100      // field lines of a request; 431 above
	MaxAnswer    = 256      // field lines of an answer
	MaxOptions   = 100      // elements of all Connection fields of a head; 431 above
	MaxLength    = 1 << 62  // Content-Length and chunk sizes
	MaxExtension = 256      // bytes of the extensions of one chunk
	MaxOverhead  = 16 << 10 // bytes of all extensions, and of the trailer section, of one body
)

// Error is a breach of HTTP/1.1. Status is what to answer when a client committed it; the connection must end.
type Error struct {
	Status int
	Text   string
}

func (e *Error) Error() string { return "h1: " + e.Text }

var (
	errLine      = &Error{400, "line that does not end with CRLF"}
	errFirstByte = &Error{400, "head that starts with no method"}
	errHeadSize  = &Error{431, "head over 64 KiB"}
	errFields    = &Error{431, "too many fields"}
	errOptions   = &Error{431, "too many connection options"}
	errName      = &Error{400, "field name that is no token"}
	errValue     = &Error{400, "control byte in a field value"}
	errLength    = &Error{400, "Content-Length that is no single number"}
	errEncoding  = &Error{400, "Transfer-Encoding other than chunked"}
	errBoth      = &Error{400, "Content-Length and Transfer-Encoding"}
)

// Boundary finds the end of a head in buf: the offset after its empty line, 0 when there is none yet. It reads from
// offset from, where an earlier call on a shorter buffer stopped, so that a head which comes byte by byte is read once;
// next is where to go on. A line that ends with a bare LF is refused at once, without waiting for the rest.
func Boundary(buf []byte, from int) (end, next int, err error) {
	for next = from; ; {
		i := bytes.IndexByte(buf[next:], '\n')
		if i < 0 {
			break
		}
		i += next
		if i == 0 || buf[i-1] != '\r' {
			return 0, next, errLine
		}
		next = i + 1
		if i == 1 || buf[i-2] == '\n' {
			if next > MaxHead {
				return 0, next, errHeadSize
			}
			return next, next, nil
		}
	}
	if len(buf) >= MaxHead {
		return 0, next, errHeadSize
	}
	return 0, next, nil
}

// cutLine takes a line off a head whose lines all end with CRLF. A CR inside is left for the checks of its parts.
func cutLine(head []byte) (line, rest []byte) {
	i := bytes.IndexByte(head, '\n')
	if i < 1 || head[i-1] != '\r' {
		return nil, nil
	}
	return head[:i-1], head[i+1:]
}

// cutField takes one field line off the rest of a head, and checks it on the way: each byte is looked at once. The empty line
// at the end gives a field without a name.
func cutField(head []byte) (f Field, rest []byte, err error) {
	i := 0
	for i < len(head) && isToken(head[i]) {
		i++
	}
	if i == 0 && len(head) >= 2 && head[0] == '\r' && head[1] == '\n' {
		return Field{}, head[2:], nil
	}
	if i == 0 || i == len(head) || head[i] != ':' {
		return Field{}, nil, errName
	}
	from := i + 1
	for from < len(head) && (head[from] == ' ' || head[from] == '\t') {
		from++
	}
	end := from + valueLength(head[from:])
	if end+1 >= len(head) || head[end] == '\n' {
		return Field{}, nil, errLine
	}
	if head[end] != '\r' || head[end+1] != '\n' {
		return Field{}, nil, errValue
	}
	to := end
	for to > from && (head[to-1] == ' ' || head[to-1] == '\t') {
		to--
	}
	return Field{head[:i], head[from:to]}, head[end+2:], nil
}

// framing is what Content-Length and Transfer-Encoding say, in the only spellings accepted.
type framing struct {
	length  int64 // -1 when there is no Content-Length
	chunked bool
}

func (f *framing) contentLength(value []byte) error {
	n, ok := Digits(value)
	if !ok || f.length >= 0 {
		return errLength
	}
	f.length = n
	return nil
}

func (f *framing) transferEncoding(value []byte) error {
	if f.chunked || !EqualFold(value, "chunked") {
		return errEncoding
	}
	f.chunked = true
	return nil
}

// check refuses what would let two readers see two ends of the body (RFC 9112 6.1, 6.3).
func (f *framing) check(minor int) error {
	if f.chunked && f.length >= 0 {
		return errBoth
	}
	if f.chunked && minor == 0 {
		return errEncoding
	}
	return nil
}

// connection is what the Connection fields of a head say. What they nominate is forward's business.
type connection struct {
	options                   int
	close, keepAlive, upgrade bool
	hidesKey                  bool // Sec-WebSocket-Key is nominated, so it does not reach the application
}

func (c *connection) add(list []byte) error {
	for len(list) > 0 {
		var option []byte
		option, list = NextElement(list)
		if c.options++; c.options > MaxOptions {
			return errOptions
		}
		switch len(option) {
		case 5:
			c.close = c.close || EqualFold(option, "close")
		case 7:
			c.upgrade = c.upgrade || EqualFold(option, "upgrade")
		case 10:
			c.keepAlive = c.keepAlive || EqualFold(option, "keep-alive")
		case 17:
			c.hidesKey = c.hidesKey || EqualFold(option, "sec-websocket-key")
		}
	}
	return nil
}
