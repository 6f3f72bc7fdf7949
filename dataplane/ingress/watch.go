package ingress

import (
	"errors"
	"os"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// watcher notices clients that leave while their request is served and nobody reads from them. It is an epoll of its
// own that asks for nothing but the end of the peer's sending, so bytes that a client has sent ahead do not matter to
// it. Only requests that take longer than a look of the sweep get here. The epoll is itself waited for by Go's poller:
// no thread is spent on it.
type watcher struct {
	file *os.File
	raw  syscall.RawConn

	mu    sync.Mutex
	next  int32
	conns map[int32]*conn // by ticket: a descriptor may be another connection's a moment later, a ticket never is
}

func newWatcher() (*watcher, error) {
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, err
	}
	if err := unix.SetNonblock(fd, true); err != nil {
		unix.Close(fd)
		return nil, err
	}
	w := &watcher{file: os.NewFile(uintptr(fd), "epoll"), conns: make(map[int32]*conn)}
	if w.raw, err = w.file.SyscallConn(); err != nil {
		w.file.Close()
		return nil, err
	}
	go w.run()
	return w, nil
}

func (w *watcher) close() {
	if w != nil {
		w.file.Close()
	}
}

// add watches c until remove.
func (w *watcher) add(c *conn) {
	if w == nil {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if c.ticket.Load() != 0 {
		return
	}
	w.next++
	if w.next <= 0 {
		w.next = 1
	}
	ticket := w.next
	event := unix.EpollEvent{Events: unix.EPOLLRDHUP | unix.EPOLLONESHOT, Fd: ticket}
	c.sock.Control(func(fd uintptr) {
		_ = w.raw.Control(func(epfd uintptr) { // it fails when the listener has ended
			if unix.EpollCtl(int(epfd), unix.EPOLL_CTL_ADD, int(fd), &event) == nil {
				c.ticket.Store(ticket) // seen by whoever closes the connection after this
				w.conns[ticket] = c
			}
		})
	})
}

// remove ends the watch, of a connection that is open or closed already.
func (w *watcher) remove(c *conn) {
	if w == nil || c.ticket.Load() == 0 {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.conns, c.ticket.Swap(0))
	c.sock.Control(func(fd uintptr) {
		_ = w.raw.Control(func(epfd uintptr) { _ = unix.EpollCtl(int(epfd), unix.EPOLL_CTL_DEL, int(fd), nil) }) // gone with the listener
	})
}

// run tells connections that their clients have gone, until the watcher is closed.
func (w *watcher) run() {
	var events [64]unix.EpollEvent
	for {
		n := 0
		err := w.raw.Read(func(fd uintptr) bool {
			var err error
			if n, err = unix.EpollWait(int(fd), events[:], 0); errors.Is(err, unix.EINTR) {
				n = 0
			}
			return n != 0
		})
		if err != nil || n < 0 {
			return
		}
		w.mu.Lock()
		for _, e := range events[:n] {
			if c := w.conns[e.Fd]; c != nil {
				c.leave()
			}
		}
		w.mu.Unlock()
	}
}
