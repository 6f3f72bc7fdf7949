package launch

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/ancora-fleet/ancora/dataplane/regular"
)

// settingsLimit is the size of an application's .json files for .NET that are still read, in bytes.
const settingsLimit = 16 << 20

type kind int

const (
	kindNone    kind = iota // no file
	kindProgram             // executable here
	kindWindows             // begins with MZ
	kindOther               // a file, not executable
)

func kindOf(file string) kind {
	info, err := os.Stat(file)
	if err != nil || !info.Mode().IsRegular() {
		return kindNone
	}
	switch head := firstBytes(file, 4); {
	case strings.HasPrefix(head, "MZ"):
		return kindWindows
	case info.Mode()&0o111 != 0:
		return kindProgram
	}
	return kindOther
}

func firstBytes(file string, most int) string {
	f, err := regular.Open(file)
	if err != nil {
		return ""
	}
	defer f.Close()
	head := make([]byte, most)
	n, _ := io.ReadFull(f, head)
	return string(head[:n])
}

// selfContained says whether an application brings its own runtime: such a one has no framework to look for.
func selfContained(runtimeconfig string) bool {
	data, err := regular.Read(runtimeconfig, settingsLimit)
	if err != nil {
		return false
	}
	data = bytes.TrimPrefix(data, []byte("\ufeff"))
	var config struct {
		RuntimeOptions struct {
			Included []json.RawMessage `json:"includedFrameworks"`
		} `json:"runtimeOptions"`
	}
	return json.Unmarshal(data, &config) == nil && len(config.RuntimeOptions.Included) > 0
}

// ownFile is where a folder may bring its site along, in which a command can stand.
const ownFile = ".ancora/site.yaml"

// contents is what of a folder could be started.
type contents struct {
	// assemblies have a runtimeconfig.json, programs are executable, plain are programs that are not, windows are those of Windows.
	assemblies, programs, plain, windows []string
	files                                map[string]bool
}

func (f *finder) contents() (*contents, error) {
	entries, err := os.ReadDir(f.root)
	if err != nil {
		return nil, err
	}
	c := &contents{files: map[string]bool{}}
	for _, e := range entries {
		name := e.Name()
		file := filepath.Join(f.root, name)
		c.files[name] = true
		if stem, ok := strings.CutSuffix(name, ".runtimeconfig.json"); ok && exists(filepath.Join(f.root, stem+".dll")) {
			c.assemblies = append(c.assemblies, stem)
		}
		switch kind := kindOf(file); {
		case (kind == kindProgram || kind == kindOther) && firstBytes(file, 4) == "\x7fELF" && !strings.Contains(name, ".so") && name != "createdump":
			if kind == kindProgram {
				c.programs = append(c.programs, name)
			} else {
				c.plain = append(c.plain, name)
			}
		case kind == kindWindows && strings.HasSuffix(strings.ToLower(name), ".exe"):
			c.windows = append(c.windows, name)
		}
	}
	return c, nil
}

// fromFolder starts what a folder holds when nothing says what (LCH-23a): the one assembly with a runtimeconfig.json, what
// package.json names, or the one program.
func (f *finder) fromFolder(why string) (string, []string, error) {
	c, err := f.contents()
	if err != nil {
		return "", nil, err
	}
	switch len(c.assemblies) {
	case 0:
		program, args, ok, err := f.fromPackage(why)
		if ok {
			return program, args, err
		}
	case 1:
		return f.assembly(c.assemblies[0], why)
	default:
		return "", nil, fmt.Errorf("%s, and the folder holds more than one application: %s.dll", why, strings.Join(c.assemblies, ".dll, "))
	}
	switch len(c.programs) {
	case 0:
		return "", nil, fmt.Errorf(
			"%s, and the folder %s holds nothing to start: a .dll with its runtimeconfig.json, a package.json that names one, or one executable%s", why, f.root, c.instead(f.root))
	case 1:
		f.choose(c.programs[0], "the one executable", why)
		return filepath.Join(f.root, c.programs[0]), nil, nil
	}
	return "", nil, fmt.Errorf("%s, and the folder holds more than one program: %s", why, strings.Join(c.programs, ", "))
}

// instead says what to do about a folder of another kind.
func (c *contents) instead(root string) string {
	if len(c.plain) > 0 {
		return fmt.Sprintf(". %s is a program that is not executable, as after a copy from Windows: chmod +x %s", c.plain[0], filepath.Join(root, c.plain[0]))
	}
	for _, other := range []struct{ file, of, command, first string }{
		{"manage.py", "Python", `[.venv/bin/gunicorn, --bind, "127.0.0.1:${PORT}", PROJECT.wsgi]`, ""}, {"wsgi.py", "Python", `[.venv/bin/gunicorn, --bind, "127.0.0.1:${PORT}", wsgi]`, ""},
		{"app.py", "Python", `[python3, app.py]`, ""}, {"main.py", "Python", `[python3, main.py]`, ""}, {"requirements.txt", "Python", `[python3, FILE]`, ""},
		{"config.ru", "Ruby", `[bundle, exec, puma, -b, "tcp://127.0.0.1:${PORT}"]`, ""}, {"index.php", "PHP", `[php, -S, "127.0.0.1:${PORT}"]`, ""},
		{"go.mod", "Go, in source", "[./PROGRAM]", ", after go build"}, {"package.json", "Node", "[node, FILE]", ""},
		{"server.js", "Node", "[node, server.js]", ""}, {"app.js", "Node", "[node, app.js]", ""}, {"index.js", "Node", "[node, index.js]", ""},
	} {
		if c.files[other.file] {
			return looksLike(root, other.of, other.file, other.command, other.first)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(c.files)) {
		switch strings.ToLower(filepath.Ext(name)) {
		case ".jar":
			return looksLike(root, "Java", name, fmt.Sprintf("[java, -jar, %s]", name), "")
		case ".csproj", ".sln", ".fsproj":
			return fmt.Sprintf(". It is a project, not an application (%s): dotnet publish makes one of it", name)
		}
	}
	switch {
	case len(c.windows) > 0:
		return fmt.Sprintf(
			". %s is a program for Windows: an application for the .NET Framework runs there only, one for .NET runs here when it is published without --self-contained, or with -r linux-x64", c.windows[0])
	case c.files["index.html"] || c.files["index.htm"]:
		return ". These are files alone, and none are served without a program that does: give it one as command"
	case len(c.files) == 0:
		return ". It is empty"
	}
	return ""
}

// looksLike says what to write for a folder of another kind: the command, after what has to be done first, and all that has to stand
// in the folder's own file beside it.
func looksLike(root, of, file, command, first string) string {
	return fmt.Sprintf(
		". It looks like an application of %s (%s): write command: %s%s in its site file; for serve that is %s: {apiVersion: ancora/v1, kind: Site, name: %q, placement: {hosts: all}, bindings: [{listener: http}], applications: [{command: %s}]}",
		of, file, command, first, ownFile, label(filepath.Base(root)), command)
}

// label makes a name of a folder's.
func label(name string) string {
	name = strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
			return r
		}
		return '-'
	}, strings.ToLower(name))
	return cmp.Or(strings.Trim(name[:min(len(name), 63)], "-"), "site")
}

// packaged says that the folder of an application without a section is started by its package.json: its profile is generic.
func (f *finder) packaged(in Input) bool {
	if len(in.Application.Command) > 0 || in.Config != nil && in.Config.Section != "" {
		return false
	}
	c, err := f.contents()
	if err != nil || len(c.assemblies) > 0 {
		return false
	}
	quiet := *f
	quiet.note, quiet.choose = func(string, ...any) {}, func(_, _, _ string) {}
	_, _, ok, _ := quiet.fromPackage("")
	return ok
}

func (f *finder) assembly(stem, why string) (string, []string, error) {
	own := filepath.Join(f.root, stem)
	if kindOf(own) == kindProgram && selfContained(own+".runtimeconfig.json") {
		f.choose(stem, stem+".runtimeconfig.json", why)
		return own, nil, nil
	}
	if err := foreignRuntime(own); err != nil {
		return "", nil, fmt.Errorf("%s, and %w", why, err)
	}
	f.choose("dotnet "+stem+".dll", stem+".runtimeconfig.json", why)
	program, err := f.needDotnet()
	return program, []string{"./" + stem + ".dll"}, err
}

// foreignRuntime refuses an assembly that was published together with a runtime for another system: dotnet does not start such
// a one either. stem is its path without .dll.
func foreignRuntime(stem string) error {
	if !selfContained(stem+".runtimeconfig.json") || exists(filepath.Join(filepath.Dir(stem), "libhostpolicy.so")) {
		return nil
	}
	return fmt.Errorf(
		"%s.dll was published with its own .NET for %s (self-contained): publish it without --self-contained, or with -r linux-x64", filepath.Base(stem), cmp.Or(runtimeID(stem+".deps.json"), "another system"))
}

// runtimeID is the system that an assembly was published for, such as win-x64; empty: for none in particular.
func runtimeID(deps string) string {
	data, err := regular.Read(deps, settingsLimit)
	if err != nil {
		return ""
	}
	var d struct {
		RuntimeTarget struct {
			Name string `json:"name"`
		} `json:"runtimeTarget"`
	}
	if json.Unmarshal(data, &d) != nil {
		return ""
	}
	_, id, _ := strings.Cut(d.RuntimeTarget.Name, "/")
	return id
}

func exists(file string) bool {
	_, err := os.Stat(file)
	return err == nil
}

func isFile(file string) bool {
	info, err := os.Stat(file)
	return err == nil && info.Mode().IsRegular()
}
