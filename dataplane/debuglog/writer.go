package debuglog

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/ancora-fleet/ancora/dataplane/rootfile"
)

const (
	// fileSize is how large a file becomes before it is put aside, in bytes; one such is kept beside the one that is written.
	fileSize = 10_000_000
	// retryEvery is when a file that cannot be opened is tried again.
	retryEvery = 5 * time.Second
)

// writer is the file of a log.
type writer struct {
	log    *Log
	place  Place
	file   *os.File
	size   int64
	failed time.Time // until then lines are lost
	warned string
}

// write appends a line, to another file when its settings name one.
func (w *writer) write(one line) {
	if err := w.append(one); err != nil {
		w.close()
		w.failed = time.Now().Add(retryEvery)
		if text := err.Error(); text != w.warned {
			w.warned = text
			w.log.config.Logger.Warn("debug log not written", "site", w.log.config.Site, "application", w.log.config.Application, "error", text)
			if w.log.config.Warn != nil {
				w.log.config.Warn(text)
			}
		}
	}
}

func (w *writer) append(one line) error {
	s := one.settings
	if w.file == nil && s.First.Path != "" && !same(s.First, s.Place) && !same(w.place, s.Place) {
		if err := w.open(s.First, one.time); err != nil {
			return err
		}
	}
	if w.file == nil || !same(w.place, s.Place) {
		if same(w.place, s.Place) && time.Now().Before(w.failed) {
			return nil
		}
		if err := w.open(s.Place, one.time); err != nil {
			return err
		}
	}
	return w.line(one.time, one.text)
}

func same(a, b Place) bool { return a.Path == b.Path && a.Folder.Path == b.Folder.Path }

// open goes on in another file; the one that was written says which.
func (w *writer) open(place Place, at time.Time) error {
	if w.file != nil {
		if err := w.line(at, fmt.Sprintf("Switching debug log files to '%s'", filepath.Join(place.Folder.Path, place.Path))); err != nil {
			w.log.config.Logger.Warn("debug log not written", "error", err)
		}
		w.close()
	}
	w.place = place
	if err := w.reopen(); err != nil {
		return err
	}
	return w.line(at, w.log.first())
}

func (w *writer) reopen() error {
	file, err := w.place.Folder.Append(w.place.Path)
	if err != nil {
		return err
	}
	info, err := file.Stat()
	if err != nil {
		return errors.Join(err, file.Close())
	}
	w.file, w.size = file, info.Size()
	return nil
}

// line writes one line by one call (DBG-4).
func (w *writer) line(at time.Time, text string) error {
	out := fmt.Sprintf("[%s, PID: %d] [ancora] %s\r\n", at.UTC().Format("2006-01-02T15:04:05.000Z"), os.Getpid(), text)
	if w.size > 0 && w.size+int64(len(out)) > fileSize {
		if err := w.putAside(); err != nil {
			return err
		}
	}
	free, err := rootfile.Room(w.file, int64(len(out)))
	if err == nil && !free {
		err = fmt.Errorf("%s: the file system is nearly full", w.file.Name())
	}
	if err != nil {
		return err
	}
	n, err := w.file.WriteString(out)
	w.size += int64(n)
	return err
}

// putAside keeps the full file as NAME.1, in place of an older one.
func (w *writer) putAside() error {
	w.close()
	if err := w.place.Folder.Rename(w.place.Path, filepath.Base(w.place.Path)+".1"); err != nil {
		return err
	}
	return w.reopen()
}

func (w *writer) close() {
	if w.file != nil {
		_ = w.file.Close() // all there was to say was said by Write
		w.file = nil
	}
}
