package ingress

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/ancora-fleet/ancora/dataplane/forward"
	"github.com/ancora-fleet/ancora/dataplane/h1"
	"github.com/ancora-fleet/ancora/dataplane/upstream"
)

// FuzzAnswer: whatever bytes an application answers with, the client gets one strict answer that net/http reads as it
// reads the application's own, or one that is visibly cut, or is told that there is none. Nothing shows the token.
func FuzzAnswer(f *testing.F) {
	for _, seed := range []string{
		"HTTP/1.1 200 OK\nContent-Length: 5\nConnection: x-hop\nX-Hop: 1\nX-Kept: 1\n\nhello",
		"HTTP/1.1 100 Continue\n\nHTTP/1.1 103 Early Hints\nLink: t0ken\n\nHTTP/1.1 200 t0ken\nTransfer-Encoding: chunked\n\n5\nhello\n0\nX-Trailer: t0ken\n\n",
		"HTTP/1.0 404 Not Found\nt0ken: a\nms_aspnetcore_token: a\nA: <t0ken>\n\nto the end",
		"HTTP/1.1 304 Not Modified\nContent-Length: 5\n\nHTTP/1.1 200 OK\nContent-Length: 0\n\n",
		"HTTP/1.1 101 Switching\nConnection: Upgrade\nUpgrade: websocket\n\n",
	} {
		f.Add([]byte(strings.ReplaceAll(seed, "\n", "\r\n")), false)
	}
	for _, seed := range replies(f) {
		f.Add(seed, len(seed)%8 == 0)
	}
	var said atomic.Pointer[[]byte]
	address := answering(f, &said)
	f.Fuzz(func(t *testing.T, data []byte, head bool) {
		method := "GET"
		if head {
			method = "HEAD"
		}
		said.Store(&data)
		same(t, method, data, ask(t, address, method))
	})
}

// replies gives the answers of the HTTP/1.1 corpus.
func replies(f *testing.F) (seeds [][]byte) {
	text, err := os.ReadFile("../../tests/h1/corpus.json")
	if err != nil {
		f.Fatal(err)
	}
	var all struct{ Cases []struct{ Reply string } }
	if err := json.Unmarshal(text, &all); err != nil {
		f.Fatal(err)
	}
	for _, c := range all.Cases {
		var seed []byte
		for _, r := range c.Reply { // a code point is a byte
			seed = append(seed, byte(r))
		}
		seeds = append(seeds, seed)
	}
	return seeds
}

// answering is a proxy before an application that says what it is told to, and ends.
func answering(f *testing.F, said *atomic.Pointer[[]byte]) (address string) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		f.Fatal(err)
	}
	var running sync.WaitGroup
	running.Go(func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			running.Go(func() {
				defer c.Close()
				c.SetDeadline(time.Now().Add(10 * time.Second))
				if _, err := http.ReadRequest(bufio.NewReader(c)); err == nil {
					c.Write(*said.Load())
				}
			})
		}
	})
	up := upstream.New("tcp", ln.Addr().String(), upstream.Options{})
	f.Cleanup(func() {
		up.Close()
		ln.Close()
		running.Wait()
	})
	unix, err := net.Listen("unix", f.TempDir()+"/proxy") // thousands of connections a second leave no ports in a wait
	if err != nil {
		f.Fatal(err)
	}
	return serve(f, unix, door(func(r *forward.Request, w forward.ResponseWriter) {
		r.Client = netip.MustParseAddrPort("192.0.2.1:4711")
		err := forward.Serve(r, w, up, forward.Options{Token: "t0ken", RequestTimeout: 5 * time.Second})
		if failed, ok := err.(*forward.Error); ok && !failed.Sent {
			w.Head(failed.Kind.Status(), []forward.Field{{Name: []byte("X-None"), Value: []byte("1")}}, 0)
		}
	}), Options{}).addr
}

func ask(t *testing.T, address, method string) []byte {
	c, err := net.Dial("unix", address)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(10 * time.Second))
	io.WriteString(c, method+" / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
	got, err := io.ReadAll(c)
	if err != nil {
		t.Fatalf("%v after %q", err, got)
	}
	return got
}

// answer is what net/http reads.
type answer struct {
	*http.Response
	body []byte
	cut  error
	rest int
}

// final reads the final answer. It reports false for what net/http refuses.
func final(data []byte, method string) (a answer, ok bool) {
	for r := bufio.NewReader(bytes.NewReader(data)); ; {
		res, err := http.ReadResponse(r, &http.Request{Method: method})
		if err != nil {
			return answer{}, false
		}
		if res.StatusCode < 200 && res.StatusCode != 101 {
			continue
		}
		a.Response = res
		a.body, a.cut = io.ReadAll(res.Body)
		rest, _ := io.ReadAll(r)
		a.rest = len(rest)
		return a, true
	}
}

func same(t *testing.T, method string, data, sent []byte) {
	t.Helper()
	got, ok := final(sent, method)
	if !ok || got.rest > 0 || got.ProtoMajor != 1 || got.ProtoMinor != 1 {
		t.Fatalf("%q became %q", data, sent)
	}
	if end, _, err := h1.Boundary(sent, 0); err != nil || new(h1.Response).Parse(sent[:end]) != nil {
		t.Fatalf("%q became %q, which is not strict", data, sent)
	}
	if head, _, _ := bytes.Cut(sent, []byte("\r\n\r\n")); bytes.Contains(head, []byte("t0ken")) {
		t.Fatalf("the token is in %q", sent)
	}
	if got.Header.Get("X-None") != "" {
		return // we are stricter
	}
	want, ok := final(data, method)
	if !ok {
		if got.StatusCode < 300 && got.StatusCode != 204 { // theirs refuses framing fields on 204 and 1xx, which mean nothing to us
			t.Logf("theirs refuses %q", data)
		}
		return
	}
	if got.StatusCode != want.StatusCode || !bytes.HasPrefix(want.body, got.body) || got.cut == nil && (want.cut != nil || len(got.body) != len(want.body)) {
		t.Fatalf("%q (%d, %q, %v) became %q (%d, %q, %v)", data, want.StatusCode, want.body, want.cut, sent, got.StatusCode, got.body, got.cut)
	}
	if want.ContentLength >= 0 && want.StatusCode != 204 && got.ContentLength != want.ContentLength {
		t.Fatalf("%q: length %d became %d", data, want.ContentLength, got.ContentLength)
	}
	if diff := cmp.Diff(passes(want.Header), passes(got.Header)); diff != "" {
		t.Fatalf("%q became %q:\n%s", data, sent, diff)
	}
}

// passes drops what is between the application and us.
func passes(fields http.Header) http.Header {
	dropped := []string{"Te", "Date", "Upgrade", "Trailer", "Connection", "Keep-Alive", "Content-Length", "Proxy-Connection", "Transfer-Encoding", "Sec-Websocket-Extensions"}
	for _, list := range fields["Connection"] {
		for option := range strings.SplitSeq(list, ",") {
			dropped = append(dropped, http.CanonicalHeaderKey(strings.Trim(option, " \t")))
		}
	}
	kept := http.Header{}
	for name, values := range fields {
		plain := http.CanonicalHeaderKey(strings.ReplaceAll(name, "_", "-"))
		values = slices.DeleteFunc(slices.Clone(values), func(v string) bool { return strings.Contains(v, "t0ken") })
		if slices.Contains(dropped, plain) || slices.Contains(dropped, name) || strings.HasPrefix(plain, "Ms-Aspnetcore") || strings.Contains(strings.ToLower(name), "t0ken") || len(values) == 0 {
			continue
		}
		kept[name] = values
	}
	return kept
}
