package h1

// Response is a parsed response head. Its slices are views of the head; Fields keeps its capacity.
type Response struct {
	Status int    // 100 to 999
	Reason []byte // may be empty
	Minor  int
	Fields []Field

	Length    int64 // Content-Length, -1 when there is none
	Chunked   bool
	Close     bool // no other request may follow on this connection
	Upgrade   bool // Connection names upgrade and Upgrade is websocket
	KeepAlive int  // seconds of "Keep-Alive: timeout=", -1 when it is not said
}

var errStatusLine = &Error{502, "malformed status line"}

// Parse reads a head that Boundary has found: all bytes up to and with its empty line.
func (r *Response) Parse(head []byte) error {
	*r = Response{Fields: r.Fields[:0], KeepAlive: -1}
	line, rest := cutLine(head)
	if err := r.parseLine(line); err != nil {
		return err
	}
	s := responseState{framing: framing{length: -1}, seconds: -1}
	for {
		f, next, err := cutField(rest)
		if err != nil {
			return err
		}
		if rest = next; f.Name == nil {
			break
		}
		if len(r.Fields) == MaxAnswer {
			return errFields
		}
		r.Fields = append(r.Fields, f)
		if err = s.field(f); err != nil {
			return err
		}
	}
	if len(rest) > 0 {
		return errLine
	}
	if err := s.check(r.Minor); err != nil {
		return err
	}
	r.Length, r.Chunked, r.KeepAlive = s.length, s.chunked, s.seconds
	r.Close = s.close || r.Minor == 0 && !s.keepAlive
	r.Upgrade = s.upgrade && s.websocket && s.upgrades == 1
	return nil
}

// Bodiless reports whether an answer with this status to this method has no body whatever its fields say (RFC 9112 6.3).
func Bodiless(method []byte, status int) bool {
	return status < 200 || status == 204 || status == 304 || string(method) == "HEAD"
}

func (r *Response) parseLine(line []byte) error {
	if len(line) < 12 || string(line[:7]) != "HTTP/1." || line[8] != ' ' || line[7] != '0' && line[7] != '1' {
		return errStatusLine
	}
	r.Minor = int(line[7] - '0')
	for _, c := range line[9:12] {
		if !isDigit(c) {
			return errStatusLine
		}
		r.Status = r.Status*10 + int(c-'0')
	}
	if r.Status < 100 {
		return errStatusLine
	}
	if len(line) > 12 {
		if line[12] != ' ' || !IsValue(line[13:]) {
			return errStatusLine
		}
		r.Reason = line[13:]
	}
	return nil
}

type responseState struct {
	framing
	connection
	upgrades, seconds int
	websocket         bool
}

func (s *responseState) field(f Field) error {
	switch len(f.Name) {
	case 7:
		if EqualFold(f.Name, "upgrade") {
			s.upgrades++
			s.websocket = EqualFold(f.Value, "websocket")
		}
	case 10:
		if EqualFold(f.Name, "connection") {
			return s.connection.add(f.Value)
		} else if EqualFold(f.Name, "keep-alive") {
			s.timeout(f.Value)
		}
	case 14:
		if EqualFold(f.Name, "content-length") {
			return s.contentLength(f.Value)
		}
	case 17:
		if EqualFold(f.Name, "transfer-encoding") {
			return s.transferEncoding(f.Value)
		}
	}
	return nil
}

// timeout reads the one parameter of Keep-Alive that matters: how long the application keeps an idle connection.
func (s *responseState) timeout(list []byte) {
	const name = "timeout="
	for len(list) > 0 {
		var parameter []byte
		parameter, list = NextElement(list)
		if len(parameter) <= len(name) || !EqualFold(parameter[:len(name)], name) {
			continue
		}
		if n, ok := Digits(parameter[len(name):]); ok {
			s.seconds = int(min(n, 1<<30))
		}
	}
}
