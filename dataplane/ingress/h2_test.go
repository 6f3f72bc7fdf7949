package ingress

import (
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/ancora-fleet/ancora/dataplane/forward"
)

func h2Client(t *testing.T) *http.Client {
	transport := &http.Transport{Protocols: new(http.Protocols)}
	transport.Protocols.SetUnencryptedHTTP2(true)
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

// TestH2C: a listener that allows it serves both versions through the same doors.
func TestH2C(t *testing.T) {
	s := start(t, door(func(r *forward.Request, w forward.ResponseWriter) {
		if r.Client.Addr() != netip.MustParseAddr("127.0.0.1") {
			t.Errorf("client %v", r.Client)
		}
		echo(r, w)
	}), Options{H2C: true})
	c := dial(t, s)
	for _, b := range []byte("GET /1 HTTP/1.1\r\nHost: x\r\n\r\n") {
		c.Write([]byte{b})
	}
	if _, body := c.answer("GET"); body != "GET /1 base= host=x body=" {
		t.Error(body)
	}
	for range 2 {
		res, err := h2Client(t).Post("http://"+s.addr+"/%61/../b?q", "text/plain", strings.NewReader("hello"))
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(res.Body)
		res.Body.Close()
		if res.ProtoMajor != 2 || string(body) != "POST /b?q base= host="+s.addr+" body=hello" {
			t.Errorf("%s %q", res.Proto, body)
		}
	}
}

func TestH2Abort(t *testing.T) {
	s := start(t, door(func(r *forward.Request, w forward.ResponseWriter) {
		w.Head(200, nil, -1)
		w.Write([]byte("he"))
		w.Abort(io.ErrUnexpectedEOF)
	}), Options{H2C: true})
	res, err := h2Client(t).Get("http://" + s.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if body, err := io.ReadAll(res.Body); err == nil {
		t.Errorf("%q looks complete", body)
	}
}

// TestOwnAnswers: what no application has answered carries its code, over both versions.
func TestOwnAnswers(t *testing.T) {
	for status, d := range map[int]forward.Door{500: door(func(*forward.Request, forward.ResponseWriter) {}), 404: notFound{}, 421: misdirected{}} {
		s := start(t, d, Options{H2C: true})
		for _, client := range []*http.Client{h2Client(t), {Transport: &http.Transport{DisableKeepAlives: true}}} {
			res, err := client.Get("http://" + s.addr)
			if err != nil {
				t.Fatal(err)
			}
			if res.Body.Close(); res.StatusCode != status || res.Header.Get("X-Ancora-Error") != fmt.Sprint(status) {
				t.Errorf("%s %d %v, want %d", res.Proto, res.StatusCode, res.Header, status)
			}
		}
	}
}

func TestH2Refusals(t *testing.T) {
	s := start(t, door(echo), Options{H2C: true})
	client := h2Client(t)
	for target, status := range map[string]int{"/%00": 400, "/a%5cb": 400, "/" + strings.Repeat("a", 17<<10): 414, "/ok": 200} {
		res, err := client.Get("http://" + s.addr + target)
		if err != nil {
			t.Fatal(err)
		}
		if res.Body.Close(); res.StatusCode != status {
			t.Errorf("%.20q: %d, want %d", target, res.StatusCode, status)
		}
		if code := res.Header.Get("X-Ancora-Error"); status == 200 && code != "" || status != 200 && code != fmt.Sprint(status) {
			t.Errorf("%.20q: code %q, want %d", target, code, status)
		}
	}
	if c := dial(t, s); true {
		c.say("PRI * HTTP/1.1\r\nHost: x\r\n\r\n")
		if res, _ := c.answer("GET"); res.StatusCode != 400 {
			t.Error(res.Status)
		}
	}
}

// TestH2EarlyAnswer closes the body from another goroutine than reads it.
func TestH2EarlyAnswer(t *testing.T) {
	s := start(t, door(func(r *forward.Request, w forward.ResponseWriter) {
		read := make(chan error)
		go func() {
			_, err := io.Copy(io.Discard, r.Body)
			read <- err
		}()
		r.Body.(io.Closer).Close()
		if err := <-read; err == nil {
			t.Error("the body has ended")
		}
		w.Head(401, nil, 0)
	}), Options{H2C: true})
	body, more := io.Pipe()
	defer more.Close()
	res, err := h2Client(t).Post("http://"+s.addr, "text/plain", body)
	if err != nil {
		t.Fatal(err)
	}
	if res.Body.Close(); res.StatusCode != 401 {
		t.Error(res.Status)
	}
}

// TestH2PatientAnswer: the limit is for clients, not for applications that take their time.
func TestH2PatientAnswer(t *testing.T) {
	s := start(t, door(func(r *forward.Request, w forward.ResponseWriter) {
		w.Head(200, nil, -1)
		for range 2 {
			w.Write([]byte("event"))
			select {
			case <-r.Context.Done():
			case <-time.After(rest + rest/4): // so that the sweep has looked
			}
		}
	}), Options{H2C: true, StallLimit: 50 * time.Millisecond})
	res, err := h2Client(t).Get("http://" + s.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if body, err := io.ReadAll(res.Body); err != nil || string(body) != "eventevent" {
		t.Errorf("%q, %v", body, err)
	}
}
