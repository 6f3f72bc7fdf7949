package ingress

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"strings"
	"testing"
)

// hinting answers with hints, and with more only when somebody has seen them.
func hinting(seen <-chan struct{}) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Link", "</style.css>")
		w.WriteHeader(103)
		clear(w.Header())
		w.WriteHeader(102)
		if seen != nil {
			<-seen
		}
		body, _ := io.ReadAll(r.Body)
		fmt.Fprintf(w, "got %s", body)
	}
}

// TestInterim: informational answers go to clients of HTTP/1.1 at once, beside 100, and never to those of HTTP/1.0.
func TestInterim(t *testing.T) {
	seen := make(chan struct{})
	s := behind(t, hinting(seen), Options{})
	c := dial(t, s)
	for range 2 { // the connection stays
		c.say("GET / HTTP/1.1\r\nHost: x\r\n\r\n")
		for _, want := range []string{"HTTP/1.1 103 Early Hints", "Link: </style.css>", "", "HTTP/1.1 102 Processing", ""} {
			line, err := c.r.ReadString('\n')
			if err != nil || strings.TrimSuffix(line, "\r\n") != want {
				t.Fatalf("%q, %v; want %q", line, err, want)
			}
		}
		seen <- struct{}{}
		if res, body := c.answer("GET"); res.StatusCode != 200 || body != "got " || res.Header.Get("Link") != "" {
			t.Fatalf("%v %q", res, body)
		}
	}
	close(seen)

	c.say("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n")
	for heads := ""; !strings.HasSuffix(heads, "100 Continue\r\n\r\n"); {
		line, err := c.r.ReadString('\n')
		if heads += line; err != nil || strings.Contains(line, " 200 ") {
			t.Fatalf("%q, %v", heads, err)
		}
	}
	c.say("hello")
	answered := false
	for !answered {
		res, err := http.ReadResponse(c.r, nil)
		if err != nil {
			t.Fatal(err)
		}
		if answered = res.StatusCode == 200; answered {
			if body, _ := io.ReadAll(res.Body); string(body) != "got hello" {
				t.Errorf("%q", body)
			}
		}
	}

	old := dial(t, s)
	old.say("GET / HTTP/1.0\r\nHost: x\r\n\r\n")
	if res, err := http.ReadResponse(bufio.NewReader(old), nil); err != nil || res.StatusCode != 200 {
		t.Errorf("HTTP/1.0: %v, %v", res, err)
	}
}

// TestH2Interim is the same over HTTP/2.
func TestH2Interim(t *testing.T) {
	seen := make(chan struct{})
	s := behind(t, hinting(seen), Options{H2C: true})
	var heads []string
	trace := &httptrace.ClientTrace{Got1xxResponse: func(code int, header textproto.MIMEHeader) error {
		heads = append(heads, fmt.Sprint(code, header))
		if code == 102 {
			close(seen)
		}
		return nil
	}}
	r, err := http.NewRequestWithContext(httptrace.WithClientTrace(t.Context(), trace), "GET", "http://"+s.addr, nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := h2Client(t).Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil || res.ProtoMajor != 2 || string(body) != "got " || res.Header.Get("Link") != "" || fmt.Sprint(heads) != "[103 map[Link:[</style.css>]] 102 map[]]" {
		t.Errorf("%s %v %q %v, %v", res.Proto, res.Header, body, err, heads)
	}
}
