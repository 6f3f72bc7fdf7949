package check

import (
	"bufio"
	"cmp"
	"debug/elf"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/ancora-fleet/ancora/dataplane/regular"
)

// libraries are the folders in which the loader of this host looks for shared libraries.
type libraries struct{ folders []string }

// newLibraries reads /etc/ld.so.conf, or what musl has in its place; path is the application's LD_LIBRARY_PATH.
func newLibraries(path string) *libraries {
	l := &libraries{folders: filepath.SplitList(path)}
	l.configured("/etc/ld.so.conf", 0)
	if files, _ := filepath.Glob("/etc/ld-musl-*.path"); len(files) > 0 {
		if text, err := os.ReadFile(files[0]); err == nil {
			l.folders = append(l.folders, strings.FieldsFunc(string(text), func(r rune) bool { return r == ':' || r == '\n' })...)
		}
	}
	l.folders = append(l.folders, "/lib", "/usr/lib", "/lib64", "/usr/lib64", "/usr/local/lib")
	return l
}

func (l *libraries) configured(file string, depth int) {
	text, err := os.ReadFile(file)
	if err != nil || depth > 4 {
		return
	}
	for line := range strings.Lines(string(text)) {
		line, _, _ = strings.Cut(line, "#")
		words := strings.Fields(line)
		switch {
		case len(words) == 0:
		case words[0] == "include":
			for _, pattern := range words[1:] {
				if !filepath.IsAbs(pattern) {
					pattern = filepath.Join(filepath.Dir(file), pattern)
				}
				files, _ := filepath.Glob(pattern)
				for _, f := range files {
					l.configured(f, depth+1)
				}
			}
		default:
			l.folders = append(l.folders, words[0])
		}
	}
}

// has says that a library is in one of the folders, or in one of more.
func (l *libraries) has(name string, more ...string) bool {
	return slices.ContainsFunc(slices.Concat(more, l.folders), func(folder string) bool {
		_, err := os.Stat(filepath.Join(folder, name))
		return err == nil
	})
}

// versioned says that there is a library with a number after its name.
func (l *libraries) versioned(names ...string) bool {
	return !slices.ContainsFunc(names, func(name string) bool {
		return !slices.ContainsFunc(l.folders, func(folder string) bool {
			found, _ := filepath.Glob(filepath.Join(folder, name) + ".*")
			return len(found) > 0
		})
	})
}

// binary reads a file of machine code or a script; nil: it is neither, or cannot be read. path is the application's PATH.
func (l *libraries) binary(file, path string) *Binary {
	f, err := regular.Open(file)
	if err != nil {
		return nil
	}
	defer f.Close()
	if line, ok := firstLine(f); ok {
		return script(file, line, path)
	}
	e, err := elf.NewFile(&bounded{f, mostRead})
	if err != nil {
		return nil
	}
	b := &Binary{Path: file, Machine: machineOf(e)}
	for _, p := range e.Progs {
		if p.Type == elf.PT_INTERP && p.Filesz < 4096 {
			name, err := io.ReadAll(p.Open())
			if err == nil {
				b.Interpreter = strings.TrimRight(string(name), "\x00")
				_, err = os.Stat(b.Interpreter)
				b.Lost = errors.Is(err, os.ErrNotExist)
			}
		}
	}
	needed, err := e.ImportedLibraries()
	if err != nil {
		return b
	}
	var run []string
	for _, tag := range []elf.DynTag{elf.DT_RUNPATH, elf.DT_RPATH} {
		paths, _ := e.DynString(tag)
		run = append(run, paths...)
	}
	near := folders(file, run)
	for _, name := range needed {
		if !l.has(name, near...) {
			b.Missing = append(b.Missing, name)
		}
	}
	return b
}

// folders are those where a file's own libraries lie: beside it, and where its run paths lead. $ORIGIN is where a program lies
// without symbolic links, by which /usr/bin/java finds its own.
func folders(file string, run []string) []string {
	near := []string{filepath.Dir(file)}
	if real, err := filepath.EvalSymlinks(file); err == nil && filepath.Dir(real) != near[0] {
		near = append(near, filepath.Dir(real))
	}
	for _, origin := range slices.Clone(near) {
		for _, list := range run {
			for _, p := range filepath.SplitList(list) {
				near = append(near, strings.NewReplacer("$ORIGIN", origin, "${ORIGIN}", origin).Replace(p))
			}
		}
	}
	return near
}

// firstLine gives what follows #! in the first line.
func firstLine(f io.ReaderAt) (string, bool) {
	in := bufio.NewReader(io.NewSectionReader(f, 0, 256))
	line, err := in.ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return "", false
	}
	return strings.CutPrefix(strings.TrimSuffix(line, "\n"), "#!")
}

// script says whether the program of a script's first line is there; of env it is the one that env starts.
func script(file, line, path string) *Binary {
	b := &Binary{Path: file, Script: true}
	words := strings.FieldsFunc(line, func(r rune) bool { return r == ' ' || r == '\t' })
	if len(words) == 0 {
		return b
	}
	b.Interpreter = words[0]
	_, err := os.Stat(b.Interpreter)
	b.Lost = errors.Is(err, os.ErrNotExist)
	if !b.Lost && filepath.Base(b.Interpreter) == "env" && len(words) > 1 && !strings.HasPrefix(words[1], "-") {
		b.Interpreter = words[1]
		b.Lost = !slices.ContainsFunc(filepath.SplitList(path), func(folder string) bool {
			info, err := os.Stat(filepath.Join(folder, words[1]))
			return err == nil && info.Mode()&0o111 != 0
		})
	}
	return b
}

// machineOf names an architecture as Go does.
func machineOf(e *elf.File) string {
	known := map[elf.Machine]string{elf.EM_X86_64: "amd64", elf.EM_AARCH64: "arm64", elf.EM_386: "386", elf.EM_ARM: "arm", elf.EM_RISCV: "riscv64", elf.EM_S390: "s390x", elf.EM_PPC64: "ppc64le"}
	return cmp.Or(known[e.Machine], strings.ToLower(strings.TrimPrefix(e.Machine.String(), "EM_")))
}

// mostRead is how much of a file of machine code is read, in bytes: its header, and the tables that say what it needs.
const mostRead = 64 << 20

// bounded reads no more than so many bytes, all reads together: what a file says of the size of its tables may not be so.
type bounded struct {
	in   io.ReaderAt
	left int64
}

// ReadAt implements io.ReaderAt.
func (b *bounded) ReadAt(p []byte, at int64) (int, error) {
	if b.left -= int64(len(p)); b.left < 0 {
		return 0, fmt.Errorf("has tables of more than %d bytes", int64(mostRead))
	}
	return b.in.ReadAt(p, at)
}
