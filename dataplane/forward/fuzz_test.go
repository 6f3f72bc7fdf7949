package forward_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/ancora-fleet/ancora/dataplane/forward"
	"github.com/ancora-fleet/ancora/dataplane/h1"
	"github.com/ancora-fleet/ancora/dataplane/route"
)

const token = "MS-ASPNETCORE-TOKEN"

// arrived makes a request of the bytes of one, as ingress does. It reports false for what is refused or not whole.
func arrived(data []byte) (r *forward.Request, body []byte, ok bool) {
	end, _, err := h1.Boundary(data, 0)
	if err != nil || end == 0 {
		return nil, nil, false
	}
	var h h1.Request
	if h.Parse(data[:end]) != nil || len(h.Host) == 0 {
		return nil, nil, false
	}
	path, query, err := route.Normalise(nil, h.Target)
	if err != nil {
		return nil, nil, false
	}
	if body, ok = bodyOf(data[end:], h.Length); !ok {
		return nil, nil, false
	}
	r = &forward.Request{
		Method: h.Method, Path: path, Query: query, Host: h.Host, Fields: h.Fields, ContentLength: h.Length,
		Upgrade: h.Upgrade, Expect100: h.Expect, Client: netip.MustParseAddrPort("192.0.2.1:4711"),
	}
	if h.Length != 0 {
		r.Body = bytes.NewReader(body)
	}
	return r, body, true
}

func bodyOf(in []byte, length int64) (body []byte, ok bool) {
	if length >= 0 {
		if int64(len(in)) < length {
			return nil, false
		}
		return in[:length], true
	}
	var c h1.Chunks
	for len(in) > 0 && !c.Done() {
		piece, n, err := c.Next(in)
		if err != nil {
			return nil, false
		}
		body, in = append(body, piece...), in[n:]
	}
	return body, c.Done()
}

// sent is what the application gets: the head that we write, and the body in its framing.
func sent(r *forward.Request, body []byte) []byte {
	out, _ := forward.AppendRequest(nil, r, &forward.Options{Token: "t0ken"})
	if r.ContentLength >= 0 {
		return append(out, body...)
	}
	if len(body) > 0 {
		out = append(append(h1.AppendChunk(out, len(body)), body...), "\r\n"...)
	}
	return append(out, "0\r\n\r\n"...)
}

// FuzzForward: whatever a client may say, the application gets a strict message that net/http reads as we do, to the last
// field and byte of the body. Forwarding it once more changes nothing but what we add. No client can say anything in our
// name.
func FuzzForward(f *testing.F) {
	for _, seed := range []string{
		"GET /a HTTP/1.1\nHost: x\nConnection: MS-ASPNETCORE-TOKEN\nMS-ASPNETCORE-TOKEN: forged\n\n",
		"POST / HTTP/1.1\nHost: x\nX-Forwarded-For: 6.6.6.6\nContent-Length: 5\n\nhello",
		"POST / HTTP/1.1\nHost: x\nms_aspnetcore_event: shutdown\nTransfer-Encoding: chunked\n\n5;a=b\nhello\n0\nMS-ASPNETCORE-EVENT: a\n\n",
		"PUT http://y/%61/../b?%00 HTTP/1.1\nHost: x\nConnection: close, cookie\nCookie: a\nPragma: no-cache\nExpect: 100-continue\nContent-Length: 1\n\na",
		"GET //a/%2f HTTP/1.1\nHost: [::1]:80\nConnection: Upgrade\nUpgrade: websocket\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\n\n",
		"GET / HTTP/1.1\nHost: x\nConnection: Upgrade, sec-websocket-key\nUpgrade: websocket\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\n\n",
		"GET / HTTP/1.0\nHost: x\nConnection: keep-alive, x-forwarded-for\nX-Forwarded-For: a,,b\n\n",
	} {
		f.Add([]byte(strings.ReplaceAll(seed, "\n", "\r\n")))
	}
	for _, seed := range corpus(f) {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		r, body, ok := arrived(data)
		if !ok || len(r.Fields) > h1.MaxFields-6 || len(data) > h1.MaxHead/2 {
			return // ours would make it too many, or too long
		}
		out := sent(r, body)
		again, sameBody, ok := arrived(out)
		if !ok {
			t.Fatalf("%q became %q, which is refused", data, out)
		}
		if !bytes.Equal(again.Path, r.Path) || !bytes.Equal(again.Query, r.Query) || !bytes.Equal(again.Host, r.Host) || !bytes.Equal(sameBody, body) {
			t.Fatalf("%q became %q", data, out)
		}
		if twice := sent(again, sameBody); !bytes.Equal(without(out), without(twice)) {
			t.Fatalf("%q, forwarded again, became %q", out, twice)
		}
		onlyOurs(t, r, again.Fields)
		sameToThem(t, out, again, body)
		nothingOfIIS(t, r)
	})
}

// nothingOfIIS: an application of the generic profile gets no field of the module, the client without a port, and the
// host name that this request has, whatever the client says of it.
func nothingOfIIS(t *testing.T, r *forward.Request) {
	t.Helper()
	out, _ := forward.AppendRequest(nil, r, &forward.Options{Token: "t0ken", Generic: true})
	var h h1.Request
	if err := h.Parse(out); err != nil {
		t.Fatalf("%q: %v", out, err)
	}
	hosts := 0
	for _, f := range h.Fields {
		switch name := strings.ReplaceAll(strings.ToUpper(string(f.Name)), "_", "-"); {
		case strings.HasPrefix(name, "MS-ASPNETCORE"),
			name == "X-FORWARDED-FOR" && !bytes.HasSuffix(f.Value, []byte("192.0.2.1")),
			name == "X-FORWARDED-HOST" && !bytes.Equal(f.Value, r.Host):
			t.Fatalf("%s: %q", f.Name, f.Value)
		case name == "X-FORWARDED-HOST":
			hosts++
		}
	}
	if hosts != 1 {
		t.Fatalf("%d host names in %q", hosts, out)
	}
}

// corpus gives the first bytes of every case of the HTTP/1.1 corpus.
func corpus(f *testing.F) (seeds [][]byte) {
	text, err := os.ReadFile("../../tests/h1/corpus.json")
	if err != nil {
		f.Fatal(err)
	}
	var all struct {
		Cases []struct{ Steps []struct{ Send string } }
	}
	if err := json.Unmarshal(text, &all); err != nil {
		f.Fatal(err)
	}
	for _, c := range all.Cases {
		var seed []byte
		for _, r := range c.Steps[0].Send { // a code point is a byte
			seed = append(seed, byte(r))
		}
		seeds = append(seeds, seed)
	}
	return seeds
}

// without takes off the fields that every hop adds.
func without(message []byte) []byte {
	var kept []byte
	for line := range bytes.Lines(message) {
		if name, _, _ := bytes.Cut(line, []byte(":")); !slices.Contains([]string{token, "X-Forwarded-For", "X-Forwarded-Proto"}, string(name)) {
			kept = append(kept, line...)
		}
	}
	return kept
}

// onlyOurs: what the client said comes in its order; what is added are our own fields, each once, and the token is ours.
func onlyOurs(t *testing.T, r *forward.Request, got []forward.Field) {
	t.Helper()
	added := map[string]int{}
	theirs := r.Fields
	for _, f := range got {
		name := strings.ReplaceAll(strings.ToUpper(string(f.Name)), "_", "-")
		switch name {
		case "HOST", "CONTENT-LENGTH", "TRANSFER-ENCODING", "CONNECTION", "UPGRADE", "EXPECT", "X-FORWARDED-FOR", "X-FORWARDED-PROTO", token:
			if added[name]++; added[name] > 1 {
				t.Fatalf("%q twice", f.Name)
			}
			if name == "X-FORWARDED-FOR" && !bytes.HasSuffix(f.Value, []byte("192.0.2.1:4711")) || name == token && string(f.Value) != "t0ken" {
				t.Fatalf("%s: %q", f.Name, f.Value)
			}
			continue
		}
		i := slices.IndexFunc(theirs, func(o forward.Field) bool { return bytes.Equal(o.Name, f.Name) && bytes.Equal(o.Value, f.Value) })
		if i < 0 || strings.HasPrefix(name, "MS-ASPNETCORE") {
			t.Fatalf("%s: %q is neither ours nor the client's", f.Name, f.Value)
		}
		theirs = theirs[i+1:]
	}
	if added["HOST"] != 1 || added[token] != 1 || added["X-FORWARDED-FOR"] != 1 || added["X-FORWARDED-PROTO"] != 1 {
		t.Fatalf("missing of ours: %v", added)
	}
}

// sameToThem: net/http reads the message as we do, and finds nothing behind it.
func sameToThem(t *testing.T, out []byte, ours *forward.Request, body []byte) {
	t.Helper()
	reader := bufio.NewReader(bytes.NewReader(out))
	theirs, err := http.ReadRequest(reader)
	if err != nil {
		t.Fatalf("theirs refuses %q: %v", out, err)
	}
	if theirs.Method != string(ours.Method) || theirs.RequestURI != string(ours.Path)+string(ours.Query) || theirs.Host != string(ours.Host) {
		t.Fatalf("theirs reads %s %s of %s in %q", theirs.Method, theirs.RequestURI, theirs.Host, out)
	}
	got, err := io.ReadAll(theirs.Body)
	if err != nil || !bytes.Equal(got, body) || theirs.ContentLength != ours.ContentLength {
		t.Fatalf("theirs reads the body %q, %v, length %d in %q", got, err, theirs.ContentLength, out)
	}
	if rest, _ := io.ReadAll(reader); len(rest) > 0 {
		t.Fatalf("theirs leaves %q of %q", rest, out)
	}
	want := http.Header{}
	for _, f := range ours.Fields {
		want.Add(string(f.Name), string(f.Value))
	}
	for _, name := range []string{"Host", "Transfer-Encoding"} { // which theirs keeps elsewhere
		want.Del(name)
	}
	if want.Get("Pragma") == "no-cache" && want["Cache-Control"] == nil {
		theirs.Header.Del("Cache-Control") // which theirs makes up
	}
	if diff := cmp.Diff(want, theirs.Header); diff != "" {
		t.Fatalf("theirs reads other fields in %q:\n%s", out, diff)
	}
}
