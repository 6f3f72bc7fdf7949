package launch

import (
	"fmt"
	"path"
	"path/filepath"
	"strings"

	"github.com/ancora-fleet/ancora/dataplane/debuglog"
)

// File is a place for a log: Path lies below Folder and has slashes. Without a path there is none.
type File struct{ Folder, Path string }

// Debug is what debugLevel and debugFile ask for (DBG-1 to DBG-3).
type Debug struct {
	Level debuglog.Level
	debuglog.Sinks
	// Place is where lines go; First holds before the settings of web.config are read, when the environment names another.
	Place, First File
}

const (
	stdoutAspNetCore   = `.\aspnetcore-stdout` // LOG-1
	stdoutHTTPPlatform = `.\httpplatform-stdout`
	debugDefault       = `.\aspnetcore-debug.log` // DBG-3
)

// logs says where output and debug log go.
func (p *Plan) logs(in Input) {
	c := in.Config
	if c != nil && c.StdoutLogEnabled {
		p.Stdout = p.file(in, "stdoutLogFile", c.StdoutLogFile, stdoutDefault(c.Section))
	}
	if c != nil && !c.StdoutLogEnabled && !c.InProcess {
		if p.Silent = strings.EqualFold(strings.TrimSpace(c.Settings["enableoutofprocessconsoleredirection"]), "false"); p.Silent {
			p.note("enableOutOfProcessConsoleRedirection=false: what the application prints is not kept, and logs shows none of it")
		}
	}
	p.debug(in)
}

func stdoutDefault(section string) string {
	if section == "httpPlatform" {
		return stdoutHTTPPlatform
	}
	return stdoutAspNetCore
}

// debug joins what the environment and web.config ask for (DBG-2).
func (p *Plan) debug(in Input) {
	var settings map[string]string
	if in.Config != nil {
		settings = in.Config.Settings
	}
	early := p.levels("ASPNETCORE_MODULE_DEBUG", p.variable("ASPNETCORE_MODULE_DEBUG"))
	late := p.levels("debugLevel", settings["debuglevel"])
	d := Debug{Level: max(early.Level, late.Level)}
	if d.Level == debuglog.Off {
		return
	}
	d.Sinks = debuglog.Sinks{Console: early.Console || late.Console, Events: early.Events || late.Events, File: early.File || late.File}
	first, last := p.variable("ASPNETCORE_MODULE_DEBUG_FILE"), settings["debugfile"]
	if d.Sinks == (debuglog.Sinks{}) {
		// Levels alone name no sink: a file that is named is meant, else what the agent itself writes to.
		d.File, d.Console = first != "" || last != "", first == "" && last == ""
	}
	if d.File {
		if early.Level != debuglog.Off {
			d.First = p.debugFile(in, "ASPNETCORE_MODULE_DEBUG_FILE", first)
		}
		d.Place = d.First
		if last != "" || d.First.Path == "" {
			d.Place = p.debugFile(in, "debugFile", last)
		}
		d.File = d.Place.Path != ""
	}
	p.Debug = d
	p.warn("the debug log is on (%v): it is meant for a while, and shows to whoever can read it what happens in the application", d.Level)
}

// debugFile reads the path of a debug log, to which no name is added.
func (p *Plan) debugFile(in Input, name, written string) File {
	f := p.file(in, name, written, debugDefault)
	if strings.HasSuffix(f.Path, "/") {
		p.warn("%s=\"%s\" names a folder, not a file: no file is written", name, written)
		return File{}
	}
	return f
}

// levels reads one source of levels and sinks.
func (p *Plan) levels(name, text string) (d Debug) {
	var unknown []string
	d.Level, d.Sinks, unknown = debuglog.Parse(text)
	for _, word := range unknown {
		p.warn("%s=\"%s\": %s is no level (ERROR, WARNING, INFO, TRACE) and no sink (FILE, EVENTLOG, CONSOLE)", name, text, word)
	}
	return d
}

// file reads the path of a log and says what it is taken for.
func (p *Plan) file(in Input, name, written, otherwise string) File {
	if strings.TrimSpace(written) == "" {
		written = otherwise
	}
	home, root := p.home(in.Roots), in.Root
	f, said, err := logFile(written, root, home, p.lookup)
	switch {
	case err != nil:
		trouble := fmt.Sprintf("%s=\"%s\" %v: no file is written", name, written, err)
		p.warn("%s", trouble)
		if name == "stdoutLogFile" {
			p.StdoutTrouble = trouble
		}
		return File{}
	case said != "":
		p.note("%s=\"%s\" %s: it is written to %s", name, written, said, filepath.Join(f.Folder, f.Path))
	}
	return f
}

// home gives the user's HOME, symbolic links resolved, when the policy lets applications write there.
func (p *Plan) home(roots []string) string {
	for _, v := range p.inherited {
		value, ok := strings.CutPrefix(v, "HOME=")
		if !ok {
			continue
		}
		home := truePath(value)
		for _, root := range roots {
			if _, below := relative(truePath(root), home); below {
				return home
			}
		}
	}
	return ""
}

// truePath resolves symbolic links as far as there is something to resolve.
func truePath(path string) string {
	if real, err := filepath.EvalSymlinks(path); err == nil {
		return real
	}
	return filepath.Clean(path)
}

// logFile finds the place below root that a path of web.config means: drives, shares and a leading slash are dropped, what
// leads above root is an error. Below home, when that is not empty, lies only what begins with %home% (Azure's form). said
// tells what of the path does not hold.
func logFile(written, root, home string, lookup func(string) (string, bool)) (f File, said string, err error) {
	text := strings.TrimSpace(written)
	for _, prefix := range []string{`\\?\`, `\\.\`, `//?/`} {
		text = strings.TrimPrefix(text, prefix)
	}
	f.Folder = root
	if rest, ok := underHome(text); ok {
		switch tail, inRoot := wwwroot(rest); {
		case inRoot:
			text = tail
		case home != "":
			f.Folder, text = home, rest
		default:
			text, said = rest, "is not below the home of its user, which the policy does not open to it"
		}
	}
	text = strings.ReplaceAll(expand(text, lookup), `\`, "/")
	if strings.ContainsRune(text, 0) {
		return File{}, "", fmt.Errorf("holds a NUL character")
	}
	if rest, ok := relative(root, text); ok && strings.HasPrefix(text, "/") {
		text = rest
	} else if rest := unrooted(text); rest != text {
		text, said = rest, "lies below the application's folder"
	}
	if f.Path, err = below(text); err != nil {
		return File{}, "", err
	}
	return f, said, nil
}

// underHome takes %home% in any case off the beginning of a path.
func underHome(text string) (rest string, ok bool) {
	const name = "%home%"
	if len(text) < len(name) || !strings.EqualFold(text[:len(name)], name) {
		return "", false
	}
	rest = text[len(name):]
	if rest != "" && rest[0] != '\\' && rest[0] != '/' {
		return "", false
	}
	return strings.TrimLeft(rest, `\/`), true
}

// wwwroot takes off where App Service has the application's folder below its home.
func wwwroot(rest string) (tail string, ok bool) {
	const place = "site/wwwroot/"
	if len(rest) < len(place) || !strings.EqualFold(strings.ReplaceAll(rest[:len(place)], `\`, "/"), place) {
		return "", false
	}
	return rest[len(place):], true
}

// relative gives path below root.
func relative(root, path string) (rest string, ok bool) {
	if path == root {
		return "", true
	}
	return strings.CutPrefix(path, strings.TrimSuffix(root, "/")+"/")
}

// unrooted drops a drive, a share's server and name, and leading slashes.
func unrooted(text string) string {
	if strings.HasPrefix(text, "//") {
		parts := strings.SplitN(strings.TrimLeft(text, "/"), "/", 3)
		text = parts[len(parts)-1]
	}
	if len(text) >= 2 && text[1] == ':' && (text[0]|0x20) >= 'a' && (text[0]|0x20) <= 'z' {
		text = text[2:]
	}
	return strings.TrimLeft(text, "/")
}

// below cleans a path that must not lead above its folder. A slash at the end stays: a name is
// added to it.
func below(text string) (string, error) {
	var parts []string
	for part := range strings.SplitSeq(text, "/") {
		switch part {
		case "", ".":
		case "..":
			if len(parts) == 0 {
				return "", fmt.Errorf("leads out of the application's folder")
			}
			parts = parts[:len(parts)-1]
		default:
			parts = append(parts, part)
		}
	}
	if len(parts) == 0 {
		return "", fmt.Errorf("names no file")
	}
	clean := path.Join(parts...)
	if strings.HasSuffix(text, "/") {
		clean += "/"
	}
	return clean, nil
}

// logPrint is what of the logs an instance cannot change while it runs.
func (p *Plan) logPrint() []string {
	if p.Stdout.Path == "" && !p.Silent && p.Debug.Level == debuglog.Off {
		return nil
	}
	return []string{"\x00logs", p.Stdout.Folder, p.Stdout.Path, fmt.Sprint(p.Silent, p.Debug)}
}
