package main

import (
	"errors"
	"fmt"
	"net"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// The floor is what a proxy cannot do without: two receives and two sends a request, on two threads, over connections that are
// bound to each other. It looks at nothing, so it is no proxy, and what it costs depends on the system alone.

const (
	floorLoops = 2       // as many as the peers have workers
	floorMost  = 1 << 16 // descriptors
)

// serveFloor serves until it is ended; upstream is a port of 127.0.0.1.
func serveFloor(upstream string) error {
	to, err := strconv.Atoi(upstream)
	if err != nil {
		return err
	}
	ports, err := freePorts(1)
	if err != nil {
		return err
	}
	debug.SetGCPercent(-1)             // a loop never gets to where it could be stopped
	runtime.GOMAXPROCS(2 * floorLoops) // nor does it give its processor to others
	ended := make(chan error, floorLoops)
	for range floorLoops {
		f := &floor{upstream: to, peers: make([]int, floorMost)}
		if err := f.listen(ports[0]); err != nil {
			return err
		}
		go func() { ended <- f.loop() }()
	}
	fmt.Printf("ready address=127.0.0.1:%d\n", ports[0])
	return <-ended
}

type floor struct {
	epoll    epoll
	ln       int
	upstream int
	peers    []int // both ways, by descriptor; 0: none
	buf      [64 << 10]byte
}

func (f *floor) listen(port int) (err error) {
	if f.epoll, err = newEpoll(512); err != nil {
		return err
	}
	if f.ln, err = unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0); err != nil {
		return err
	}
	return errors.Join(unix.SetsockoptInt(f.ln, unix.SOL_SOCKET, unix.SO_REUSEPORT, 1), unix.SetsockoptInt(f.ln, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1),
		unix.Bind(f.ln, loopback(port)), unix.Listen(f.ln, 4096), f.epoll.watch(f.ln, unix.EPOLLIN))
}

func loopback(port int) *unix.SockaddrInet4 {
	return &unix.SockaddrInet4{Port: port, Addr: [4]byte(net.IPv4(127, 0, 0, 1).To4())}
}

func (f *floor) loop() error {
	runtime.LockOSThread()
	for {
		events, err := f.epoll.wait()
		if err != nil {
			return err
		}
		for _, e := range events {
			if fd := int(e.Fd); fd == f.ln {
				f.accept()
			} else if peer := f.peers[fd]; peer != 0 && !f.pass(fd, peer) {
				f.peers[fd], f.peers[peer] = 0, 0
				_, _ = unix.Close(fd), unix.Close(peer)
			}
		}
	}
}

// accept binds each new connection to one of its own.
func (f *floor) accept() {
	for {
		client, _, err := unix.Accept4(f.ln, unix.SOCK_CLOEXEC)
		if err != nil {
			return
		}
		peer, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		if err == nil {
			err = errors.Join(unix.SetsockoptInt(peer, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1), unix.SetsockoptString(peer, unix.IPPROTO_TCP, unix.TCP_CONGESTION, "reno"),
				unix.Connect(peer, loopback(f.upstream)), f.epoll.watch(client, unix.EPOLLIN|unix.EPOLLET), f.epoll.watch(peer, unix.EPOLLIN|unix.EPOLLET))
		}
		if err != nil { // the load misses it, and says so
			_, _ = unix.Close(client), unix.Close(peer)
			continue
		}
		f.peers[client], f.peers[peer] = peer, client
	}
}

// pass hands over what there is. A send may wait, which only long bodies make it do. It reports false at the end.
func (f *floor) pass(from, to int) bool {
	return receive(from, f.buf[:], func(b []byte) bool {
		sent, errno := send(to, b, 0)
		return errno == 0 && sent == len(b)
	})
}

// startFloor starts it with the instance behind it that all have.
func (b *bench) startFloor() (*contender, error) {
	p, err := b.startOurs(b.self(), "floor", b.instances[""].where)
	if err != nil {
		return nil, err
	}
	return &contender{name: "floor", version: "two receives and two sends", plain: p.ready["address"], bare: true, program: p}, nil
}

// bears says whether a workload can be played through what looks at nothing and never closes first.
func (w *workload) bears() bool {
	return w.scheme == "" && !w.close && !w.idle && w.features == nil && !strings.HasPrefix(w.path, "/unix/")
}
