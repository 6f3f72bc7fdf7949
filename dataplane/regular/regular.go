// Package regular opens and reads regular files in places where somebody else may write: an application's folder, a path that a
// site file names. What is put in a file's place is an error and nothing else. A pipe holds up nobody, a device is not even
// opened, since opening one can be to use it, and of a large file, or one that grows meanwhile, no more than the limit is read.
package regular

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// ErrKind is the error of what is no regular file.
var ErrKind = errors.New("is no regular file")

var errOutside = errors.New("leads out of the folder")

// Open opens a file for reading. Links are followed. Errors are of the type *fs.PathError, as those of os.Open.
func Open(path string) (*os.File, error) {
	place, err := os.OpenFile(path, unix.O_PATH, 0)
	if err != nil {
		return nil, err
	}
	defer place.Close()
	if err := kind(place, path); err != nil {
		return nil, err
	}
	// The path may lead elsewhere by now; what was looked at is opened by its descriptor.
	// O_NONBLOCK: a lease, the lock that Linux has for whole files, must not hold up who opens it.
	var fd int
	for err = unix.EINTR; err == unix.EINTR; { // as os does: a share of the network may be interrupted by a signal
		fd, err = unix.Open("/proc/self/fd/"+strconv.Itoa(int(place.Fd())), unix.O_RDONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	}
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: path, Err: err}
	}
	return os.NewFile(uintptr(fd), path), nil
}

// OpenIn opens a file below a folder for reading. A link that leads out of the folder, and any absolute one, is an error.
func OpenIn(root *os.Root, name string) (*os.File, error) {
	// Only root could put a device here, so it is enough not to be held up by a pipe.
	file, err := root.OpenFile(name, os.O_RDONLY|unix.O_NONBLOCK, 0)
	if _, kernels := errors.AsType[unix.Errno](err); err != nil && !kernels {
		err = &fs.PathError{Op: "open", Path: name, Err: errOutside}
	}
	if err != nil {
		return nil, err
	}
	if err := kind(file, name); err != nil {
		_ = file.Close()
		return nil, err
	}
	return file, nil
}

func kind(file *os.File, path string) error {
	info, err := file.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = &fs.PathError{Op: "open", Path: path, Err: ErrKind}
	}
	return err
}

// Read reads the whole of a file, as Open opens it; one of more than limit bytes is an error.
func Read(path string, limit int64) ([]byte, error) {
	file, err := Open(path)
	return whole(file, err, limit)
}

// ReadIn reads the whole of a file below a folder, as OpenIn opens it; one of more than limit bytes is an error.
func ReadIn(root *os.Root, name string, limit int64) ([]byte, error) {
	file, err := OpenIn(root, name)
	return whole(file, err, limit)
}

func whole(file *os.File, err error, limit int64) ([]byte, error) {
	if err != nil {
		return nil, err
	}
	defer file.Close()
	tooLarge := func(size string) error {
		return &fs.PathError{Op: "read", Path: file.Name(), Err: fmt.Errorf("has %s bytes, at most %d are read", size, limit)}
	}
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}
	if info.Size() > limit {
		return nil, tooLarge(strconv.FormatInt(info.Size(), 10))
	}
	content, err := io.ReadAll(io.LimitReader(file, limit+1))
	if err == nil && int64(len(content)) > limit { // it has grown, or is one of those that do not say how long they are
		err = tooLarge("more than " + strconv.FormatInt(limit, 10))
	}
	if err != nil {
		return nil, err
	}
	return content, nil
}
