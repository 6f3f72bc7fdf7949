package launch

import (
	"cmp"
	"errors"
	"fmt"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// finder looks for the program of an application.
type finder struct {
	root   string
	lookup func(string) (string, bool)
	path   string // PATH of the application
	dotnet string // the dotnet program; empty: none
	note   func(format string, args ...any)
	// choose is told what is started, by what of the folder it was found, and why it was looked for there.
	choose func(what, by, why string)
}

// find gives program and arguments: the site's command, else what web.config says, else what the folder holds.
func (f *finder) find(in Input) (program string, args []string, err error) {
	c := in.Config
	switch {
	case len(in.Application.Command) > 0:
		return f.command(in.Application.Command)
	case c == nil || c.File == "" && c.Section == "":
		return f.fromFolder("there is no web.config")
	case c.Section == "":
		return f.fromFolder("web.config has neither aspNetCore nor httpPlatform")
	case strings.Contains(strings.ToUpper(c.ProcessPath), "%LAUNCHER_PATH%"), strings.Contains(strings.ToLower(c.ProcessPath), "vsiisexelauncher.exe"):
		program, args, err = f.fromFolder(fmt.Sprintf("processPath=\"%s\" was never replaced", c.ProcessPath))
		return program, args, err
	}
	path, arguments := c.ProcessPath, c.Arguments
	if value := f.launcher("ANCM_LAUNCHER_PATH", in.Environ); value != "" {
		path = value
	}
	if value := f.launcher("ANCM_LAUNCHER_ARGS", in.Environ); value != "" {
		arguments = value
	}
	return f.configured(path, arguments)
}

// launcher gives a variable by which tools start something else than web.config says: the application's own, else the
// agent's.
func (f *finder) launcher(name string, environ []string) string {
	value, ok := f.lookup(name)
	for i := 0; !ok && i < len(environ); i++ {
		if n, v, _ := strings.Cut(environ[i], "="); n == name {
			value, ok = v, true
		}
	}
	if value != "" {
		f.note("%s=\"%s\" is used instead of what web.config says", name, value)
	}
	return value
}

// dotnetRoot is told to the application: without it an apphost does not find its runtime.
func (f *finder) dotnetRoot() string {
	if f.dotnet == "" {
		return ""
	}
	return filepath.Dir(f.dotnet)
}

// command takes a list as it is: no shell, no expansion. A program without a slash is one of PATH.
func (f *finder) command(command []string) (string, []string, error) {
	name, args := command[0], command[1:]
	if !strings.Contains(name, "/") {
		if name == "dotnet" && f.dotnet != "" {
			return f.dotnet, args, nil
		}
		if found := f.onPath(name); found != "" {
			return found, args, nil
		}
		return "", nil, fmt.Errorf("command: %q is not on PATH", name)
	}
	if !filepath.IsAbs(name) {
		name = filepath.Join(f.root, name)
	}
	if !exists(name) {
		return "", nil, fmt.Errorf("command: %s does not exist", name)
	}
	return name, args, nil
}

// configured finds what processPath means (LCH-3, LCH-20 to LCH-23a) and reads the arguments.
func (f *finder) configured(processPath, arguments string) (string, []string, error) {
	wanted := f.unix(processPath)
	if base := strings.TrimSuffix(strings.ToLower(path.Base(wanted)), ".exe"); base == "dotnet" && f.below(wanted) == "" {
		if !strings.EqualFold(processPath, "dotnet") {
			f.note("processPath=\"%s\": the dotnet of this host is used", processPath)
		}
		program, err := f.needDotnet()
		if strings.TrimSpace(arguments) == "" && err == nil {
			err = errors.New("processPath is dotnet and arguments is empty: the application's .dll is missing")
		}
		args := f.arguments(arguments)
		if stem, ok := f.assemblyOf(args); ok && err == nil {
			err = foreignRuntime(stem)
		}
		return program, args, err
	}
	program, args, err := f.program(processPath, wanted)
	return program, append(args, f.arguments(arguments)...), err
}

// assemblyOf gives the path, without .dll, of the assembly that dotnet is to start.
func (f *finder) assemblyOf(args []string) (stem string, ok bool) {
	if len(args) > 1 && args[0] == "exec" {
		args = args[1:]
	}
	if len(args) == 0 {
		return "", false
	}
	file := args[0]
	if !filepath.IsAbs(file) {
		file = filepath.Join(f.root, file)
	}
	return strings.CutSuffix(file, ".dll")
}

func (f *finder) needDotnet() (string, error) {
	if f.dotnet == "" {
		return "", errors.New(".NET is not found: not by the policy's dotnet, DOTNET_ROOT, PATH, /etc/dotnet/install_location, /usr/share/dotnet or /usr/lib/dotnet")
	}
	return f.dotnet, nil
}

// program finds a program that is not dotnet.
func (f *finder) program(processPath, wanted string) (string, []string, error) {
	direct := filepath.Join(f.root, wanted)
	if filepath.IsAbs(wanted) {
		direct = wanted
	}
	if program, args, err := f.runnable(direct, processPath); program != "" || err != nil {
		return program, args, err
	}
	for tail := f.shorter(wanted); tail != ""; tail = cutFirst(tail) {
		program, args, err := f.runnable(filepath.Join(f.root, tail), processPath)
		if program != "" {
			f.note("processPath=\"%s\" does not exist here: %s is used", processPath, tail)
		}
		if program != "" || err != nil {
			return program, args, err
		}
	}
	base := strings.TrimSuffix(strings.ToLower(path.Base(wanted)), ".exe")
	names := map[string][]string{"node": {"node"}, "python": {"python3", "python"}, "python3": {"python3"}, "java": {"java"}}[base]
	if wanted == path.Base(wanted) && !strings.ContainsAny(processPath, `\:`) {
		names = append(names, wanted)
	}
	for _, name := range names {
		if found := f.onPath(name); found != "" {
			if name != processPath {
				f.note("processPath=\"%s\": %s of this host is used", processPath, found)
			}
			return found, nil, nil
		}
	}
	return "", nil, fmt.Errorf("processPath=\"%s\" is not found: not below %s and not on PATH", processPath, f.root)
}

// runnable says how a file is started: as itself, or for Windows programs what stands beside them; empty: not at all.
func (f *finder) runnable(file, processPath string) (string, []string, error) {
	kind := kindOf(file)
	if kind == kindProgram {
		return file, nil, nil
	}
	stem := file
	if strings.HasSuffix(strings.ToLower(file), ".exe") {
		stem = file[:len(file)-len(".exe")]
	}
	if kind == kindNone || kind == kindWindows {
		if exists(stem+".dll") && exists(stem+".runtimeconfig.json") && (!selfContained(stem+".runtimeconfig.json") || kindOf(stem) != kindProgram) {
			if kindOf(stem) == kindProgram && stem != file {
				f.note("processPath=\"%s\": %s is started by dotnet", processPath, filepath.Base(stem)+".dll")
			} else {
				f.note("processPath=\"%s\" is not a program for Linux: %s is started by dotnet", processPath, filepath.Base(stem)+".dll")
			}
			program, err := f.needDotnet()
			return program, []string{f.relative(stem + ".dll")}, cmp.Or(foreignRuntime(stem), err)
		}
		if stem != file && kindOf(stem) == kindProgram {
			f.note("processPath=\"%s\": %s is started", processPath, filepath.Base(stem))
			return stem, nil, nil
		}
	}
	switch kind {
	case kindWindows:
		return "", nil, fmt.Errorf("processPath=\"%s\" is a program for Windows, and there is no %s with its runtimeconfig.json beside it: publish it without --self-contained, or with -r linux-x64", processPath, filepath.Base(stem)+".dll")
	case kindOther:
		return "", nil, fmt.Errorf("processPath=\"%s\" is not executable: chmod +x %s", processPath, file)
	}
	return "", nil, nil
}

// arguments reads the attribute: the whole string as one path first, else divided as Windows does (LCH-22).
func (f *finder) arguments(line string) []string {
	line = strings.TrimSpace(expand(line, f.lookup))
	if line == "" {
		return nil
	}
	if tail := f.below(slashes(line)); tail != "" {
		return []string{"./" + tail}
	}
	args := split(line)
	if slices.Contains(args, "--urls") {
		f.note("argument --urls loses to the port that the application is given")
	}
	for i, a := range args {
		if !strings.Contains(a, `\`) {
			continue
		}
		unix := f.unix(a)
		if rest, ok := strings.CutPrefix(a, `.\`); ok {
			args[i] = "./" + slashes(rest)
			continue
		}
		if tail := f.tail(unix); tail != "" {
			f.note("argument \"%s\": ./%s is meant", a, tail)
			args[i] = "./" + tail
		} else if windowsPath(a) {
			f.note("argument \"%s\" is a Windows path and is passed as it is", a)
		}
	}
	return args
}

// unix expands a path of web.config and spells it as this system does, without a drive.
func (f *finder) unix(p string) string {
	p = slashes(strings.TrimSpace(expand(p, f.lookup)))
	const azure = "/site/wwwroot"
	if home, ok := f.lookup("HOME"); ok && strings.HasPrefix(strings.ToLower(p), strings.ToLower(home+azure)) {
		return path.Join(f.root, p[len(home+azure):])
	}
	if len(p) > 1 && p[1] == ':' {
		return path.Clean(p[2:])
	}
	return path.Clean(p)
}

// below gives a path relative to the root if such a file exists below it.
func (f *finder) below(p string) string {
	full := filepath.Join(f.root, p)
	if filepath.IsAbs(p) {
		full = p
	}
	if rest, inside := strings.CutPrefix(path.Clean(full), f.root+"/"); inside && isFile(full) {
		return rest
	}
	return ""
}

// tail gives the longest end of a path that exists below the root.
func (f *finder) tail(p string) string {
	if t := f.below(p); t != "" {
		return t
	}
	for t := f.shorter(p); t != ""; t = cutFirst(t) {
		if f.below(t) != "" {
			return t
		}
	}
	return ""
}

// shorter begins the search for an end: without the root's slash, virtual environments as Linux has them.
func (f *finder) shorter(p string) string {
	if rest, inside := strings.CutPrefix(p, f.root+"/"); inside {
		p = rest
	}
	p = strings.TrimPrefix(strings.TrimLeft(p, "/"), "./")
	if rest, windows := strings.CutPrefix(p, "Scripts/"); windows {
		return "bin/" + rest
	}
	return strings.ReplaceAll(p, "/Scripts/", "/bin/")
}

func cutFirst(p string) string {
	_, rest, _ := strings.Cut(p, "/")
	return rest
}

func (f *finder) relative(file string) string {
	if rest, inside := strings.CutPrefix(file, f.root+"/"); inside {
		return "./" + rest
	}
	return file
}

func (f *finder) onPath(name string) string {
	for _, dir := range filepath.SplitList(f.path) {
		if filepath.IsAbs(dir) && executable(filepath.Join(dir, name)) != "" {
			return filepath.Join(dir, name)
		}
	}
	return ""
}

func slashes(p string) string { return strings.ReplaceAll(p, `\`, "/") }
