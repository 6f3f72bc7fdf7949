package forward

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/ancora-fleet/ancora/dataplane/upstream"
)

// TestInterim: informational answers pass on, but for 100 and for what is about our connection to the instance or shows the token.
func TestInterim(t *testing.T) {
	up := instance(t, func(_ int, p *peer) {
		for p.head() != "" {
			p.say("HTTP/1.1 100 Continue\r\n\r\n" +
				"HTTP/1.1 103 Early\r\nLink: </a>\r\nConnection: X-Hop\r\nX-Hop: 1\r\nKeep-Alive: timeout=5\r\nContent-Length: 3\r\nX-Secret: t0ken\r\nDate: now\r\n\r\n" +
				"HTTP/1.1 102 Wait\r\n\r\n" + hello)
		}
	})
	for range 2 {
		var w client
		if err := Serve(request(t, "GET", ""), &w, up, Options{Token: "t0ken"}); err != nil {
			t.Fatal(err)
		}
		if w.interim != "103 Link: </a>\n102\n" || w.status != 200 || w.fields != "Server: Kestrel\n" || w.body.String() != "hello" {
			t.Errorf("%q, %d %q %q", w.interim, w.status, w.fields, w.body.String())
		}
	}
}

// TestInterimIsActivity: an instance that says now and then that it is still at it has not timed out.
func TestInterimIsActivity(t *testing.T) {
	const limit = 300 * time.Millisecond
	up := instance(t, func(_ int, p *peer) {
		p.head()
		for range 6 {
			<-time.After(limit / 3)
			p.say("HTTP/1.1 102 Wait\r\n\r\n")
		}
		p.say(hello)
	})
	var w client
	if err := Serve(request(t, "GET", ""), &w, up, Options{RequestTimeout: limit}); err != nil || w.interim != strings.Repeat("102\n", 6) {
		t.Errorf("%v, %q", err, w.interim)
	}
}

// TestInterimOverH2C is both, and the bound, for an instance that speaks HTTP/2.
func TestInterimOverH2C(t *testing.T) {
	const limit = 300 * time.Millisecond
	up := newKestrel(t, func(w http.ResponseWriter, r *http.Request) {
		n := 6
		if r.URL.Path == "/many" {
			n = maxInterim + 1
		}
		for range n {
			if n == 6 {
				<-time.After(limit / 3)
			}
			w.Header().Set("Link", "</a>")
			w.Header().Set("X-Secret", secret)
			w.WriteHeader(103)
		}
		clear(w.Header())
		w.Header()["Date"] = nil
		w.Write([]byte("hello"))
	}).upstream(t, upstream.Options{H2C: true})
	var w client
	if err := Serve(request(t, "GET", ""), &w, up, Options{Token: secret, RequestTimeout: limit}); err != nil || w.interim != strings.Repeat("103 Link: </a>\n", 6) || w.body.String() != "hello" {
		t.Errorf("%v, %q, %q", err, w.interim, w.body.String())
	}
	r := request(t, "GET", "")
	r.Path = []byte("/many")
	if got := outcome(Serve(r, &client{}, up, Options{})); got != "malformed answer" {
		t.Error(got)
	}
}
