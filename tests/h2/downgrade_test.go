package h2

import (
	"io"
	"net/http/httputil"
	"regexp"
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/http2/hpack"
)

// downgrade is a request over HTTP/2 and what may become of it.
type downgrade struct {
	name, clause string

	head    string              // lines of the header block
	raw     []hpack.HeaderField // ... and behind them what no line can hold
	data    []string            // DATA frames; nil: the header block ends the stream
	trailer string              // lines of a trailer section

	want   string // status, RST_STREAM or GOAWAY; with "|" between alternatives
	sees   string // the request that reaches the back end, but for the fields that every request gets; empty: no whole one
	partly bool   // the head of sees, and a part of its body, may reach it, without its end
}

// TestDowngrade: the back end sees one strict request of HTTP/1.1, byte for byte the one of the table, or none.
func TestDowngrade(t *testing.T) {
	if n := len(downgrades()); n < 60 {
		t.Errorf("%d cases", n)
	}
	for _, d := range downgrades() {
		t.Run(d.name, func(t *testing.T) {
			b := newBackend(t)
			address, stop := proxy(t, b)
			verdict := d.play(t, address)
			if !slices.Contains(strings.Split(d.want, "|"), verdict) {
				t.Errorf("%s: the client gets %q, want %q", d.clause, verdict, d.want)
			}
			canary(t, address)
			stop()
			b.stop()
			canaries := len(b.whole)
			b.whole = slices.DeleteFunc(b.whole, func(request string) bool { return strings.HasPrefix(request, "GET /canary HTTP/1.1\r\n") })
			if canaries -= len(b.whole); canaries != 1 {
				t.Errorf("%s: the back end sees %d canaries", d.clause, canaries)
			}
			d.judge(t, b.whole, b.cut)
		})
	}
}

// play sends the request on a connection of its own.
func (d *downgrade) play(t *testing.T, address string) (verdict string) {
	c := dial(t, address)
	defer c.Close()
	c.headers(1, append(fields(d.head), d.raw...), d.data == nil && d.trailer == "")
	for i, piece := range d.data {
		c.WriteData(1, d.trailer == "" && i == len(d.data)-1, []byte(piece))
	}
	if d.trailer != "" {
		c.headers(1, fields(d.trailer), true)
	}
	verdict, _, _ = c.outcome(1)
	return verdict
}

// canary is an honest request over both versions: it gets its own answer.
func canary(t *testing.T, address string) {
	t.Helper()
	c := dial(t, address)
	defer c.Close()
	c.headers(1, fields(":method: GET\n:scheme: http\n:authority: shop.example\n:path: /canary\n"), true)
	if verdict, _, body := c.outcome(1); verdict != "200" || string(body) != "ok" {
		t.Fatalf("the canary gets %s %q", verdict, body)
	}
}

func (d *downgrade) judge(t *testing.T, whole, cut []string) {
	t.Helper()
	want := []string(nil)
	if d.sees != "" && !d.partly {
		want = []string{d.sees}
	}
	var got []string
	for _, request := range whole {
		got = append(got, plain(t, request))
	}
	if d.partly && len(got) > 0 && got[0] == d.sees {
		got = got[1:]
	}
	if !slices.Equal(got, want) {
		t.Errorf("%s: the back end sees %q, want %q", d.clause, got, want)
	}
	for _, piece := range cut {
		if !d.partly || !strings.HasPrefix(d.sees, plain(t, piece)) {
			t.Errorf("%s: the back end sees a part: %q", d.clause, piece)
		}
	}
}

var added = regexp.MustCompile("MS-ASPNETCORE-TOKEN: " + token + "\r\nX-Forwarded-For: (.*, )?127\\.0\\.0\\.1:[0-9]+\r\nX-Forwarded-Proto: (.*, )?http\r\n\r\n")

// plain is a request without the fields that every request gets, each of which must be there once, with LF for CRLF in
// its head, and with its body out of its chunks: where one ends is a matter of time.
func plain(t *testing.T, request string) string {
	t.Helper()
	if places := added.FindAllStringIndex(request, -1); len(places) != 1 {
		t.Errorf("what is ours stands %d times in %q", len(places), request)
		return request
	}
	i := strings.Index(request, "\r\n\r\n")
	head, body := added.ReplaceAllString(request[:i+4], "$1$2"), request[i+4:]
	if strings.Contains(head, "\r\nTransfer-Encoding: chunked\r\n") {
		r := httputil.NewChunkedReader(strings.NewReader(body))
		decoded, err := io.ReadAll(r)
		if err == nil && !strings.HasSuffix(body, "0\r\n\r\n") {
			t.Errorf("chunks that end with %q", body[max(len(body)-9, 0):])
		}
		body = string(decoded)
	}
	return strings.ReplaceAll(head, "\r\n", "\n") + "\n" + body
}
