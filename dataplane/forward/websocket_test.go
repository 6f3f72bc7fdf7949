package forward

import (
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
