package launch

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/ancora-fleet/ancora/dataplane/regular"
)

// packageLimit is the size of a package.json that is still read, in bytes.
const packageLimit = 1 << 20

// manifest is what of a package.json says how the application starts.
type manifest struct {
	Main    lenient            `json:"main"`
	Scripts map[string]lenient `json:"scripts"`
}

// lenient is a text, or why it is none: what is not asked for may be written in any way.
type lenient struct {
	text string
	err  error
}

// UnmarshalJSON implements json.Unmarshaler.
func (l *lenient) UnmarshalJSON(data []byte) error {
	l.err = json.Unmarshal(data, &l.text)
	return nil
}

// fromPackage starts what package.json names: scripts.start, else main, else what npm and node take when neither is there. A script
// is divided into words and its program executed itself, never by a shell or npm: the process that is watched is the
// application's own. ok is false when the folder has no package.json, or one that names nothing.
func (f *finder) fromPackage(why string) (program string, args []string, ok bool, err error) {
	m, err := readManifest(filepath.Join(f.root, "package.json"))
	switch {
	case errors.Is(err, os.ErrNotExist):
		return "", nil, false, nil
	case err != nil:
		return "", nil, true, err
	}
	start := m.Scripts["start"]
	if start.err != nil {
		return "", nil, true, fmt.Errorf("package.json: scripts.start: %w", start.err)
	}
	if script := strings.TrimSpace(start.text); script != "" {
		program, args, err = f.script(script)
		if err != nil {
			return "", nil, true, fmt.Errorf("%s, and package.json: scripts.start %q %w", why, script, err)
		}
		for _, beside := range []string{"prestart", "poststart"} {
			if m.Scripts[beside].text != "" {
				f.note("package.json: %s is not run: it is for npm, which is not used", beside)
			}
		}
		f.choose(script, "scripts.start of package.json", why)
		return program, args, true, nil
	}
	for _, file := range []string{m.Main.text, "server.js", "index.js"} {
		if file = f.module(file); file == "" {
			continue
		}
		if program, err = f.node(); err != nil {
			return "", nil, true, fmt.Errorf("%s, and package.json: %w", why, err)
		}
		f.choose("node "+file, "package.json, which has no scripts.start", why)
		return program, []string{"./" + file}, true, nil
	}
	return "", nil, false, nil
}

func readManifest(file string) (*manifest, error) {
	data, err := regular.Read(file, packageLimit)
	if err != nil {
		return nil, err
	}
	m := &manifest{}
	if err := json.Unmarshal(bytes.TrimPrefix(data, []byte("\ufeff")), m); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return m, nil
}

// module finds a file below the root as node does: itself, with .js, index.js in a folder.
func (f *finder) module(name string) string {
	if name == "" {
		return ""
	}
	for _, file := range []string{name, name + ".js", filepath.Join(name, "index.js")} {
		if found := f.below(file); found != "" {
			return found
		}
	}
	return ""
}

func (f *finder) node() (string, error) {
	if found := f.onPath("node"); found != "" {
		return found, nil
	}
	return "", fmt.Errorf("node is not on PATH (%s)", f.path)
}

// script finds what the words of a script start.
func (f *finder) script(script string) (string, []string, error) {
	words, ok := words(script)
	if !ok {
		return "", nil, fmt.Errorf("needs a shell, and none is used: write what it does as command in %s", ownFile)
	}
	name, args := words[0], words[1:]
	switch {
	case name == "node" || name == "nodejs":
		program, err := f.node()
		return program, args, err
	case slices.Contains([]string{"npm", "npx", "yarn", "pnpm"}, name):
		return "", nil, fmt.Errorf("starts the application by way of %s, which would be watched in its place: write the program itself as command in %s", name, ownFile)
	case strings.Contains(name, "/"):
		file := f.below(name)
		if file == "" || kindOf(filepath.Join(f.root, file)) != kindProgram {
			return "", nil, fmt.Errorf("names no program: %s is not below %s, or not executable", name, f.root)
		}
		return filepath.Join(f.root, file), args, nil
	}
	if program, args, err := f.tool(name, args); program != "" || err != nil {
		return program, args, err
	}
	if found := f.onPath(name); found != "" {
		return found, args, nil
	}
	return "", nil, fmt.Errorf("names no program: %s is neither in node_modules/.bin nor on PATH: run npm ci in the folder, or write the program itself as command in %s%s", name, ownFile, f.standalone())
}

// standalone says what a folder that was built to do without its tools, as that of Next.js, is started by.
func (f *finder) standalone() string {
	if f.below("server.js") == "" {
		return ""
	}
	return " (server.js is there: [node, server.js])"
}

// tool is a program that a package brings along: npm puts it on the PATH of scripts.
func (f *finder) tool(name string, args []string) (string, []string, error) {
	link := filepath.Join(f.root, "node_modules", ".bin", name)
	file, err := filepath.EvalSymlinks(link)
	if err != nil {
		return "", nil, nil
	}
	line, _, _ := strings.Cut(firstBytes(file, 128), "\n")
	switch {
	case strings.HasPrefix(line, "#!") && strings.Contains(line, "node"):
		program, err := f.node()
		return program, append([]string{f.relative(file)}, args...), err
	case strings.HasPrefix(line, "\x7fELF"):
		return file, args, nil
	}
	return "", nil, fmt.Errorf("starts %s, which is a shell's script: write the program itself as command in %s", f.relative(link), ownFile)
}

// words divides a script as a shell would; false: only a shell can, or there is none.
func words(script string) ([]string, bool) {
	var all []string
	var word strings.Builder
	inside, quote := false, rune(0)
	for _, ch := range script {
		switch {
		case ch == quote && quote != 0:
			quote = 0
		case quote == '\'':
			word.WriteRune(ch)
		case strings.ContainsRune("$`\\\n", ch):
			return nil, false
		case quote != 0:
			word.WriteRune(ch)
		case ch == '"' || ch == '\'':
			inside, quote = true, ch
		case ch == ' ' || ch == '\t':
			if inside {
				all = append(all, word.String())
				word.Reset()
				inside = false
			}
		case strings.ContainsRune("|&;<>()*?[]{}", ch), (ch == '~' || ch == '#') && !inside, ch == '=' && len(all) == 0:
			return nil, false
		default:
			inside = true
			word.WriteRune(ch)
		}
	}
	if inside {
		all = append(all, word.String())
	}
	return all, quote == 0 && len(all) > 0 && all[0] != ""
}
