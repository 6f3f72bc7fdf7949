package rows

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"regexp"
	"strings"
	"time"

	"github.com/ancora-fleet/ancora/tests/lab"
)

// answer is what a client got.
type answer struct {
	status int
	reason string
	header http.Header
	body   string
	// trailer are the fields behind the body.
	trailer http.Header
}

var titled = regexp.MustCompile(`<title>HTTP Error ([0-9.]+) -`)

// code is the status with its substatus, like 502.5.
func (a answer) code() string {
	if c := a.header.Get("X-Ancora-Error"); c != "" {
		return c
	}
	if m := titled.FindStringSubmatch(a.body); m != nil {
		return m[1]
	}
	return fmt.Sprint(a.status)
}

func (a answer) String() string { return fmt.Sprintf("%s %.300q", a.code(), a.body) }

// get asks for a path on a connection of its own; fields are whole lines. It records the answer.
func (s *served) get(path string, fields ...string) answer {
	s.r.Helper()
	return s.ask("GET", path, "", fields...)
}

// ask sends any method, with a body when there is one.
func (s *served) ask(method, path, body string, fields ...string) answer {
	s.r.Helper()
	a, err := s.try(method, path, body, fields...)
	if err != nil {
		s.r.Fatalf("%s %s: %v", method, path, err)
	}
	s.r.saw(reply, "%s %s: %s", method, path, a.code())
	return a
}

// try is ask for when an error is an answer too.
func (s *served) try(method, path, body string, fields ...string) (answer, error) {
	return try(s.address, method, path, body, fields...)
}

func try(address, method, path, body string, fields ...string) (answer, error) {
	text := method + " " + path + " HTTP/1.1\r\n"
	if !has(fields, "host:") {
		text += "Host: " + address + "\r\n"
	}
	if !has(fields, "connection:") {
		text += "Connection: close\r\n"
	}
	if (body != "" || method == "POST") && !has(fields, "content-length:") && !has(fields, "transfer-encoding:") {
		text += fmt.Sprintf("Content-Length: %d\r\n", len(body))
	}
	for _, f := range fields {
		text += f + "\r\n"
	}
	return send(address, method, text+"\r\n"+body)
}

func has(fields []string, name string) bool {
	for _, f := range fields {
		if strings.HasPrefix(strings.ToLower(f), name) {
			return true
		}
	}
	return false
}

// send sends bytes as they are and reads the answer to a method.
func send(address, method, text string) (answer, error) {
	conn, err := net.DialTimeout("tcp", address, lab.Deadline)
	if err != nil {
		return answer{}, err
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(2 * lab.Deadline))
	go func() { _, _ = io.WriteString(conn, text) }() // an answer may come before all is sent
	return receive(bufio.NewReader(conn), method)
}

// receive reads one answer.
func receive(from *bufio.Reader, method string) (answer, error) {
	response, err := http.ReadResponse(from, &http.Request{Method: method})
	if err != nil {
		return answer{}, err
	}
	defer response.Body.Close()
	_, reason, _ := strings.Cut(response.Status, " ")
	a := answer{status: response.StatusCode, reason: reason, header: response.Header}
	if response.StatusCode == 101 {
		return a, nil
	}
	body, err := io.ReadAll(response.Body)
	a.body, a.trailer = string(body), response.Trailer
	return a, err
}

// who is what the probe sees of a request.
type who struct {
	Pid                              int
	Method, Scheme, Host             string
	PathBase, Path, Query, RawTarget string
	RemoteIP                         string `json:"remoteIp"`
	RemotePort                       int
	ClientCertificate                string
	MaxRequestBodySize               int64
	Upgradable                       bool
	Headers                          map[string][]string
}

// field gives the values of a field that the application got, in any case.
func (w who) field(name string) []string {
	for n, values := range w.Headers {
		if strings.EqualFold(n, name) {
			return values
		}
	}
	return nil
}

// who asks the probe at a path that ends in /who.
func (s *served) who(path string, fields ...string) who {
	s.r.Helper()
	var w who
	s.json(path, &w, fields...)
	return w
}

// json asks for a path whose answer is JSON.
func (s *served) json(path string, to any, fields ...string) {
	s.r.Helper()
	a := s.get(path, fields...)
	if a.status != 200 {
		s.r.Fatalf("GET %s: %v", path, a)
	}
	if err := json.Unmarshal([]byte(a.body), to); err != nil {
		s.r.Fatalf("GET %s: %v in %s", path, err, a.body)
	}
}

// environ is the environment of the probe, or of childapp.
func (s *served) environ() map[string]string {
	s.r.Helper()
	a := s.get("/env")
	all := map[string]string{}
	if json.Unmarshal([]byte(a.body), &all) == nil {
		return all
	}
	for line := range strings.Lines(a.body) {
		if name, value, ok := strings.Cut(strings.TrimSuffix(line, "\n"), "="); ok {
			all[name] = value
		}
	}
	return all
}

// paths is what the probe says of where it runs.
type paths struct {
	ContentRoot, WebRoot, Environment, WorkingDirectory, BaseDirectory string
	CommandLine, Addresses                                             []string
}

func (s *served) paths() paths {
	s.r.Helper()
	var p paths
	s.json("/paths", &p)
	return p
}

// want compares what was seen with what must be.
func want[T comparable](r *recorder, what string, got, wanted T) {
	r.Helper()
	if got != wanted {
		r.Errorf("%s is %v, want %v", what, got, wanted)
	}
}

// opened is a connection that is used more than once.
type opened struct {
	s    *served
	conn net.Conn
	in   *bufio.Reader
}

func (s *served) open() *opened {
	s.r.Helper()
	conn, err := net.Dial("tcp", s.address)
	if err != nil {
		s.r.Fatal(err)
	}
	return newOpened(s, conn)
}

func newOpened(s *served, conn net.Conn) *opened {
	s.r.Cleanup(func() { conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(2 * lab.Deadline))
	return &opened{s, conn, bufio.NewReader(conn)}
}

func (o *opened) send(text string) (answer, error) {
	if _, err := io.WriteString(o.conn, text); err != nil {
		return answer{}, err
	}
	return receive(o.in, "GET")
}
