package ingress

import (
	"bytes"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/ancora-fleet/ancora/dataplane/h1"
)

// FuzzH2Request: whatever of a request over HTTP/2 is accepted is one strict head of HTTP/1.1 when it is written down
// field by field, with the same method, target, host, fields and length.
func FuzzH2Request(f *testing.F) {
	f.Add("GET", "/a?b", "x", "Cookie: a\nX-A: 1", int64(0))
	f.Add("POST", "/%2e/..", "[::1]:80", "Content-Length: 5", int64(5))
	f.Add("POST", "/", "x", "Content-Length: 5\nContent-Length: 5", int64(5))
	f.Add("GET /", "//y HTTP/1.1", "x\r\nA: b", "Host: x\nExpect: y\nContent_length: 1", int64(-1))
	h := &h2Server{l: &Listener{}}
	f.Fuzz(func(t *testing.T, method, target, host, lines string, length int64) {
		header := http.Header{}
		for line := range strings.SplitSeq(lines, "\n") {
			name, value, _ := strings.Cut(line, ": ")
			header.Add(name, value) // as net/http does
		}
		r, err := h.request(&http.Request{Method: method, RequestURI: target, Host: host, Header: header, ContentLength: max(length, -1), RemoteAddr: "192.0.2.1:80"})
		if err != nil {
			if _, ok := err.(*h1.Error); !ok {
				t.Errorf("%T: %v", err, err)
			}
			return
		}
		head := fmt.Appendf(nil, "%s %s%s HTTP/1.1\r\n", r.Method, r.Path, r.Query)
		hosts := 0
		for _, f := range r.Fields {
			head = fmt.Appendf(head, "%s: %s\r\n", f.Name, f.Value)
			if h1.EqualFold(f.Name, "host") {
				hosts++
			}
		}
		if hosts == 0 {
			head = fmt.Appendf(head, "Host: %s\r\n", r.Host)
		}
		var again h1.Request
		if err := again.Parse(append(head, "\r\n"...)); err != nil {
			if header["Transfer-Encoding"] != nil || header["Connection"] != nil || len(r.Fields) == h1.MaxFields {
				return // net/http has refused the one, ours is one too many
			}
			t.Fatalf("%q: %v", head, err)
		}
		if !bytes.Equal(again.Method, r.Method) || string(again.Target) != string(r.Path)+string(r.Query) || !bytes.EqualFold(again.Host, r.Host) {
			t.Errorf("%q of %q became %q of %q", target, host, again.Target, again.Host)
		}
		if header["Content-Length"] != nil && again.Length != r.ContentLength {
			t.Errorf("length %d, of %d bytes", again.Length, r.ContentLength)
		}
	})
}
