package socket

import (
	"errors"
	"io"
	"os"
	"runtime"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// pipeSize is how much a pipe carries at once, in bytes. The system allows a user 64 MiB in all.
const pipeSize = 256 << 10

// Pipe carries bytes from one connection to another inside of the kernel. It belongs to one goroutine at a time.
type Pipe struct {
	r, w int
	n    int // bytes in it

	// The callbacks are made once, as those of Conn are.
	fill, drain func(fd uintptr) bool
	most        int
	moved       int
	errno       syscall.Errno
}

// Pipes are pipes that nobody uses at the moment; a collection of garbage closes them. The zero value is ready.
type Pipes struct{ free sync.Pool }

// Get gives a pipe that is empty, or an error when the process is out of descriptors.
func (all *Pipes) Get() (*Pipe, error) {
	if p, ok := all.free.Get().(*Pipe); ok {
		return p, nil
	}
	var fds [2]int
	if err := unix.Pipe2(fds[:], unix.O_CLOEXEC|unix.O_NONBLOCK); err != nil {
		return nil, os.NewSyscallError("pipe2", err)
	}
	_, _ = unix.FcntlInt(uintptr(fds[1]), unix.F_SETPIPE_SZ, pipeSize) // one that stays small does the same in more steps
	p := &Pipe{r: fds[0], w: fds[1]}
	p.fill, p.drain = p.tryFill, p.tryDrain
	runtime.SetFinalizer(p, (*Pipe).close)
	return p, nil
}

// Put gives a pipe back. One that is not empty is closed: nobody may get what is in it.
func (all *Pipes) Put(p *Pipe) {
	if p.n > 0 {
		runtime.SetFinalizer(p, nil)
		p.close()
		return
	}
	all.free.Put(p)
}

func (p *Pipe) close() {
	_ = unix.Close(p.r)
	_ = unix.Close(p.w)
}

// Fill waits for bytes of c and moves at most n of them into the pipe, which is empty; io.EOF when there are no more.
func (c *Conn) Fill(p *Pipe, n int64) (int, error) {
	if c.stopped[0].Load() {
		return 0, os.ErrDeadlineExceeded
	}
	if err := c.register(); err != nil {
		return 0, err
	}
	p.most, p.moved, p.errno = int(min(n, pipeSize)), 0, 0
	if err := c.raw.Read(p.fill); err != nil {
		return 0, err
	}
	if p.errno != 0 {
		return 0, c.fail("splice", p.errno)
	}
	if p.moved == 0 {
		return 0, io.EOF
	}
	p.n += p.moved
	return p.moved, nil
}

func (p *Pipe) tryFill(fd uintptr) bool {
	p.moved, p.errno = splice(int(fd), p.w, p.most)
	return p.errno != syscall.EAGAIN
}

// Drain sends what the pipe has.
func (c *Conn) Drain(p *Pipe) error {
	if c.layer != nil {
		return errors.ErrUnsupported
	}
	if c.stopped[1].Load() {
		return os.ErrDeadlineExceeded
	}
	if p.tryDrain(uintptr(c.fd)) {
		return c.drained(p)
	}
	if err := c.register(); err != nil {
		return err
	}
	if c.clock != nil {
		c.clock.Pause()
		defer c.clock.Resume()
	}
	if err := c.raw.Write(p.drain); err != nil {
		return err
	}
	return c.drained(p)
}

func (c *Conn) drained(p *Pipe) error {
	if p.errno != 0 {
		return c.fail("splice", p.errno)
	}
	return nil
}

// tryDrain reports false when it has to wait.
func (p *Pipe) tryDrain(fd uintptr) bool {
	for p.n > 0 {
		var moved int
		moved, p.errno = splice(p.r, int(fd), p.n)
		if p.errno != 0 {
			return p.errno != syscall.EAGAIN
		}
		p.n -= moved
	}
	return true
}

func splice(from, to, n int) (int, syscall.Errno) {
	for {
		moved, _, errno := syscall.RawSyscall6(unix.SYS_SPLICE, uintptr(from), 0, uintptr(to), 0, uintptr(n), unix.SPLICE_F_MOVE|unix.SPLICE_F_NONBLOCK)
		if errno != syscall.EINTR {
			return int(moved), errno
		}
	}
}

// Direct reports whether the connection is a socket that is used directly, and can be spliced. What has a layer cannot: bytes
// would go past it.
func (c *Conn) Direct() bool { return c.fd >= 0 && c.layer == nil }
