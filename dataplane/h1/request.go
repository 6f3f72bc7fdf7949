package h1

import "bytes"

// Request is a parsed request head. Its slices are views of the head; Fields keeps its capacity from one Parse to the
// next, which is why it is reused.
type Request struct {
	Method []byte
	Target []byte // origin-form: starts with '/', or with '?' for an absolute-form without a path, or is empty for one without both
	Host   []byte // authority of the target if it has one, else the Host field; empty only in HTTP/1.0
	Minor  int    // HTTP/1.Minor, 0 or 1
	Fields []Field

	Length int64 // of the body: 0 without one, -1 when it is chunked
	Close  bool  // the client does not want, or does not know, another request on this connection
	Expect bool  // it waits for 100 Continue before it sends its body
	// Upgrade is a well-formed WebSocket handshake (RFC 6455 4.1): GET, 1.1, no body, the key. Every other upgrade is
	// ignored, as RFC 9110 7.8 allows.
	Upgrade bool
}

var (
	errRequestLine = &Error{400, "malformed request line"}
	errVersion     = &Error{505, "version other than 1.0 and 1.1"}
	errMethodSize  = &Error{501, "method too long"}
	errMethod      = &Error{501, "method that a reverse proxy does not carry"}
	errTargetSize  = &Error{414, "target over 16 KiB"}
	errTarget      = &Error{400, "target neither a path nor an http URI"}
	errNoHost      = &Error{400, "no Host"}
	errTwoHosts    = &Error{400, "more than one Host"}
	errHost        = &Error{400, "malformed Host"}
	errExpect      = &Error{417, "expectation other than 100-continue"}
)

// SkipEmptyLine drops one empty line before a request (RFC 9112 2.2: old clients send one after a body). More than one
// is a breach. It reports incomplete while that cannot be told yet.
func SkipEmptyLine(buf []byte) (n int, incomplete bool) {
	switch {
	case len(buf) == 0, len(buf) == 1 && buf[0] == '\r':
		return 0, true
	case buf[0] == '\r' && buf[1] == '\n':
		return 2, len(buf) == 2
	}
	return 0, false
}

// Check looks at the beginning of a head that is not complete, and refuses what can no longer become a request: another
// protocol on this port, or a malformed first line (HTTP/0.9 has nothing else). Settled says that there is no more to
// learn from it.
func Check(buf []byte) (settled bool, err error) {
	if len(buf) > 0 && !isToken(buf[0]) {
		return true, errFirstByte
	}
	line, _ := cutLine(buf)
	if line == nil {
		return false, nil
	}
	return true, new(Request).parseLine(line)
}

// Parse reads a head that Boundary has found: all bytes up to and with its empty line.
func (r *Request) Parse(head []byte) error {
	*r = Request{Fields: r.Fields[:0]}
	line, rest := cutLine(head)
	if err := r.parseLine(line); err != nil {
		return err
	}
	s := requestState{framing: framing{length: -1}}
	for {
		f, next, err := cutField(rest)
		if err != nil {
			return err
		}
		if rest = next; f.Name == nil {
			break
		}
		if len(r.Fields) == MaxFields {
			return errFields
		}
		r.Fields = append(r.Fields, f)
		if err = s.field(f); err != nil {
			return err
		}
	}
	if len(rest) > 0 {
		return errLine // not a head as Boundary finds them
	}
	return r.finish(&s)
}

func (r *Request) parseLine(line []byte) error {
	i := 0
	for i < len(line) && isToken(line[i]) {
		i++
	}
	if i > MaxMethod {
		return errMethodSize
	}
	if i == 0 || i == len(line) || line[i] != ' ' {
		return errRequestLine
	}
	r.Method, line = line[:i], line[i+1:]
	i = bytes.IndexByte(line, ' ')
	if i <= 0 {
		return errRequestLine
	}
	if i > MaxTarget {
		return errTargetSize
	}
	r.Target = line[:i]
	switch version := line[i+1:]; string(version) {
	case "HTTP/1.1":
		r.Minor = 1
	case "HTTP/1.0":
	default:
		if len(version) == 8 && string(version[:5]) == "HTTP/" && isDigit(version[5]) && version[6] == '.' && isDigit(version[7]) {
			return errVersion
		}
		return errRequestLine
	}
	return r.parseTarget()
}

// parseTarget takes an absolute-form apart. CONNECT and TRACE go nowhere: the one opens tunnels, the other would show
// the client what we add for the application.
func (r *Request) parseTarget() error {
	for _, c := range r.Target {
		if c <= ' ' || c >= 0x7f || c == '#' {
			return errTarget
		}
	}
	if string(r.Method) == "CONNECT" || string(r.Method) == "TRACE" {
		return errMethod
	}
	if r.Target[0] == '/' {
		return nil
	}
	i := bytes.Index(r.Target, []byte("://"))
	if i < 0 || !EqualFold(r.Target[:i], "http") && !EqualFold(r.Target[:i], "https") {
		return errTarget
	}
	host := r.Target[i+3:]
	r.Target = nil
	if i = bytes.IndexAny(host, "/?"); i >= 0 {
		host, r.Target = host[:i], host[i:]
	}
	if !IsHost(host) {
		return errTarget
	}
	r.Host = host
	return nil
}

// requestState is what the fields have said so far.
type requestState struct {
	framing
	connection
	host            []byte
	hosts, upgrades int
	keys, expects   int
	websocket       bool
	key             bool // one of the right length
	continues       bool
}

// field notes the fields that steer the connection. The length of the name picks the few that it could be.
func (s *requestState) field(f Field) error {
	switch len(f.Name) {
	case 4:
		if EqualFold(f.Name, "host") {
			s.host = f.Value
			s.hosts++
		}
	case 6:
		if EqualFold(f.Name, "expect") {
			s.expects++
			s.continues = EqualFold(f.Value, "100-continue")
		}
	case 7:
		if EqualFold(f.Name, "upgrade") {
			s.upgrades++
			s.websocket = EqualFold(f.Value, "websocket")
		}
	case 10:
		if EqualFold(f.Name, "connection") {
			return s.connection.add(f.Value)
		}
	case 14:
		if EqualFold(f.Name, "content-length") {
			return s.contentLength(f.Value)
		}
	case 17:
		if EqualFold(f.Name, "transfer-encoding") {
			return s.transferEncoding(f.Value)
		}
		if EqualFold(f.Name, "sec-websocket-key") {
			s.keys++
			s.key = len(f.Value) == 24 // base64 of 16 bytes
		}
	}
	return nil
}

func (r *Request) finish(s *requestState) error {
	if s.hosts > 1 {
		return errTwoHosts
	}
	if s.hosts == 0 && r.Minor == 1 {
		return errNoHost
	}
	if s.hosts == 1 && !IsHost(s.host) {
		return errHost
	}
	if r.Host == nil {
		r.Host = s.host
	}
	if err := s.check(r.Minor); err != nil {
		return err
	}
	if r.Length = max(s.length, 0); s.chunked {
		r.Length = -1
	}
	r.Close = s.close || r.Minor == 0 && !s.keepAlive
	if s.expects > 0 && r.Minor == 1 {
		if s.expects > 1 || !s.continues {
			return errExpect
		}
		r.Expect = r.Length != 0
	}
	r.Upgrade = s.upgrade && s.websocket && s.upgrades == 1 && s.key && s.keys == 1 && !s.hidesKey && r.Minor == 1 &&
		s.length <= 0 && !s.chunked && string(r.Method) == "GET" && !r.Close
	return nil
}
