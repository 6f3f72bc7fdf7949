package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"net"
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// steadyResult is what the client with a fixed rate prints.
type steadyResult struct {
	Done, Errors      int
	Elapsed, P50, P99 time.Duration
}

// steady sends requests at a fixed rate, whether answers come or not, and counts each answer's time from the moment at which
// its request was due: a proxy that is late cannot slow the clock down. One thread, one epoll.
//
//	steady ADDRESS PATH CONNECTIONS RATE LENGTH
func steady(args []string) error {
	if len(args) != 5 {
		return errors.New("usage: steady ADDRESS PATH CONNECTIONS RATE LENGTH")
	}
	conns, err1 := strconv.Atoi(args[2])
	rate, err2 := strconv.Atoi(args[3])
	length, err3 := time.ParseDuration(args[4])
	if err := errors.Join(err1, err2, err3); err != nil {
		return err
	}
	debug.SetGCPercent(-1)
	runtime.LockOSThread()
	r, err := pace(args[0], args[1], conns, rate, length)
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(r)
}

func pace(address, path string, conns, rate int, length time.Duration) (steadyResult, error) {
	p := &pacer{interval: time.Second / time.Duration(rate), conns: map[int]*paced{}, took: make([]time.Duration, 0, 2*rate*int(length.Seconds()+2))}
	p.request, p.size = []byte((&workload{path: path}).request(hostname)), bodySize(path)
	defer p.close()
	if err := p.dial(address, conns); err != nil {
		return steadyResult{}, err
	}
	if err := p.run(length); err != nil {
		return steadyResult{}, err
	}
	slices.Sort(p.took)
	if len(p.took) == 0 {
		return steadyResult{}, errors.New("no answers")
	}
	return steadyResult{Done: len(p.took), Errors: p.errors, Elapsed: p.elapsed, P50: p.took[len(p.took)/2], P99: p.took[len(p.took)*99/100]}, nil
}

type pacer struct {
	epoll    epoll
	interval time.Duration
	request  []byte
	size     int // of the body of an answer
	conns    map[int]*paced
	free     []*paced
	due      []time.Time // requests that found no free connection
	took     []time.Duration
	errors   int
	elapsed  time.Duration
	buf      [64 << 10]byte
}

type paced struct {
	fd   int
	due  time.Time
	left int // of the answer; -1: its head has not come whole
	head []byte
}

func (p *pacer) dial(address string, n int) error {
	var err error
	if p.epoll, err = newEpoll(256); err != nil {
		return err
	}
	for range n {
		nc, err := net.Dial("tcp", address)
		if err != nil {
			return err
		}
		file, err := nc.(*net.TCPConn).File()
		if err != nil {
			return err
		}
		fd, err := unix.FcntlInt(file.Fd(), unix.F_DUPFD_CLOEXEC, 0) // one that no collector of garbage closes
		if err := errors.Join(err, file.Close(), nc.Close()); err != nil {
			return err
		}
		c := &paced{fd: fd}
		if err := unix.SetNonblock(c.fd, true); err != nil {
			return err
		}
		if err := p.epoll.watch(c.fd, unix.EPOLLIN); err != nil {
			return err
		}
		p.conns[c.fd] = c
		p.free = append(p.free, c)
	}
	return nil
}

func (p *pacer) close() {
	for fd := range p.conns {
		_ = unix.Close(fd)
	}
	_ = unix.Close(p.epoll.fd)
}

func (p *pacer) run(length time.Duration) error {
	begin := time.Now()
	next, end := begin, begin.Add(length)
	patience := end.Add(5 * time.Second)
	for {
		now := time.Now()
		for !next.After(now) && next.Before(end) {
			p.send(next)
			next = next.Add(p.interval)
		}
		if len(p.conns) == 0 || !next.Before(end) && len(p.free) == len(p.conns) && len(p.due) == 0 {
			break
		}
		if now.After(patience) {
			p.errors += len(p.conns) - len(p.free) + len(p.due)
			break
		}
		wait := max(time.Until(next), 0)
		if !next.Before(end) {
			wait = 10 * time.Millisecond
		}
		events, err := p.epoll.waitFor(wait)
		if err != nil {
			return err
		}
		for _, e := range events {
			p.receive(p.conns[int(e.Fd)])
		}
	}
	p.elapsed = time.Since(begin)
	return nil
}

func (p *pacer) send(due time.Time) {
	if len(p.free) == 0 {
		p.due = append(p.due, due)
		return
	}
	c := p.free[0]
	p.free = p.free[1:]
	p.sendOn(c, due)
}

func (p *pacer) sendOn(c *paced, due time.Time) {
	c.due, c.left = due, -1
	if n, err := unix.Write(c.fd, p.request); err != nil || n != len(p.request) {
		p.errors++
	}
}

func (p *pacer) receive(c *paced) {
	n, err := unix.Read(c.fd, p.buf[:])
	if err == unix.EAGAIN {
		return
	}
	if err != nil || n == 0 { // nothing closes connections that are kept alive
		p.errors++
		p.free = slices.DeleteFunc(p.free, func(f *paced) bool { return f == c })
		delete(p.conns, c.fd)
		_ = unix.Close(c.fd)
		return
	}
	in := p.buf[:n]
	if c.left < 0 {
		c.head = append(c.head, in...)
		end := bytes.Index(c.head, headEnd)
		if end < 0 {
			return
		}
		size := bodyLength(c.head[:end+2])
		if size != p.size || !bytes.HasPrefix(c.head, []byte("HTTP/1.1 200 ")) {
			p.errors++
		}
		c.left = size - (len(c.head) - end - 4)
		c.head = c.head[:0]
	} else {
		c.left -= n
	}
	if c.left > 0 {
		return
	}
	if c.left < 0 {
		p.errors++ // more than was announced
	}
	p.took = append(p.took, time.Since(c.due))
	if len(p.due) > 0 {
		due := p.due[0]
		p.due = p.due[1:]
		p.sendOn(c, due)
		return
	}
	p.free = append(p.free, c)
}
