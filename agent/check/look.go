package check

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/ancora-fleet/ancora/dataplane"
	"github.com/ancora-fleet/ancora/dataplane/regular"
	"github.com/ancora-fleet/ancora/dataplane/rootfile"
)

const (
	// mostEntries is how much of a folder is looked at; mostAssembly how much of an assembly, in bytes.
	mostEntries  = 20000
	mostAssembly = 64 << 20
)

// Look finds out about one application; name is site and path. Files are opened as the user whom it would run as.
func Look(name string, p *dataplane.Prospect, m Machine) *Facts {
	f := &Facts{Name: name, Prospect: p, Machine: m}
	if p.Root == "" || p.User == "" {
		return f
	}
	if err := rootfile.As(p.Credential, func() error { f.look(); return nil }); err != nil {
		f.Problems = append(f.Problems, fmt.Errorf("user %s: %w", p.User, err))
	}
	f.Watchers = watchers(p.UID) // other users' processes are for the agent's own to see
	return f
}

func (f *Facts) look() {
	f.home()
	env := func(string) string { return "" }
	if f.Plan != nil {
		variables := f.Plan.Environ(1, "", "")
		env = func(name string) string {
			for _, v := range variables {
				if n, value, _ := strings.Cut(v, "="); n == name {
					return value
				}
			}
			return ""
		}
	}
	libs := newLibraries(env("LD_LIBRARY_PATH"))
	f.folder(libs, env("PATH"))
	if f.Plan == nil {
		return
	}
	f.Started = libs.binary(f.Plan.Program, env("PATH"))
	var stat unix.Statfs_t
	f.Absent = absent(f.Plan)
	f.NoExec = unix.Statfs(f.Plan.Program, &stat) == nil && stat.Flags&unix.ST_NOEXEC != 0
	if f.DotNet = f.dotnet(env("DOTNET_ROOT")); f.DotNet != nil {
		f.DotNet.ICU = libs.versioned("libicuuc.so", "libicui18n.so")
		f.DotNet.OpenSSL = libs.versioned("libssl.so")
		f.runtimeFiles(libs, env)
		f.Calls = calledBy(strings.TrimSuffix(f.DotNet.File, ".runtimeconfig.json") + ".dll")
		f.Broken = settingsTrouble(f.Plan.Dir, cmp.Or(env("DOTNET_ENVIRONMENT"), env("ASPNETCORE_ENVIRONMENT"), "Production"))
	}
	f.Settings = endpointSettings(filepath.Join(f.Root, "appsettings.json"))
}

// home tries whether something can be written, by a file without a name.
func (f *Facts) home() {
	if f.OwnHome || f.Home == "" {
		return
	}
	fd, err := unix.Open(f.Home, unix.O_TMPFILE|unix.O_WRONLY|unix.O_CLOEXEC, 0o600)
	switch {
	case err == nil:
		_ = unix.Close(fd)
	case errors.Is(err, unix.EACCES), errors.Is(err, unix.EROFS), errors.Is(err, unix.ENOENT), errors.Is(err, unix.EDQUOT), errors.Is(err, unix.ENOSPC):
		f.HomeTrouble = err.Error()
	}
}

// folder looks at what lies below the root: whether it can be read, and what of it is machine code.
func (f *Facts) folder(libs *libraries, path string) {
	entries := 0
	natives := map[string][]string{} // by system, below runtimes
	_ = filepath.WalkDir(f.Root, func(file string, d fs.DirEntry, err error) error {
		if entries++; entries > mostEntries {
			f.Unseen++
			if d != nil && d.IsDir() {
				return fs.SkipDir
			}
			return nil
		}
		if err != nil {
			f.Unreadable = append(f.Unreadable, Trouble{file, plain(err)})
			return nil
		}
		below, _ := filepath.Rel(f.Root, file)
		switch {
		case d.IsDir() && (d.Name() == ".git" || below == ".ancora"):
			return fs.SkipDir
		case !d.Type().IsRegular(), strings.EqualFold(below, "web.config"), strings.EqualFold(below, "app_offline.htm"): // the agent reads these itself
			return nil
		}
		in, err := regular.Open(file)
		if err != nil {
			f.Unreadable = append(f.Unreadable, Trouble{file, plain(err)})
			return nil
		}
		_ = in.Close()
		if !strings.Contains(d.Name(), ".so") {
			return nil
		}
		parts := strings.Split(below, "/")
		switch {
		case len(parts) == 4 && parts[0] == "runtimes" && parts[2] == "native":
			natives[parts[1]] = append(natives[parts[1]], d.Name())
			if !slices.Contains(f.Machine.systems(), parts[1]) {
				return nil
			}
		case len(parts) != 1:
			return nil
		}
		if b := libs.binary(file, path); b != nil && !strings.Contains(d.Name(), "libcoreclrtraceptprovider") { // it is for tracing, and left out where lttng is not
			f.Natives = append(f.Natives, *b)
		}
		return nil
	})
	f.Foreign = foreign(f.Root, natives, f.Machine.systems())
}

// systems are the folders of runtimes that this host takes files from.
func (m Machine) systems() []string {
	own := m.runtimeID()
	all := []string{own, "linux", "unix", "any"}
	if m.Musl {
		all = append(all, strings.Replace(own, "-musl", "", 1))
	}
	return all
}

// foreign are the files for other systems of Linux that no system of this host has.
func foreign(root string, natives map[string][]string, own []string) (all []string) {
	for system, names := range natives {
		if !strings.HasPrefix(system, "linux") || slices.Contains(own, system) {
			continue
		}
		for _, name := range names {
			if !slices.ContainsFunc(own, func(o string) bool { return slices.Contains(natives[o], name) }) {
				all = append(all, filepath.Join(root, "runtimes", system, "native", name))
			}
		}
	}
	slices.Sort(all)
	return all
}

// dotnet finds the settings of an application for .NET: of an assembly that dotnet is to start, beside an apphost, in a single file.
func (f *Facts) dotnet(root string) *DotNet {
	d := &DotNet{Root: root}
	stem := f.Plan.Program
	if filepath.Base(stem) == "dotnet" {
		assembly := d.hostOptions(f.Plan.Args)
		if assembly == "" {
			return nil
		}
		written := assembly
		if !filepath.IsAbs(assembly) {
			assembly = filepath.Join(f.Plan.Dir, assembly)
		}
		d.Root = filepath.Dir(f.Plan.Program)
		stem = strings.TrimSuffix(assembly, filepath.Ext(assembly))
		d.File = stem + ".runtimeconfig.json"
		switch {
		case !strings.EqualFold(filepath.Ext(assembly), ".dll"):
			d.File, d.Trouble = f.Plan.Program, fmt.Sprintf("%q is no assembly: what else dotnet can do needs an SDK, and an application is a .dll", written)
			return d
		case !there(assembly):
			d.File, d.Trouble = assembly, "is not there: it is what dotnet is to start"
			return d
		case !there(d.File):
			d.Trouble = "is not there: without it the assembly is taken for an application with its own runtime (exit code 131)"
			return d
		}
	} else if d.File = stem + ".runtimeconfig.json"; !there(stem+".dll") || !there(d.File) {
		return d.single(f.Plan.Program)
	}
	content, err := regular.Read(d.File, settingsLimit)
	if err == nil {
		d.Config, err = ParseRuntimeConfig(content)
	}
	if err != nil {
		d.Trouble = fmt.Sprintf("cannot be read: %s (exit code 147)", plain(err))
	}
	if content, err := regular.Read(stem+".deps.json", settingsLimit); err == nil && !json.Valid(bytes.TrimPrefix(content, []byte("\ufeff"))) {
		d.File, d.Trouble = stem+".deps.json", "is no JSON (exit code 139)"
	}
	d.SelfContained = len(d.Config.Included) > 0
	d.installed()
	return d
}

// hostOptions reads what stands before the assembly, and gives it.
func (d *DotNet) hostOptions(args []string) (assembly string) {
	for i := 0; i < len(args); i++ {
		switch name := args[i]; {
		case name == "exec" && i == 0:
		case strings.HasPrefix(name, "--") && i+1 < len(args):
			i++
			switch name {
			case "--roll-forward":
				d.RollForward = args[i]
			case "--fx-version":
				d.Version = args[i]
			}
		default:
			return name
		}
	}
	return ""
}

// single reads the settings in a single file; nil: it is none.
func (d *DotNet) single(program string) *DotNet {
	file, err := regular.Open(program)
	if err != nil {
		return nil
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return nil
	}
	content, err := bundled(file, info.Size())
	if errors.Is(err, errNoBundle) {
		return nil
	}
	d.File = program
	if err == nil {
		d.Config, err = ParseRuntimeConfig(content)
	}
	if err != nil {
		d.Trouble = err.Error()
	}
	d.SelfContained = len(d.Config.Included) > 0
	d.installed()
	return d
}

// installed lists the frameworks below the root.
func (d *DotNet) installed() {
	if d.SelfContained || d.Root == "" {
		return
	}
	folders, _ := filepath.Glob(filepath.Join(d.Root, "shared", "*", "*"))
	for _, folder := range folders {
		name := filepath.Base(filepath.Dir(folder))
		if !there(filepath.Join(folder, name+".deps.json")) { // what is not whole the host does not see either
			continue
		}
		i := Installed{Reference: Reference{Name: name, Version: filepath.Base(folder)}}
		if content, err := regular.Read(filepath.Join(folder, name+".runtimeconfig.json"), settingsLimit); err == nil {
			if c, err := ParseRuntimeConfig(content); err == nil {
				for _, need := range c.Frameworks {
					if need.RollForward == "" {
						need.RollForward = c.RollForward
					}
					i.Needs = append(i.Needs, need)
				}
			}
		}
		d.Installed = append(d.Installed, i)
	}
}

// runtimeFiles looks at the machine code of the runtime that would be used.
func (f *Facts) runtimeFiles(libs *libraries, env func(string) string) {
	if f.DotNet.SelfContained {
		return // it lies in the folder, and was looked at
	}
	used, _ := f.DotNet.resolve(env)
	for _, r := range used {
		if r.Name != "Microsoft.NETCore.App" || r.found == "" {
			continue
		}
		for _, name := range []string{"libcoreclr.so", "libclrjit.so", "libhostpolicy.so", "libSystem.Native.so"} {
			if b := libs.binary(filepath.Join(f.DotNet.Root, "shared", r.Name, r.found, name), env("PATH")); b != nil {
				f.Natives = append(f.Natives, *b)
			}
		}
	}
}

// calledBy gives those names of a few that stand in an assembly's table of names: methods that it calls.
func calledBy(assembly string) (all []string) {
	file, err := regular.Open(assembly)
	if err != nil {
		return nil
	}
	defer file.Close()
	content, err := io.ReadAll(io.LimitReader(file, mostAssembly))
	if err != nil {
		return nil
	}
	for _, name := range []string{"UseUrls", "ListenAnyIP", "ListenLocalhost", "ListenUnixSocket"} {
		if bytes.Contains(content, []byte("\x00"+name+"\x00")) {
			all = append(all, name)
		}
	}
	return all
}

// endpointSettings gives the keys of appsettings.json that set addresses.
func endpointSettings(file string) (keys []string) {
	content, err := regular.Read(file, settingsLimit)
	if err != nil {
		return nil
	}
	var settings map[string]json.RawMessage
	if json.Unmarshal(strict(content), &settings) != nil {
		return nil // said by settingsTrouble
	}
	for name, value := range settings {
		var in map[string]json.RawMessage
		switch {
		case strings.EqualFold(name, "Urls"):
			keys = append(keys, name)
		case strings.EqualFold(name, "Kestrel") && json.Unmarshal(value, &in) == nil:
			for inner := range in {
				if strings.EqualFold(inner, "Endpoints") {
					keys = append(keys, name+":"+inner)
				}
			}
		}
	}
	slices.Sort(keys)
	return keys
}

func there(file string) bool {
	_, err := os.Stat(file)
	return err == nil
}

// plain takes the path out of an error.
func plain(err error) string {
	if p, ok := errors.AsType[*fs.PathError](err); ok {
		err = p.Err
	}
	return err.Error()
}
