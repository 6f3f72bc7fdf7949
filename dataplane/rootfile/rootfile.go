// Package rootfile writes files below a folder that an application may write to as well, as the application's user and
// without ever following a symbolic link. What the application plants there, a link, a pipe, a folder in place of a file,
// is an error and nothing else: it moves no byte to another place.
package rootfile

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/ancora-fleet/ancora/dataplane/process"
)

const (
	dirMode  = 0o755
	fileMode = 0o640
)

// Folder is a folder and whom its files are written as. All paths given to its methods lie below it, with slashes.
type Folder struct {
	// Path is absolute, with no symbolic link in it.
	Path string
	// Owner is nil for whom the agent runs as.
	Owner *process.Credential
}

// Append opens a regular file to write at its end. It and the folders on the way to it are made when they are missing.
func (f Folder) Append(path string) (file *os.File, err error) {
	err = f.in(path, true, func(dir int, name string) error {
		// O_NONBLOCK: a pipe that was planted must not hold up who opens it.
		fd, err := unix.Openat(dir, name, unix.O_WRONLY|unix.O_APPEND|unix.O_CREAT|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_CLOEXEC, fileMode)
		if err != nil {
			return err
		}
		var stat unix.Stat_t
		if err := unix.Fstat(fd, &stat); err != nil || stat.Mode&unix.S_IFMT != unix.S_IFREG {
			_ = unix.Close(fd)
			return errors.Join(err, errors.New("is not a regular file"))
		}
		file = os.NewFile(uintptr(fd), filepath.Join(f.Path, path))
		return nil
	})
	return file, err
}

// List names the regular files in the folder of path, which may end with any name.
func (f Folder) List(path string) (names []string, err error) {
	err = f.in(path, false, func(dir int, _ string) error {
		fd, err := unix.Openat(dir, ".", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
		if err != nil {
			return err
		}
		here := os.NewFile(uintptr(fd), filepath.Dir(filepath.Join(f.Path, path)))
		defer here.Close()
		entries, err := here.ReadDir(-1)
		for _, e := range entries {
			if e.Type().IsRegular() {
				names = append(names, e.Name())
			}
		}
		return err
	})
	return names, err
}

// Remove deletes a file. One that is not there is no error.
func (f Folder) Remove(path string) error {
	err := f.in(path, false, func(dir int, name string) error { return unix.Unlinkat(dir, name, 0) })
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// Rename gives a file another name in the same folder, in place of a file that has it.
func (f Folder) Rename(path, name string) error {
	return f.in(path, false, func(dir int, old string) error { return unix.Renameat(dir, old, dir, name) })
}

// in calls do with the folder of path and its last part, as the owner.
func (f Folder) in(path string, create bool, do func(dir int, name string) error) error {
	parts := strings.Split(path, "/")
	for _, part := range parts {
		if part == "" || part == "." || part == ".." || strings.ContainsRune(part, 0) {
			return fmt.Errorf("%q is no path below %s", path, f.Path)
		}
	}
	return As(f.Owner, func() error {
		dir, err := unix.Open(f.Path, unix.O_PATH|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
		if err != nil {
			return &fs.PathError{Op: "open", Path: f.Path, Err: err}
		}
		at := f.Path
		for _, part := range parts[:len(parts)-1] {
			at = filepath.Join(at, part)
			next, err := enter(dir, part, create)
			_ = unix.Close(dir)
			if err != nil {
				return &fs.PathError{Op: "open", Path: at, Err: err}
			}
			dir = next
		}
		defer unix.Close(dir)
		if err := do(dir, parts[len(parts)-1]); err != nil {
			return &fs.PathError{Op: "open", Path: filepath.Join(f.Path, path), Err: plain(err)}
		}
		return nil
	})
}

// enter goes one folder down. A single name that is no link and not ".." leads nowhere else, so going down name by name is
// as sure as openat2 with RESOLVE_BENEATH, and needs no kernel that has it.
func enter(dir int, name string, create bool) (int, error) {
	const how = unix.O_PATH | unix.O_DIRECTORY | unix.O_NOFOLLOW | unix.O_CLOEXEC
	next, err := unix.Openat(dir, name, how, 0)
	if create && errors.Is(err, fs.ErrNotExist) {
		if err := unix.Mkdirat(dir, name, dirMode); err != nil && !errors.Is(err, fs.ErrExist) {
			return 0, err
		}
		next, err = unix.Openat(dir, name, how, 0)
	}
	if errors.Is(err, unix.ENOTDIR) || errors.Is(err, unix.ELOOP) {
		return 0, errors.New("is a symbolic link or no folder")
	}
	return next, err
}

func plain(err error) error {
	if errors.Is(err, unix.ELOOP) {
		return errors.New("is a symbolic link")
	}
	return err
}
