package h2

import (
	"errors"
	"io"
	"net/http"
	"os"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"

	"github.com/ancora-fleet/ancora/tests/lab"
)

const streams = 128 // that a connection may have at once

// TestFloods: one connection does nothing but what costs us more than it costs the client. Meanwhile everybody else is
// served; it gets no more of us than a connection may have until it is closed; and nothing of it is left behind.
func TestFloods(t *testing.T) {
	for _, flood := range lab.Floods() {
		t.Run(flood.Name, func(t *testing.T) {
			address, _ := proxy(t, newBackend(t))
			canary(t, address)
			before := usage()
			c, piece := dial(t, address), flood.Pieces("http", "shop.example", "/a")
			c.SetDeadline(time.Now().Add(2 * patience))
			ended := make(chan error, 1)
			go func() {
				for {
					if _, err := c.Write(piece()); err != nil {
						ended <- err
						return
					}
				}
			}()
			var most used
			var err error
			looks := time.NewTicker(100 * time.Millisecond)
			defer looks.Stop()
			for attacking := true; attacking; {
				select {
				case err = <-ended:
					attacking = false
				case <-looks.C:
					canary(t, address)
					most = most.or(usage())
				}
			}
			t.Logf("the attacker's end: %v; at most %d goroutines, %d KiB", err, most.goroutines, most.heap>>10)
			if errors.Is(err, os.ErrDeadlineExceeded) {
				t.Error("the connection of the attacker goes on")
			}
			if most.goroutines > before.goroutines+2*streams || most.heap > before.heap+64<<20 {
				t.Errorf("%+v, before %+v", most, before)
			}
			c.Close()
			back(t, before)
			canary(t, address)
		})
	}
}

// TestEager: a client that opens its windows with every answer, and gives every request a priority, is nobody who floods.
func TestEager(t *testing.T) {
	const requests, atOnce = 5000, 50
	b := newBackend(t)
	b.says("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n" + strings.Repeat("a", 100))
	address, _ := proxy(t, b)
	c := dial(t, address)
	c.SetDeadline(time.Now().Add(6 * patience))
	for first := uint32(1); first < 2*requests; first += 2 * atOnce {
		for i := range uint32(atOnce) {
			c.headers(first+2*i, fields(get), true)
			c.WritePriority(first+2*i, http2.PriorityParam{Weight: 1})
		}
		for whole := 0; whole < atOnce; {
			frame, err := c.ReadFrame()
			if err != nil {
				t.Fatalf("after %d requests: %v", first/2, err)
			}
			switch f := frame.(type) {
			case *http2.DataFrame:
				if n := uint32(len(f.Data())); n > 0 {
					c.WriteWindowUpdate(0, n)
					c.WriteWindowUpdate(f.StreamID, n)
				}
				if f.StreamEnded() {
					whole++
				}
			case *http2.SettingsFrame:
				if !f.IsAck() {
					c.WriteSettingsAck()
				}
			case *http2.RSTStreamFrame, *http2.GoAwayFrame:
				t.Fatalf("after %d requests: %v", first/2, f)
			}
		}
	}
}

// TestSmallReads: nor is one that opens its windows by a few KiB each time, as net/http does for who reads little at once.
func TestSmallReads(t *testing.T) {
	const size = 48 << 20
	b := newBackend(t)
	b.says("HTTP/1.1 200 OK\r\nContent-Length: " + strconv.Itoa(size) + "\r\n\r\n" + strings.Repeat("a", size))
	address, _ := proxy(t, b)
	transport := &http.Transport{Protocols: new(http.Protocols)}
	transport.Protocols.SetUnencryptedHTTP2(true)
	t.Cleanup(transport.CloseIdleConnections)
	response, err := (&http.Client{Transport: transport, Timeout: 6 * patience}).Get("http://" + address)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	n, piece := 0, make([]byte, 4<<10)
	for err == nil {
		var read int
		read, err = response.Body.Read(piece)
		n += read
	}
	if err != io.EOF || n != size {
		t.Errorf("%d bytes of %d, %v", n, size, err)
	}
}

// TestStalls: a client that never opens its window, or never sends the body it has announced, holds its requests for as
// long as a connection over HTTP/1.1 would, although it answers every PING.
func TestStalls(t *testing.T) {
	for _, stall := range []struct{ name, head, verdict string }{
		{"no window", get, "RST_STREAM INTERNAL_ERROR"},
		{"no window for a refusal", get + "host: evil.example\n", "RST_STREAM INTERNAL_ERROR"},
		{"no window for a refusal of net/http", get + "connection: x\n", "RST_STREAM INTERNAL_ERROR"},
		{"no body", post + "content-length: 9\n", "408"},
	} {
		t.Run(stall.name, func(t *testing.T) {
			b := newBackend(t)
			address, _ := proxy(t, b)
			canary(t, address)
			before := usage()
			b.says("HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n" + strings.Repeat("a", 100_000))
			c := dial(t, address)
			if stall.verdict != "408" {
				c.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 0})
			}
			for id := range uint32(streams) {
				c.headers(2*id+1, fields(stall.head), stall.verdict != "408")
			}
			c.awaitEach(stall.verdict, streams)
			b.says("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
			canary(t, address)
			c.Close()
			back(t, before)
		})
	}
}

// awaitEach reads until n streams have come to the verdict.
func (c *client) awaitEach(verdict string, n int) {
	c.t.Helper()
	for got := map[uint32]bool{}; len(got) < n; {
		frame, err := c.ReadFrame()
		if err != nil {
			c.t.Fatalf("%d of %d streams have ended: %v", len(got), n, err)
		}
		switch f := frame.(type) {
		case *http2.SettingsFrame:
			if !f.IsAck() {
				c.WriteSettingsAck()
			}
		case *http2.PingFrame:
			c.WritePing(true, f.Data)
		case *http2.RSTStreamFrame:
			if "RST_STREAM "+f.ErrCode.String() == verdict {
				got[f.StreamID] = true
			}
		case *http2.MetaHeadersFrame:
			if f.PseudoValue("status") == verdict {
				got[f.StreamID] = true
			}
		}
	}
}

// used is what the process has: the goroutines of the listener, and the heap.
type used struct {
	goroutines int
	heap       uint64
}

func usage() used {
	buf := make([]byte, 4<<20)
	n := 0
	for stack := range strings.SplitSeq(string(buf[:runtime.Stack(buf, true)]), "\n\n") {
		if strings.Contains(stack, "dataplane/ingress") || strings.Contains(stack, "net/http.(*http2serverConn)") {
			n++
		}
	}
	buf = nil
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return used{n, m.HeapAlloc}
}

func (u used) or(v used) used { return used{max(u.goroutines, v.goroutines), max(u.heap, v.heap)} }

// back waits until the process has no more than before.
func back(t *testing.T, before used) {
	t.Helper()
	var now used
	for end := time.Now().Add(patience); time.Now().Before(end); {
		if now = usage(); now.goroutines <= before.goroutines && now.heap <= before.heap+16<<20 {
			return
		}
		runtime.Gosched()
	}
	t.Errorf("afterwards %+v, before %+v", now, before)
}
