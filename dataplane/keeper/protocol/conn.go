package protocol

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// SendLimit is how long the other end may leave a message lying when the socket is full.
const SendLimit = 5 * time.Second

// Conn is one end of the socketpair: a message is a packet, a descriptor may come with it. Any goroutine may send, one
// receives.
type Conn struct {
	file *os.File
	in   []byte
}

// NewConn takes over the descriptor, which must be a SOCK_SEQPACKET socket.
func NewConn(file *os.File) *Conn { return &Conn{file: file} }

// Pair makes the two ends: one to speak over, one to pass to a worker.
func Pair() (*Conn, *os.File, error) {
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, nil, err
	}
	for _, fd := range pair {
		_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_SNDBUF, 4*MaxMessage)
	}
	return NewConn(os.NewFile(uintptr(pair[0]), "worker")), os.NewFile(uintptr(pair[1]), "keeper"), nil
}

// Close ends both directions.
func (c *Conn) Close() error { return c.file.Close() }

// Send writes one message and, when file is not nil, its descriptor. After SendLimit it gives up with
// os.ErrDeadlineExceeded.
func (c *Conn) Send(message any, file *os.File) error {
	data, err := json.Marshal(message)
	if err != nil {
		return err
	}
	if len(data) > MaxMessage {
		return fmt.Errorf("keeper protocol: a message of %d bytes: at most %d are allowed", len(data), MaxMessage)
	}
	var rights []byte
	if file != nil {
		rights = unix.UnixRights(int(file.Fd()))
	}
	raw, err := c.file.SyscallConn()
	if err != nil {
		return err
	}
	if err := c.file.SetWriteDeadline(time.Now().Add(SendLimit)); err != nil {
		return err
	}
	var sent error
	err = raw.Write(func(fd uintptr) bool {
		sent = unix.Sendmsg(int(fd), data, rights, nil, unix.MSG_NOSIGNAL|unix.MSG_DONTWAIT)
		return !errors.Is(sent, unix.EAGAIN)
	})
	return errors.Join(err, sent)
}

// Receive reads one message into message and gives the descriptor that came with it, or nil. io.EOF: the other end is
// gone.
func (c *Conn) Receive(message any) (*os.File, error) {
	raw, err := c.file.SyscallConn()
	if err != nil {
		return nil, err
	}
	if c.in == nil {
		c.in = make([]byte, MaxMessage)
	}
	data, rights := c.in, make([]byte, unix.CmsgSpace(4))
	var n, rn, flags int
	var got error
	err = raw.Read(func(fd uintptr) bool {
		n, rn, flags, _, got = unix.Recvmsg(int(fd), data, rights, unix.MSG_CMSG_CLOEXEC|unix.MSG_DONTWAIT)
		return !errors.Is(got, unix.EAGAIN)
	})
	if err := errors.Join(err, got); err != nil {
		return nil, err
	}
	file := descriptor(rights[:rn])
	switch {
	case n == 0:
		return file, io.EOF
	case flags&unix.MSG_TRUNC != 0:
		return file, errors.New("keeper protocol: a message was cut off")
	}
	return file, json.Unmarshal(data[:n], message)
}

func descriptor(rights []byte) *os.File {
	messages, err := unix.ParseSocketControlMessage(rights)
	if err != nil || len(messages) == 0 {
		return nil
	}
	fds, err := unix.ParseUnixRights(&messages[0])
	if err != nil || len(fds) == 0 {
		return nil
	}
	return os.NewFile(uintptr(fds[0]), "passed")
}
