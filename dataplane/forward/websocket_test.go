package forward

import (
	"context"
	"io"
	"strings"
	"testing"
)

const (
	handshake = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"
	socketKey = "dGhlIHNhbXBsZSBub25jZQ=="
)

func upgrade(t *testing.T, body io.Reader) *Request {
	r := request(t, "GET", "")
	r.Upgrade, r.Body = true, body
	r.Fields = []Field{{Name: []byte("Sec-WebSocket-Key"), Value: []byte(socketKey)}}
	return r
}

// TestTunnel passes bytes both ways, until the instance ends it.
func TestTunnel(t *testing.T) {
	up := instance(t, func(_ int, p *peer) {
		p.head()
		p.say(handshake + "Sec-WebSocket-Extensions: x\r\n\r\nfirst")
		for {
			line, err := p.r.ReadString('\n')
			if err != nil || line == "bye\n" {
				return
			}
			p.say("echo " + line)
		}
	})
	r, send := io.Pipe()
	w := client{written: make(chan string)}
	done := make(chan error)
	go func() { done <- Serve(upgrade(t, r), &w, up, Options{}) }()
	expect := func(want string) {
		t.Helper()
		for got := ""; got != want; {
			if got += <-w.written; len(got) > len(want) {
				t.Fatalf("got %q, want %q", got, want)
			}
		}
	}
	expect("first")
	io.WriteString(send, "one\n")
	expect("echo one\n")
	io.WriteString(send, "two\n")
	expect("echo two\n")
	io.WriteString(send, "bye\n")
	if err := <-done; err != nil || w.status != 101 || strings.Contains(w.fields, "Extensions") {
		t.Errorf("%v, %d, %q", err, w.status, w.fields)
	}
}

// TestTunnelEndsWithTheClient: the instance's connection goes when the client's does.
func TestTunnelEndsWithTheClient(t *testing.T) {
	ended := make(chan bool, 1)
	up := instance(t, func(_ int, p *peer) {
		p.head()
		p.say(handshake + "\r\n")
		ended <- p.ended()
	})
	if err := Serve(upgrade(t, strings.NewReader("last words")), &client{}, up, Options{}); err != nil {
		t.Error(err)
	}
	if !<-ended {
		t.Error("the instance still has its connection")
	}
}

func TestNoTunnel(t *testing.T) {
	tests := []struct{ name, reply, want string }{
		{"refused", hello, "ok"},
		{"no Accept", strings.Replace(handshake, "Accept", "Other", 1) + "\r\n", "malformed answer"},
		{"another Accept", strings.Replace(handshake, "s3pP", "S3pP", 1) + "\r\n", "malformed answer"},
		{"another protocol", strings.Replace(handshake, "websocket", "h2c", 1) + "\r\n", "malformed answer"},
		{"a body", handshake + "Content-Length: 5\r\n\r\nhello", "malformed answer"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			up := instance(t, func(_ int, p *peer) {
				p.head()
				p.say(tt.reply)
				p.ended()
			})
			r := upgrade(t, failing{io.ErrClosedPipe}) // must not be read
			if got := outcome(Serve(r, &client{}, up, Options{})); got != tt.want {
				t.Errorf("%s, want %s", got, tt.want)
			}
		})
	}
}

// TestTunnelSaysGoodbye: when the instance or the listener goes away, both sides hear 1001 between two frames, and what comes
// behind it reaches nobody.
func TestTunnelSaysGoodbye(t *testing.T) {
	const half = "\x82\x04ab" // the beginning of a frame
	came, heard := make(chan struct{}), make(chan string, 1)
	up := instance(t, func(_ int, p *peer) {
		p.head()
		p.say(handshake + "\r\n" + half)
		got := make([]byte, 15)
		io.ReadFull(p.r, got[:7])
		came <- struct{}{}
		io.ReadFull(p.r, got[7:]) // our goodbye, before which that to the client was prepared
		p.say("cd\x82\x01x")      // the end of its frame, and another one
		rest, _ := io.ReadAll(p.r)
		heard <- string(append(got, rest...))
	})
	for name, on := range map[string]func(*Request, *Options, context.Context){
		"listener": func(r *Request, _ *Options, ctx context.Context) { r.Ending = ctx },
		"instance": func(_ *Request, o *Options, ctx context.Context) { o.Ending = ctx },
	} {
		ending, end := context.WithCancel(t.Context())
		body, send := io.Pipe()
		r, opt, w := upgrade(t, body), Options{}, client{written: make(chan string)}
		on(r, &opt, ending)
		done := make(chan error)
		go func() { done <- Serve(r, &w, up, opt) }()
		expect := func(want string) {
			t.Helper()
			for got := ""; got != want; {
				if got += <-w.written; len(got) > len(want) {
					t.Fatalf("%s: got %q, want %q", name, got, want)
				}
			}
		}
		expect(half)
		io.WriteString(send, "\x81\x81mask\x15")
		<-came
		end()
		expect("cd\x88\x02\x03\xe9")
		select {
		case more := <-w.written:
			t.Errorf("%s: %q behind the goodbye", name, more)
		case err := <-done:
			if err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
		got := <-heard
		if !strings.HasPrefix(got, "\x81\x81mask\x15\x88\x82") || len(got) != len("\x81\x81mask\x15")+8 || got[13]^got[9] != 3 || got[14]^got[10] != 0xe9 {
			t.Errorf("%s: the instance heard %q", name, got)
		}
		send.Close()
	}
}
