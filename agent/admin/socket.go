package admin

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// maxPath is how long the path of a socket may be (unix(7): 108 bytes with the NUL).
const maxPath = 107

// listenSocket listens on a socket that only this user may open. One that nobody answers on any more is replaced; another
// agent's is left to it.
func listenSocket(path string) (net.Listener, error) {
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o711); err != nil {
		return nil, err
	}
	if c, err := net.DialTimeout("unix", path, time.Second); err == nil {
		return nil, errors.Join(fmt.Errorf("%s is in use by another agent: each needs a directory of its own (--run-dir)", path), c.Close())
	}
	// The socket is made where nobody else can reach it, and gets its name when its mode is right.
	nursery, err := os.MkdirTemp(dir, ".")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(nursery)
	born := filepath.Join(nursery, "s")
	if len(born) > maxPath || len(path) > maxPath {
		return nil, fmt.Errorf("%s: the path of a socket has at most %d bytes, choose a shorter directory (--run-dir; of serve, --data)", path, maxPath)
	}
	listener, err := net.ListenUnix("unix", &net.UnixAddr{Name: born, Net: "unix"})
	if err != nil {
		return nil, err
	}
	listener.SetUnlinkOnClose(false)
	if err = os.Chmod(born, 0o600); err == nil {
		err = os.Rename(born, path)
	}
	if err != nil {
		return nil, errors.Join(err, listener.Close())
	}
	return &socket{listener, path, inode(path)}, nil
}

// socket takes its name away when it is closed, unless another has it by now.
type socket struct {
	*net.UnixListener
	path  string
	inode uint64
}

func (s *socket) Close() error {
	if inode(s.path) == s.inode {
		_ = os.Remove(s.path) // what stays is replaced by the next agent
	}
	return s.UnixListener.Close()
}

func (s *socket) Addr() net.Addr { return &net.UnixAddr{Name: s.path, Net: "unix"} }

func inode(path string) uint64 {
	var stat unix.Stat_t
	if unix.Lstat(path, &stat) != nil {
		return 0
	}
	return stat.Ino
}
