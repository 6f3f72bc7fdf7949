package ingress

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/ancora-fleet/ancora/dataplane/forward"
)

// TestH2SlowBody is TestSlowBody over HTTP/2, for the stream alone; a call of gRPC may be silent.
func TestH2SlowBody(t *testing.T) {
	t.Parallel()
	opt := strict
	opt.H2C = true
	s := behind(t, func(w http.ResponseWriter, r *http.Request) {
		n, err := io.Copy(io.Discard, r.Body)
		fmt.Fprint(w, n, err)
	}, opt)
	client := h2Client(t)
	for name, tt := range map[string]struct {
		kind, piece string
		pause       time.Duration
		pieces      int
		status      int
	}{
		"slow":    {"text/plain", "x", 20 * time.Millisecond, 500, 408},
		"stopped": {"text/plain", "", 5 * time.Second, 1, 408},
		"fast":    {"text/plain", strings.Repeat("x", 500), 20 * time.Millisecond, 100, 200},
		"gRPC":    {"application/grpc+proto", "x", 100 * time.Millisecond, 25, 200},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			body, send := io.Pipe()
			defer body.Close()
			go func() {
				for range tt.pieces {
					if _, err := io.WriteString(send, tt.piece); err != nil {
						return
					}
					select {
					case <-t.Context().Done():
					case <-time.After(tt.pause):
					}
				}
				send.Close()
			}()
			response, err := client.Post("http://"+s.addr, tt.kind, body)
			if err != nil {
				t.Fatal(err)
			}
			defer response.Body.Close()
			answer, _ := io.ReadAll(response.Body)
			if want := fmt.Sprint(tt.pieces*len(tt.piece), " <nil>"); response.ProtoMajor != 2 || response.StatusCode != tt.status || tt.status == 200 && string(answer) != want {
				t.Errorf("%s %s %q", response.Proto, response.Status, answer)
			}
		})
	}
}

// h2Greedy asks for / over HTTP/2, with windows that no answer fills.
const h2Greedy = preface +
	"\x00\x00\x06\x04\x00\x00\x00\x00\x00\x00\x04\x7f\xff\xff\xff" +
	"\x00\x00\x04\x08\x00\x00\x00\x00\x00\x7f\xff\x00\x00" +
	"\x00\x00\x06\x01\x05\x00\x00\x00\x01\x82\x86\x84\x41\x01x"

// TestSlowReaderOf is TestSlowReader where something lies between the answer and the socket.
func TestSlowReaderOf(t *testing.T) {
	t.Parallel()
	const size = 4 << 20
	for name, tt := range map[string]struct {
		secure bool
		says   string
	}{
		"TLS": {true, "GET / HTTP/1.1\r\nHost: a.test\r\n\r\n"}, "HTTP2": {false, h2Greedy},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ended := make(chan error, 2)
			d := door(func(r *forward.Request, w forward.ResponseWriter) {
				w.Head(200, nil, size)
				_, err := w.Write(make([]byte, size))
				ended <- err
			})
			opt := patient
			opt.H2C = !tt.secure
			var s *server
			if tt.secure {
				s = startTLS(t, d, opt).server
			} else {
				s = start(t, d, opt)
			}
			dial := func() io.ReadWriteCloser {
				if c := narrow(t, s); !tt.secure {
					return c.Conn
				} else {
					return tls.Client(c.Conn, &tls.Config{ServerName: "a.test", InsecureSkipVerify: true})
				}
			}
			slow := dial()
			io.WriteString(slow, tt.says)
			began := time.Now()
			select {
			case err := <-ended:
				if err == nil || time.Since(began) < opt.RateGrace {
					t.Errorf("%v after %v", err, time.Since(began))
				}
			case <-time.After(5 * time.Second):
				t.Fatal("still waiting")
			}
			if n, err := io.Copy(io.Discard, slow); err == nil || errors.Is(err, os.ErrDeadlineExceeded) || n >= size {
				t.Errorf("%d bytes, %v: the end does not show", n, err)
			}

			steady := dial()
			io.WriteString(steady, tt.says)
			for range 60 { // as there
				if _, err := io.ReadFull(steady, make([]byte, 2<<10)); err != nil {
					t.Fatal(err)
				}
				<-time.After(50 * time.Millisecond)
			}
			steady.Close()
			if err := <-ended; err == nil {
				t.Error("an answer that nobody has taken")
			}
		})
	}
}
