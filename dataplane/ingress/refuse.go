package ingress

import (
	"errors"
	"strconv"
	"time"

	"github.com/ancora-fleet/ancora/dataplane/forward"
	"github.com/ancora-fleet/ancora/dataplane/h1"
)

// refuse answers a request that is none, and ends the connection: where the next one would begin is not known.
func (t *turn) refuse(err error) step {
	status := 0
	var breach *h1.Error
	switch {
	case errors.As(err, &breach):
		status = breach.Status
	case errors.Is(err, errExpired) && t.w > t.r:
		status = 408
	}
	if status == 0 { // the client has gone, or had sent nothing
		return stepOver
	}
	text := reason(status)
	b := append(t.out.buf[:0], "HTTP/1.1 "...)
	b = strconv.AppendInt(b, int64(status), 10)
	b = append(append(b, ' '), text...)
	b = append(b, "\r\n"...)
	b = append(b, *t.c.l.date.Load()...)
	b = append(b, forward.ErrorField+": "...)
	b = strconv.AppendInt(b, int64(status), 10)
	b = append(b, "\r\nContent-Type: text/plain\r\nConnection: close\r\nContent-Length: "...)
	b = strconv.AppendInt(b, int64(len(text)+1), 10)
	b = append(b, "\r\n\r\n"...)
	b = append(append(b, text...), '\n')
	t.out.buf = b[:0]
	t.c.enterAny(phaseOther)
	if t.c.sock.SetDeadline(time.Now().Add(lingerTime)) != nil {
		return stepOver
	}
	if _, err := t.c.sock.Write(b); err != nil {
		return stepOver
	}
	t.stage = stageLinger
	return stepRead
}

// ours are the fields of a plain answer that is no application's.
func ours(status int) []forward.Field {
	return []forward.Field{
		{Name: []byte("Content-Type"), Value: []byte("text/plain; charset=utf-8")},
		{Name: []byte(forward.ErrorField), Value: strconv.AppendInt(nil, int64(status), 10)},
	}
}

// A client that is still sending when its connection is closed gets a reset, and loses the answer with it. So what it
// sends is read for a while, and thrown away (RFC 9112 9.6).
const (
	lingerTime  = time.Second
	lingerBytes = 1 << 20
)

func (t *turn) linger() {
	c := t.c
	c.enterAny(phaseOther)
	c.sock.SetDeadline(time.Now().Add(lingerTime))
	if c.sock.CloseWrite() != nil {
		return
	}
	for total := 0; total < lingerBytes; {
		n, err := c.sock.Read(*t.buf)
		if err != nil {
			return
		}
		total += n
	}
}

// reason is the phrase for a status; unknown ones have none, which is legal.
func reason(status int) string { return reasons[status] }

var reasons = map[int]string{
	101: "Switching Protocols", 102: "Processing", 103: "Early Hints", 200: "OK", 201: "Created", 202: "Accepted", 203: "Non-Authoritative Information",
	204: "No Content", 205: "Reset Content", 206: "Partial Content", 207: "Multi-Status", 300: "Multiple Choices",
	301: "Moved Permanently", 302: "Found", 303: "See Other", 304: "Not Modified", 307: "Temporary Redirect",
	308: "Permanent Redirect", 400: "Bad Request", 401: "Unauthorized", 402: "Payment Required", 403: "Forbidden",
	404: "Not Found", 405: "Method Not Allowed", 406: "Not Acceptable", 408: "Request Timeout", 409: "Conflict",
	410: "Gone", 411: "Length Required", 412: "Precondition Failed", 413: "Content Too Large", 414: "URI Too Long",
	415: "Unsupported Media Type", 416: "Range Not Satisfiable", 417: "Expectation Failed", 421: "Misdirected Request",
	422: "Unprocessable Content", 425: "Too Early", 426: "Upgrade Required", 428: "Precondition Required",
	429: "Too Many Requests", 431: "Request Header Fields Too Large", 451: "Unavailable For Legal Reasons",
	500: "Internal Server Error", 501: "Not Implemented", 502: "Bad Gateway", 503: "Service Unavailable",
	504: "Gateway Timeout", 505: "HTTP Version Not Supported", 507: "Insufficient Storage",
}
