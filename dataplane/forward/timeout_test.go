package forward

import (
	"io"
	"strings"
	"testing"
	"time"
)

// TestRequestTimeoutForEachDirection: the limit is for each wait for the instance, whatever it is that does not move
// (FWD-30).
func TestRequestTimeoutForEachDirection(t *testing.T) {
	const limit = 200 * time.Millisecond
	large := int64(64 << 20) // more than sockets take without being read
	tests := []struct {
		name   string
		script func(p *peer)
		length int64 // of the body; -1 is chunked
		expect bool
		want   string
	}{
		{"no answer", func(p *peer) { p.head(); p.ended() }, 0, false, "timeout"},
		{"no answer to a body", func(p *peer) { p.head(); p.body(5); p.ended() }, 5, false, "timeout"},
		{"the body is not read", func(p *peer) { p.head(); p.stall() }, large, false, "timeout"},
		{"chunks are not read", func(p *peer) { p.head(); p.stall() }, -1, false, "timeout"},
		{"the body is not read to its end", func(p *peer) { p.head(); p.body(100); p.stall() }, large, false, "timeout"},
		{"no answer after an interim one", func(p *peer) { p.head(); p.say("HTTP/1.1 102 Wait\r\n\r\n"); p.ended() }, 0, false, "timeout"},
		{"half a head", func(p *peer) { p.head(); p.say("HTTP/1.1 200 OK\r\n"); p.ended() }, 0, false, "timeout"},
		{"no body behind the head", func(p *peer) { p.head(); p.say("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"); p.ended() }, 0, false, "timeout, sent"},
		{"half a body", func(p *peer) { p.head(); p.say("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhe"); p.ended() }, 0, false, "timeout, sent"},
		{"no last chunk", func(p *peer) {
			p.head()
			p.say("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n")
			p.ended()
		}, 0, false, "timeout, sent"},
		{"100 and no more", func(p *peer) { p.head(); p.say("HTTP/1.1 100 Continue\r\n\r\n"); p.body(5); p.ended() }, 5, true, "timeout"},
		// Each piece comes in time; all of them together would not.
		{"an answer that takes its time", func(p *peer) {
			p.head()
			p.say("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n")
			for _, b := range "hello" {
				<-time.After(limit / 2)
				p.say(string(b))
			}
		}, 0, false, "ok"},
		{"a body that is read slowly", func(p *peer) {
			p.head()
			for range 4 {
				<-time.After(limit / 2)
				p.body(int(large / 4))
			}
			p.say(hello)
		}, large, false, "ok"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			up := instance(t, func(_ int, p *peer) { tt.script(p) })
			r := request(t, "POST", "")
			if tt.length != 0 {
				r.Body, r.ContentLength, r.Expect100 = io.LimitReader(endless{}, max(tt.length, -tt.length*large)), tt.length, tt.expect
			}
			var w client
			err := Serve(r, &w, up, Options{RequestTimeout: limit, BodyLimit: Unlimited})
			if got := outcome(err); got != tt.want {
				t.Errorf("%s (%v), want %s", got, err, tt.want)
			}
			if aborted := w.aborted != nil; aborted != strings.HasSuffix(tt.want, "sent") {
				t.Errorf("aborted: %v", aborted)
			}
		})
	}
}

// stall reads nothing until the other side has given up.
func (p *peer) stall() {
	<-time.After(time.Second)
	p.ended()
}

// endless gives bytes without end.
type endless struct{}

func (endless) Read(p []byte) (int, error) { return len(p), nil }

// TestRequestTimeoutNotForTheClient: whatever the client takes its time with, the instance is not blamed for it, although
// not a byte moves between it and us meanwhile.
func TestRequestTimeoutNotForTheClient(t *testing.T) {
	const limit, pause = 150 * time.Millisecond, 500 * time.Millisecond
	for _, tt := range []struct {
		name    string
		length  int64
		expect  bool
		answers func(p *peer)
	}{
		{"the body", 4, false, func(p *peer) { p.body(4); p.say(hello) }},
		{"the body, chunked", -1, false, func(p *peer) { dechunk(p.r); p.say(hello) }},
		{"the body, after 100", 4, true, func(p *peer) { p.say("HTTP/1.1 100 Continue\r\n\r\n"); p.body(4); p.say(hello) }},
		{"the body, behind a head", 4, false, func(p *peer) {
			p.say("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n")
			p.body(4)
			p.say("hello")
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			up := instance(t, func(_ int, p *peer) { p.head(); tt.answers(p) })
			body, send := io.Pipe()
			go func() {
				for _, piece := range []string{"bo", "dy"} {
					<-time.After(pause)
					io.WriteString(send, piece)
				}
				if tt.length < 0 {
					<-time.After(pause)
				}
				send.Close()
			}()
			r := request(t, "POST", "")
			r.Body, r.ContentLength, r.Expect100 = body, tt.length, tt.expect
			var w client
			if err := Serve(r, &w, up, Options{RequestTimeout: limit}); err != nil || w.body.String() != "hello" {
				t.Errorf("%v, %q", err, w.body.String())
			}
		})
	}
}
