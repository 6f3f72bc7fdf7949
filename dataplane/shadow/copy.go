package shadow

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/ancora-fleet/ancora/dataplane/rootfile"
)

// piece is how much of a file is copied before the context is looked at again, in bytes.
const piece = 64 << 20

// entry is something that was read of the folder. Its file is open and the receiver's to close; links have none.
type entry struct {
	name string
	info fs.FileInfo
	file *os.File
	link string
	// listed says that more than the mode decides who may read it.
	listed bool
}

// tree is a copy that is being made.
type tree struct {
	from Source
	to   *os.Root
	// left is how many bytes are still to come, at most. plain says that the file system shares no blocks between files.
	left  int64
	plain bool
	dirs  []entry // which get their modes at the end
}

// copyTree copies a folder to one of this name, which is whole when there is no error. Reading is done as the folder's reader,
// writing as the agent.
func copyTree(ctx context.Context, base *os.Root, name string, from Source, bytes int64) error {
	if err := base.Mkdir(name, 0o700); err != nil {
		return err
	}
	to, err := base.OpenRoot(name)
	if err != nil {
		return err
	}
	defer to.Close()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	entries, end := make(chan entry), make(chan error, 1)
	go func() {
		err := rootfile.As(from.Owner, func() error { return read(ctx, from, base, entries) })
		close(entries)
		end <- err
	}()
	t := &tree{from: from, to: to, left: bytes}
	for e := range entries {
		if err == nil {
			if err = t.add(ctx, e); err != nil {
				cancel(err)
			}
		}
		if e.file != nil {
			_ = e.file.Close()
		}
	}
	if readErr := <-end; err == nil {
		err = readErr
	}
	if err == nil {
		err = t.finish()
	}
	return err
}

// read sends what the folder holds, folders before what is in them. Sockets, pipes and devices are left out, as is what may not be
// read: an instance could not use it either.
func read(ctx context.Context, from Source, base *os.Root, entries chan<- entry) error {
	root, err := os.OpenRoot(from.Root)
	if err != nil {
		return err
	}
	defer root.Close()
	send := func(e entry) error {
		select {
		case entries <- e:
			return nil
		case <-ctx.Done():
			if e.file != nil {
				_ = e.file.Close()
			}
			return context.Cause(ctx)
		}
	}
	open := func(name string) error {
		file, err := root.OpenFile(name, os.O_RDONLY|unix.O_NONBLOCK|unix.O_NOFOLLOW, 0) // a pipe in its place must not hold us up
		if err != nil {
			return err
		}
		info, err := file.Stat()
		if err != nil || !info.Mode().IsRegular() && !info.IsDir() {
			return errors.Join(err, file.Close())
		}
		return send(entry{name: name, info: info, file: file})
	}
	if err := open("."); err != nil {
		return err
	}
	return walk(ctx, root, base, func(name string, d fs.DirEntry) error {
		switch {
		case d.IsDir(), d.Type().IsRegular():
			return open(name)
		case d.Type()&fs.ModeSymlink == 0:
			return nil
		}
		target, err := root.Readlink(name)
		if err != nil {
			return err
		}
		info, err := root.Lstat(name)
		if err != nil {
			return err
		}
		link, ok := inside(from.Root, name, target)
		if !ok {
			return fmt.Errorf("%s is a symbolic link to %s, which is not in the folder: put there what it leads to, or take it away", name, target)
		}
		return send(entry{name: name, info: info, link: link})
	})
}

// inside gives a link's target as it is to be spelled in a copy: relative, and never out of the folder. Since the folder of the link
// is a true one, and every link in the folder leads inside, a target does too that goes up only at its beginning, and no further
// than the folder.
func inside(root, name, target string) (string, bool) {
	if path.IsAbs(target) {
		rest, ok := strings.CutPrefix(path.Clean(target)+"/", strings.TrimSuffix(root, "/")+"/")
		if !ok || slices.Contains(strings.Split(target, "/"), "..") {
			return "", false
		}
		link, err := filepath.Rel("/"+path.Dir(name), "/"+rest)
		return link, err == nil
	}
	depth, down := strings.Count(name, "/"), false
	for part := range strings.SplitSeq(target, "/") {
		switch {
		case part == "" || part == ".":
		case part == ".." && down: // behind another link that could be anywhere
			return "", false
		case part == "..":
			depth--
		default:
			down = true
		}
	}
	return target, depth >= 0
}

// add makes one entry of the copy.
func (t *tree) add(ctx context.Context, e entry) error {
	switch {
	case e.file == nil:
		if err := t.to.Symlink(e.link, e.name); err != nil {
			return err
		}
		uid, gid, _ := t.rights(e)
		return t.to.Lchown(e.name, uid, gid)
	case e.info.IsDir():
		t.dirs = append(t.dirs, entry{name: e.name, info: e.info, listed: listed(e.file)})
		if e.name == "." {
			return nil
		}
		return t.to.Mkdir(e.name, 0o700)
	}
	e.listed = listed(e.file)
	file, err := t.to.OpenFile(e.name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	err = t.content(ctx, file, e)
	if err == nil {
		uid, gid, mode := t.rights(e)
		if err = file.Chown(uid, gid); err == nil {
			err = file.Chmod(mode)
		}
	}
	if err = errors.Join(err, file.Close()); err == nil {
		err = t.to.Chtimes(e.name, e.info.ModTime(), e.info.ModTime())
	}
	if errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT) {
		err = fmt.Errorf("%w, with %s still to be copied", err, size(t.left))
	}
	return err
}

// finish gives the folders their modes: nothing can be added to a copy then.
func (t *tree) finish() error {
	for _, e := range slices.Backward(t.dirs) {
		uid, gid, mode := t.rights(e)
		if err := t.to.Chown(e.name, uid, gid); err != nil {
			return err
		}
		if err := t.to.Chmod(e.name, mode); err != nil {
			return err
		}
	}
	return nil
}

// listed says whether a file has an access list.
func listed(file *os.File) bool {
	size, err := unix.Fgetxattr(int(file.Fd()), "system.posix_acl_access", nil)
	return err == nil && size > 0
}

// rights says whose a part of the copy is and what may be done with it: what its owner and group may do with the folder's own, but
// for writing, which would be lost with the copy, and for taking on another user. An agent that is not root makes copies for itself.
// What an access list lets the reader read, is the reader's own in the copy.
func (t *tree) rights(e entry) (uid, gid int, mode fs.FileMode) {
	stat, ok := e.info.Sys().(*syscall.Stat_t)
	mode = e.info.Mode().Perm() &^ 0o222
	own := fs.FileMode(0o400)
	if mode&0o111 != 0 || e.info.IsDir() {
		own = 0o500
	}
	switch {
	case !ok || os.Geteuid() != 0:
		return -1, -1, own
	case e.listed && t.from.Owner != nil:
		return int(t.from.Owner.UID), int(t.from.Owner.GID), own
	}
	return int(stat.Uid), int(stat.Gid), mode
}

// content copies what is in a file: by sharing its blocks where the file system can, else by copying those that are not holes.
func (t *tree) content(ctx context.Context, to *os.File, e entry) error {
	blocks := int64(0)
	if stat, ok := e.info.Sys().(*syscall.Stat_t); ok {
		blocks = stat.Blocks * 512
	}
	if e.info.Size() == 0 {
		return nil
	}
	if !t.plain {
		if unix.IoctlFileClone(int(to.Fd()), int(e.file.Fd())) == nil {
			t.left -= blocks
			return nil
		}
		t.plain = true
		if err := t.room(to); err != nil {
			return err
		}
	}
	if err := data(ctx, to, e.file, e.info.Size()); err != nil {
		return err
	}
	t.left -= blocks
	return nil
}

// room says whether what is still to come has a place where a file of the copy lies.
func (t *tree) room(to *os.File) error {
	room, err := rootfile.Room(to, t.left)
	if err == nil && !room {
		err = fmt.Errorf("it needs %s, and the file system of the copies has less to spare", size(t.left))
	}
	return err
}

// data copies so many bytes of a file, leaving out its holes.
func data(ctx context.Context, to, from *os.File, length int64) error {
	for at := int64(0); at < length; {
		if err := context.Cause(ctx); err != nil {
			return err
		}
		end := length
		begin, err := unix.Seek(int(from.Fd()), at, unix.SEEK_DATA)
		switch {
		case errors.Is(err, unix.ENXIO): // nothing but a hole is left
			return to.Truncate(length)
		case err != nil: // a file system without holes
			begin = at
		default:
			if end, err = unix.Seek(int(from.Fd()), begin, unix.SEEK_HOLE); err != nil {
				end = length
			}
		}
		if begin >= length {
			break
		}
		end = min(end, length, begin+piece)
		if _, err := from.Seek(begin, io.SeekStart); err != nil {
			return err
		}
		if _, err := to.Seek(begin, io.SeekStart); err != nil {
			return err
		}
		if _, err := io.CopyN(to, from, end-begin); err != nil && !errors.Is(err, io.EOF) { // it may have become shorter
			return err
		}
		at = end
	}
	return to.Truncate(length)
}

// size spells bytes for people.
func size(bytes int64) string {
	if bytes < 1<<20 {
		return fmt.Sprintf("%d KiB", (bytes+1023)/1024)
	}
	return fmt.Sprintf("%.1f MiB", float64(bytes)/(1<<20))
}
