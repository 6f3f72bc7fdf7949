package launch

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
)

type kind int

const (
	kindNone    kind = iota // no file
	kindProgram             // executable here
	kindWindows             // begins with MZ
	kindOther               // a file, not executable
)

func kindOf(file string) kind {
	info, err := os.Stat(file)
	if err != nil || info.IsDir() {
		return kindNone
	}
	switch head := firstBytes(file); {
	case strings.HasPrefix(head, "MZ"):
		return kindWindows
	case info.Mode()&0o111 != 0:
		return kindProgram
	}
	return kindOther
}

func firstBytes(file string) string {
	f, err := os.Open(file)
	if err != nil {
		return ""
	}
	defer f.Close()
	head := make([]byte, 4)
	n, _ := io.ReadFull(f, head)
	return string(head[:n])
}

// selfContained says whether an application brings its own runtime: such a one has no framework to look for.
func selfContained(runtimeconfig string) bool {
	data, err := os.ReadFile(runtimeconfig)
	if err != nil {
		return false
	}
	var config struct {
		RuntimeOptions struct {
			Included []json.RawMessage `json:"includedFrameworks"`
		} `json:"runtimeOptions"`
	}
	return json.Unmarshal(data, &config) == nil && len(config.RuntimeOptions.Included) > 0
}

// fromFolder starts what a folder holds when nothing says what (LCH-23a): the one assembly with a runtimeconfig.json, or
// the one program.
func (f *finder) fromFolder(why string) (string, []string, error) {
	entries, err := os.ReadDir(f.root)
	if err != nil {
		return "", nil, err
	}
	var assemblies, programs []string
	for _, e := range entries {
		name := e.Name()
		file := filepath.Join(f.root, name)
		if stem, ok := strings.CutSuffix(name, ".runtimeconfig.json"); ok && exists(filepath.Join(f.root, stem+".dll")) {
			assemblies = append(assemblies, stem)
		}
		if kindOf(file) == kindProgram && firstBytes(file) == "\x7fELF" && !strings.Contains(name, ".so") && name != "createdump" {
			programs = append(programs, name)
		}
	}
	switch {
	case len(assemblies) == 1:
		return f.assembly(assemblies[0], why)
	case len(assemblies) > 1:
		return "", nil, fmt.Errorf("%s, and the folder holds more than one application: %s.dll", why, strings.Join(assemblies, ".dll, "))
	case len(programs) == 1:
		f.note("%s: %s is started", why, programs[0])
		return filepath.Join(f.root, programs[0]), nil, nil
	case len(programs) > 1:
		return "", nil, fmt.Errorf("%s, and the folder holds more than one program: %s", why, strings.Join(programs, ", "))
	}
	return "", nil, fmt.Errorf("%s, and the folder %s holds nothing to start: a .dll with its runtimeconfig.json, or one executable", why, f.root)
}

func (f *finder) assembly(stem, why string) (string, []string, error) {
	own := filepath.Join(f.root, stem)
	if kindOf(own) == kindProgram && selfContained(own+".runtimeconfig.json") {
		f.note("%s: %s is started", why, stem)
		return own, nil, nil
	}
	f.note("%s: %s.dll is started by dotnet", why, stem)
	program, err := f.needDotnet()
	return program, []string{"./" + stem + ".dll"}, err
}

func exists(file string) bool {
	_, err := os.Stat(file)
	return err == nil
}

func isFile(file string) bool {
	info, err := os.Stat(file)
	return err == nil && info.Mode().IsRegular()
}
