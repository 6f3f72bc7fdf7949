package shadow

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/ancora-fleet/ancora/dataplane/rootfile"
)

const (
	// mostEntries and mostDepth bound what is looked at of a folder: files and folders, and folders in each other.
	mostEntries = 1_000_000
	mostDepth   = 100
)

// stamp changes with every write of a file, also of one that keeps its length and its time.
type stamp struct{ size, modified, changed int64 }

func stampOf(info fs.FileInfo) stamp {
	s := stamp{size: info.Size(), modified: info.ModTime().UnixNano()}
	if stat, ok := info.Sys().(*syscall.Stat_t); ok {
		s.changed = stat.Ctim.Nano()
	}
	return s
}

// look is what was seen of a folder at a moment.
type look struct {
	// Code and Settings are digests over the stamps of files of these kinds.
	Code, Settings string
	files          map[string]stamp // those with code
	dirs           []string         // that hold them, absolute, and the folder itself
	bytes          int64            // what all files take on disk
}

// Code says whether a file of this name is code of an application, or says which code is loaded: what is changed of it makes another
// application.
func Code(name string) bool {
	name = strings.ToLower(path.Base(name))
	switch path.Ext(name) {
	case ".dll", ".exe", ".so":
		return true
	}
	return strings.HasSuffix(name, ".deps.json") || strings.HasSuffix(name, ".runtimeconfig.json") || strings.Contains(name, ".so.")
}

// settings says whether a file is likely read from beside the code: a copy with an old one of these is not used again.
func settings(name string) bool {
	switch strings.ToLower(path.Ext(name)) {
	case ".json", ".config", ".xml":
		return true
	}
	return false
}

// lookAt sees what there is to copy, with the rights of who reads it.
func lookAt(ctx context.Context, from Source, base *os.Root) (found look, err error) {
	code, beside := map[string]stamp{}, map[string]stamp{}
	dirs := map[string]bool{from.Root: true}
	err = rootfile.As(from.Owner, func() error {
		root, err := os.OpenRoot(from.Root)
		if err != nil {
			return err
		}
		defer root.Close()
		return walk(ctx, root, base, func(name string, d fs.DirEntry) error {
			if !d.Type().IsRegular() {
				return nil
			}
			info, err := d.Info()
			if err != nil {
				return err
			}
			if stat, ok := info.Sys().(*syscall.Stat_t); ok {
				found.bytes += stat.Blocks * 512
			}
			switch {
			case Code(name) || slices.Contains(from.Programs, name):
				code[name] = stampOf(info)
				dirs[filepath.Join(from.Root, path.Dir(name))] = true
			case settings(name):
				beside[name] = stampOf(info)
			}
			return nil
		})
	})
	found.Code, found.Settings, found.files = digest(code), digest(beside), code
	found.dirs = slices.Sorted(maps.Keys(dirs))
	return found, err
}

// walk visits what is below a folder, without the directory of the copies and without what may not be read. It follows no link.
func walk(ctx context.Context, root, without *os.Root, visit func(name string, d fs.DirEntry) error) error {
	var skip os.FileInfo
	if without != nil {
		info, err := without.Stat(".")
		if err != nil {
			return err
		}
		skip = info
	}
	entries := 0
	return fs.WalkDir(root.FS(), ".", func(name string, d fs.DirEntry, err error) error {
		if err == nil {
			err = context.Cause(ctx)
		}
		entries++
		switch {
		case name == ".":
			return err
		case errors.Is(err, fs.ErrPermission), errors.Is(err, fs.ErrNotExist): // it was not to be read, or is gone meanwhile
			return fs.SkipDir
		case err != nil:
			return err
		case entries > mostEntries:
			return fmt.Errorf("the folder holds more than %d files and folders", mostEntries)
		case strings.Count(name, "/") >= mostDepth:
			return fmt.Errorf("%.200s... lies more than %d folders deep", name, mostDepth)
		}
		if d.IsDir() && (same(d, skip) || forCopies(root, name)) {
			return fs.SkipDir
		}
		if err = visit(name, d); errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) {
			if d.IsDir() {
				return fs.SkipDir
			}
			return nil
		}
		return err
	})
}

func same(d fs.DirEntry, other os.FileInfo) bool {
	info, err := d.Info()
	return err == nil && other != nil && os.SameFile(info, other)
}

// forCopies says whether a folder is one for copies, of this application as it was configured before, or of another.
func forCopies(root *os.Root, name string) bool {
	_, err := root.Lstat(path.Join(name, marker))
	return err == nil
}

func digest(files map[string]stamp) string {
	h := sha256.New()
	for _, name := range slices.Sorted(maps.Keys(files)) {
		h.Write([]byte(name))
		_ = binary.Write(h, binary.LittleEndian, files[name]) // a hash takes everything
	}
	return hex.EncodeToString(h.Sum(nil)[:16])
}

// difference names a file that is not the same in both; empty: there is none.
func difference(before, after map[string]stamp) string {
	for _, name := range slices.Sorted(maps.Keys(after)) {
		if before[name] != after[name] {
			return name
		}
	}
	for _, name := range slices.Sorted(maps.Keys(before)) {
		if _, ok := after[name]; !ok {
			return name
		}
	}
	return ""
}

// ChangedSince names files of a folder that have changed since a moment, those with code first, three at most.
func ChangedSince(ctx context.Context, from Source, since time.Time) ([]string, error) {
	var code, others []string
	err := rootfile.As(from.Owner, func() error {
		root, err := os.OpenRoot(from.Root)
		if err != nil {
			return err
		}
		defer root.Close()
		return walk(ctx, root, nil, func(name string, d fs.DirEntry) error {
			info, err := d.Info()
			if err != nil || !info.Mode().IsRegular() || stampOf(info).changed <= since.UnixNano() {
				return err
			}
			if Code(name) || slices.Contains(from.Programs, name) {
				code = append(code, name)
			} else {
				others = append(others, name)
			}
			return nil
		})
	})
	all := slices.Concat(code, others)
	return all[:min(len(all), 3)], err
}
