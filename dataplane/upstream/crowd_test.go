package upstream

import (
	"io"
	"net"
	"testing"

	"golang.org/x/sys/unix"
)

// Connections beyond the first 256 read into small buffers and use no pipe: what slow clients hold of them must stay little,
// in memory and in descriptors.
func TestManyConnections(t *testing.T) {
	direct(t)
	in := newInstance(t, says("HTTP/1.1 200 OK\r\nContent-Length: 2000000\r\n\r\n"))
	u := newUpstream(t, in.addr, Options{})
	var all []*Conn
	for range wideMost + 1 {
		all = append(all, open(t, u, 0))
	}
	for n, want := range map[int]int{0: bufferSize, wideMost - 1: bufferSize, wideMost: narrowSize} {
		c := all[n]
		buf := c.Borrow()
		if len(*buf) != want {
			t.Errorf("connection %d reads %d bytes, want %d", n, len(*buf), want)
		}
		c.Return(buf)
		if err := c.Send([]byte("GET / HTTP/1.1\r\n\r\n")); err != nil {
			t.Fatal(err)
		}
		if _, err := c.ReceiveHead(get, 0); err != nil {
			t.Fatal(err)
		}
		pipe := c.Splice()
		if piped := pipe != nil; piped != (want == bufferSize) {
			t.Errorf("connection %d has a pipe: %v", n, piped)
		}
		if pipe != nil {
			c.Spliced(pipe)
		}
	}
	for _, c := range all {
		c.Discard()
	}
	for range all {
		<-in.ended
	}
}

// Once a burst is over, the connections that read much at once serve, though others were used last.
func TestAfterBurst(t *testing.T) {
	in := newInstance(t, says("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"))
	u := newUpstream(t, in.addr, Options{})
	var all []*Conn
	for range wideMost + 32 {
		all = append(all, open(t, u, 0))
	}
	for _, c := range all {
		if err := c.Send([]byte("GET / HTTP/1.1\r\n\r\n")); err != nil {
			t.Fatal(err)
		}
		if _, err := c.ReceiveHead(get, 0); err != nil {
			t.Fatal(err)
		}
		c.End(true)
	}
	all = all[:0]
	for n := range wideMost + 32 {
		c := open(t, u, 0)
		all = append(all, c)
		if wide := c.buffers == u.buffers; wide != (n < wideMost) || !c.Reused() {
			t.Errorf("connection %d reads much at once: %v, used again: %v", n, wide, c.Reused())
			break
		}
	}
	for _, c := range all {
		c.Discard()
	}
	u.Close()
	for range wideMost + 32 {
		<-in.ended
	}
}

// TestSegments: how far an instance may write ahead of a client that takes nothing is for its kernel to say, by what one segment
// has.
func TestSegments(t *testing.T) {
	sizes := make(chan uint32, 1)
	in := newInstance(t, func(_ int, c net.Conn) {
		raw, err := c.(*net.TCPConn).SyscallConn()
		if err != nil {
			t.Error(err)
		}
		raw.Control(func(fd uintptr) {
			info, err := unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO)
			if err != nil {
				t.Error(err)
			}
			sizes <- info.Snd_mss
		})
		io.WriteString(c, "HTTP/1.1 204 No Content\r\n\r\n")
	})
	c := open(t, newUpstream(t, in.addr, Options{}), 0)
	c.Start([]byte("GET / HTTP/1.1\r\n\r\n"))
	if _, err := c.ReceiveHead(get, 0); err != nil {
		t.Fatal(err)
	}
	c.End(true)
	if size := <-sizes; size > segment {
		t.Errorf("the instance sends %d bytes in a segment", size)
	}
}
