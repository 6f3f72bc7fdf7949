package main

import (
	"bytes"
	"cmp"
	"fmt"
	"net"
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// The instance behind all contenders: one thread, one epoll, answers made in advance, no more work a request than it takes
// to find the end of its head. It is slow in nothing that a proxy could hide behind.

type peer struct {
	in   []byte // of a head that is not whole
	body int    // bytes of a request body to come
	out  []byte // what the socket did not take yet
	then []byte // the answer once the body is there
}

type server struct {
	epoll   epoll
	listen  map[int]bool
	peers   map[int]*peer
	buf     [64 << 10]byte
	answers map[string][]byte
}

func serveInstance() error {
	debug.SetGCPercent(-1) // nothing is allocated for a request
	runtime.LockOSThread()
	s := &server{listen: map[int]bool{}, peers: map[int]*peer{}, answers: map[string][]byte{
		"/1k": answer("/1k"), "/100k": answer("/100k"), "/post": answer("/post"),
	}}
	var err error
	if s.epoll, err = newEpoll(256); err != nil {
		return err
	}
	where, err := s.bind()
	if err != nil {
		return err
	}
	s.answers["/where"] = text(fmt.Sprintf("%d %s\n", os.Getpid(), where))
	return s.loop()
}

func answer(path string) []byte { return text(strings.Repeat("x", bodySize(path))) }

// bodySize is how many bytes the answer to the last segment of a path has behind its head.
func bodySize(path string) int {
	switch path[strings.LastIndexByte(path, '/'):] {
	case "/1k":
		return 1 << 10
	case "/100k":
		return 100 << 10
	}
	return 2
}

func text(body string) []byte {
	return slices.Clip(fmt.Appendf(nil, "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nDate: Thu, 26 Nov 2026 12:00:00 GMT\r\nServer: instance\r\nContent-Length: %d\r\n\r\n%s", len(body), body))
}

// bind listens where the environment says, on a unix socket or on a port of 127.0.0.1.
func (s *server) bind() (where string, err error) {
	var ln net.Listener
	if where = os.Getenv("SOCKET"); where != "" {
		ln, err = net.Listen("unix", where)
	} else {
		where = cmp.Or(os.Getenv("ASPNETCORE_PORT"), os.Getenv("PORT"))
		ln, err = net.Listen("tcp4", "127.0.0.1:"+where)
	}
	if err != nil {
		return "", err
	}
	file, err := ln.(interface{ File() (*os.File, error) }).File()
	if err != nil {
		return "", err
	}
	fd := int(file.Fd())
	s.listen[fd] = true
	return where, s.watch(fd, unix.EPOLLIN)
}

func (s *server) watch(fd int, events uint32) error {
	if err := unix.SetNonblock(fd, true); err != nil {
		return err
	}
	return s.epoll.watch(fd, events)
}

func (s *server) loop() error {
	for {
		events, err := s.epoll.wait()
		if err != nil {
			return err
		}
		for _, e := range events {
			if fd := int(e.Fd); s.listen[fd] {
				s.accept(fd)
			} else if p := s.peers[fd]; p != nil && !s.serve(fd, p) {
				delete(s.peers, fd)
				_ = unix.Close(fd)
			}
		}
	}
}

func (s *server) accept(ln int) {
	for {
		fd, _, err := unix.Accept4(ln, unix.SOCK_CLOEXEC)
		if err != nil {
			return
		}
		_ = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1) // a unix socket has none
		if s.watch(fd, unix.EPOLLIN|unix.EPOLLOUT|unix.EPOLLET|unix.EPOLLRDHUP) != nil {
			_ = unix.Close(fd)
			continue
		}
		s.peers[fd] = &peer{}
	}
}

// serve reports false when the connection is over.
func (s *server) serve(fd int, p *peer) bool {
	return s.send(fd, p) && receive(fd, s.buf[:], func(in []byte) bool { return s.feed(fd, p, in) })
}

var headEnd, lengthName, lengthLower = []byte("\r\n\r\n"), []byte("\r\nContent-Length: "), []byte("\r\ncontent-length: ")

func (s *server) feed(fd int, p *peer, in []byte) bool {
	for len(in) > 0 || p.body > 0 {
		if p.body > 0 {
			k := min(p.body, len(in))
			in, p.body = in[k:], p.body-k
			if p.body > 0 {
				return true
			}
			if len(p.out) == 0 {
				p.out = p.then
			} else {
				p.out = append(p.out, p.then...)
			}
			if !s.send(fd, p) {
				return false
			}
			continue
		}
		head := in
		if len(p.in) > 0 {
			p.in = append(p.in, in...)
			head = p.in
		}
		end := bytes.Index(head, headEnd)
		if end < 0 {
			if len(p.in) == 0 {
				p.in = append(p.in, in...)
			}
			return true
		}
		in, p.in = head[end+4:], p.in[:0]
		reply := s.reply(head[:end])
		if p.body = bodyLength(head[:end+2]); p.body > 0 {
			p.then = reply
			continue
		}
		if len(p.out) > 0 {
			p.out = append(p.out, reply...)
			continue
		}
		p.out = reply
		if !s.send(fd, p) {
			return false
		}
	}
	return true
}

// reply picks by the last segment of the path: /unix/1k is /1k.
func (s *server) reply(head []byte) []byte {
	_, target, _ := bytes.Cut(head, []byte(" "))
	target, _, _ = bytes.Cut(target, []byte(" "))
	if found, ok := s.answers[string(target[max(bytes.LastIndexByte(target, '/'), 0):])]; ok {
		return found
	}
	return s.answers["/post"]
}

func bodyLength(head []byte) int {
	_, value, ok := bytes.Cut(head, lengthName)
	if !ok {
		if _, value, ok = bytes.Cut(head, lengthLower); !ok {
			return 0
		}
	}
	n := 0
	for _, c := range value {
		if c < '0' || c > '9' {
			break
		}
		n = n*10 + int(c-'0')
	}
	return n
}

func (s *server) send(fd int, p *peer) bool {
	for len(p.out) > 0 {
		n, errno := send(fd, p.out, unix.MSG_DONTWAIT)
		if errno == unix.EAGAIN {
			return true
		}
		if errno != 0 {
			return false
		}
		p.out = p.out[n:]
	}
	p.out = nil
	return true
}
