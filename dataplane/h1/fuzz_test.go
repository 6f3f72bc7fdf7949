package h1

import (
	"bufio"
	"bytes"
	"io"
	"net/http"
	"strconv"
	"testing"
)

// find runs the two steps that a reader of the wire does.
func find(data []byte) (head []byte) {
	end, _, err := Boundary(data, 0)
	if err != nil || end == 0 {
		return nil
	}
	return data[:end]
}

// FuzzRequest: whatever is accepted means the same to net/http: method, target, host and the body's length; and nothing
// that is accepted could be misread by a lenient reader.
func FuzzRequest(f *testing.F) {
	for _, seed := range []string{
		"GET /a?b HTTP/1.1\nHost: x\n\n",
		"POST http://y/p HTTP/1.1\nHost: x\nTransfer-Encoding: chunked\n\n0\n\n",
		"POST / HTTP/1.1\nHost: x\nContent-Length: 5\n\nhello",
		"GET / HTTP/1.0\nConnection: keep-alive\n\n",
		"GET / HTTP/1.1\nHost: [::1]:80\nConnection: Upgrade\nUpgrade: websocket\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\n\n",
		"POST / HTTP/1.1\nHost: x\nContent-Length: 5\nTransfer-Encoding: chunked\n\n",
	} {
		f.Add(crlf(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		head := find(data)
		var r Request
		if head == nil || r.Parse(head) != nil {
			return
		}
		for i, c := range head {
			if c == '\n' && head[i-1] != '\r' || c == '\r' && head[i+1] != '\n' || c == 0 {
				t.Fatalf("accepted a stray byte %q at %d", c, i)
			}
		}
		theirs, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(data)))
		if err != nil {
			if bytes.ContainsRune(r.Target, '%') || bytes.Contains(r.Target, []byte("//")) || len(r.Host) > 0 && r.Host[0] == '[' {
				return // theirs looks into the target, which is route's to judge here, and into addresses
			}
			t.Fatalf("theirs refuses it: %v", err)
		}
		if string(r.Method) != theirs.Method {
			t.Errorf("method %q, theirs %q", r.Method, theirs.Method)
		}
		if string(r.Host) != theirs.Host {
			t.Errorf("host %q, theirs %q", r.Host, theirs.Host)
		}
		if r.Length != theirs.ContentLength {
			t.Errorf("length %d, theirs %d", r.Length, theirs.ContentLength)
		}
		if r.Minor != theirs.ProtoMinor || theirs.ProtoMajor != 1 {
			t.Errorf("version 1.%d, theirs %s", r.Minor, theirs.Proto)
		}
		if len(r.Target) > 0 && !bytes.HasSuffix([]byte(theirs.RequestURI), r.Target) {
			t.Errorf("target %q, theirs %q", r.Target, theirs.RequestURI)
		}
		if !r.Close && theirs.Close {
			t.Error("theirs closes the connection")
		}
	})
}

// FuzzResponse is the same for answers.
func FuzzResponse(f *testing.F) {
	for _, seed := range []string{
		"HTTP/1.1 200 OK\nContent-Length: 5\n\nhello",
		"HTTP/1.1 200\nTransfer-Encoding: chunked\n\n0\n\n",
		"HTTP/1.0 204 No Content\nKeep-Alive: timeout=5\n\n",
		"HTTP/1.1 101 Switching\nConnection: Upgrade\nUpgrade: websocket\n\n",
	} {
		f.Add(crlf(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		head := find(data)
		var r Response
		if head == nil || r.Parse(head) != nil {
			return
		}
		theirs, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(data)), nil)
		if err != nil {
			if r.Status < 200 || r.Status == 204 {
				return // theirs refuses framing fields on these, which mean nothing to us
			}
			t.Fatalf("theirs refuses it: %v", err)
		}
		if r.Status != theirs.StatusCode {
			t.Errorf("status %d, theirs %d", r.Status, theirs.StatusCode)
		}
		if !Bodiless([]byte("GET"), r.Status) && (r.Length != theirs.ContentLength || r.Chunked != (len(theirs.TransferEncoding) > 0)) {
			t.Errorf("length %d, chunked %v, theirs %d, %q", r.Length, r.Chunked, theirs.ContentLength, theirs.TransferEncoding)
		}
	})
}

// FuzzChunks: the same bytes mean the same in whatever pieces they come, and the same as to net/http.
func FuzzChunks(f *testing.F) {
	for _, seed := range []string{"5\nhello\n0\n\n", "1;a=b\nx\n0\nX-T: v\n\n", "0\n\n", "00f\n0123456789abcde\n0;x\n\nGET"} {
		f.Add(crlf(seed), 3)
	}
	f.Fuzz(func(t *testing.T, in []byte, step int) {
		if step < 1 {
			return
		}
		data, n, end := decode(string(in), len(in)+1)
		pieces, k, same := decode(string(in), min(step, len(in)+1))
		if data != pieces || n != k || end != same {
			t.Fatalf("at once %q, %d, %s; in pieces of %d %q, %d, %s", data, n, end, step, pieces, k, same)
		}
		if end != "done" {
			return
		}
		head := "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
		theirs, err := http.ReadResponse(bufio.NewReader(io.MultiReader(bytes.NewReader([]byte(head)), bytes.NewReader(in[:n]))), nil)
		if err != nil {
			t.Fatal(err)
		}
		if body, err := io.ReadAll(theirs.Body); err == nil && string(body) != data {
			t.Errorf("%q, theirs %q", data, body)
		}
	})
}

// FuzzDigits: a number is what strconv makes of it.
func FuzzDigits(f *testing.F) {
	f.Add([]byte("4611686018427387904"))
	f.Add([]byte("-1"))
	f.Fuzz(func(t *testing.T, b []byte) {
		n, ok := Digits(b)
		want, err := strconv.ParseInt(string(b), 10, 64)
		if ok && (err != nil || n != want) {
			t.Errorf("%q: %d, want %d, %v", b, n, want, err)
		}
	})
}
