package check

import (
	"cmp"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/ancora-fleet/ancora/dataplane/site"
	"github.com/ancora-fleet/ancora/dataplane/webconfig"
)

// mostNamed is how many files of a kind are named one by one.
const mostNamed = 10

// judge collects the findings about one application.
type judge struct {
	*Facts
	findings []Finding
}

// Judge says everything that the facts about an application come to.
func Judge(f *Facts) []Finding {
	j := &judge{Facts: f}
	j.problems()
	j.choice()
	j.reach()
	j.started()
	j.natives()
	j.dotnet()
	j.machine()
	j.ports()
	j.notes()
	return j.findings
}

func (j *judge) add(level Level, place, format string, args ...any) {
	j.findings = append(j.findings, Finding{level, j.Name, place, fmt.Sprintf(format, args...)})
}

// place spells where something stands in a file.
func place(file string, line, column int) string {
	if line == 0 {
		return file
	}
	return fmt.Sprintf("%s:%d:%d", file, line, column)
}

// problems are what the agent itself would refuse.
func (j *judge) problems() {
	for _, err := range j.Problems {
		all, ok := errors.AsType[webconfig.Errors](err)
		if !ok {
			j.add(Error, "", "%v", err)
		}
		for _, e := range all {
			at := place(e.File, e.Line, e.Column)
			j.add(Error, at, "%s (visitors get %s)", strings.TrimPrefix(e.Error(), at+": "), cmp.Or(e.Code, "500.19"))
		}
	}
}

// notes are those of the site's status: warnings, and what of web.config is honoured or ignored.
func (j *judge) notes() {
	all := j.Notes
	file := ""
	if j.Config != nil {
		file = j.Config.File
		if j.Plan == nil {
			all = j.Config.Notes
		}
	}
	for _, n := range all {
		level, at := Note, ""
		if n.Kind == webconfig.Warning {
			level = Warning
		}
		if n.Line > 0 {
			at = place(file, n.Line, n.Column)
		}
		j.add(level, at, "%s", n.Text)
	}
}

// choice says what would be started.
func (j *judge) choice() {
	if j.Plan == nil {
		return
	}
	model := "out of process"
	if j.Plan.InProcess {
		model = "by the rules of in-process"
	}
	if j.Plan.Profile == site.ProfileGeneric {
		model = "as any program (profile generic)"
	}
	j.add(Note, "",
		"starts %s, by %s, %s, as user %s", strings.Join(append([]string{j.Plan.Program}, j.Plan.Args...), " "), j.Plan.Chosen, model, j.User)
	if c := j.Config; c != nil && c.Section == "aspNetCore" {
		for _, h := range c.Handlers {
			if strings.EqualFold(h.Module, "AspNetCoreModule") && c.HostingModel == "" {
				j.add(Note, c.File,
					"modules=%q is the first module, which knew processes of their own only: without hostingModel that is out-of-process", h.Module)
				break
			}
		}
	}
	if j.Plan.Stdout.Path != "" {
		j.add(Warning, j.where(
			"stdoutLogEnabled"), "stdout logging is on (%s): it is meant for finding out why a start fails; 10 files of 10 MB are kept, and `logs` shows the same",
			filepath.Join(j.Plan.Stdout.Folder, j.Plan.Stdout.Path))
	}
}

// where says where an attribute of web.config stands.
func (j *judge) where(attribute string) string {
	if j.Config == nil {
		return ""
	}
	at := j.Config.Places[attribute]
	return place(at.File, at.Line, at.Column)
}

// reach is what the user may not read, and HOME.
func (j *judge) reach() {
	for i, t := range j.Unreadable {
		if i == mostNamed {
			j.add(Warning, "", "%s more cannot be read by user %s", plural(len(j.Unreadable)-i, "file or folder"), j.User)
			break
		}
		level := Warning
		switch strings.ToLower(filepath.Ext(t.Path)) {
		case ".dll", ".so", ".json", ".js", ".mjs", ".cjs", ".py", ".jar", "":
			level = Error
		}
		j.add(level, t.Path, "cannot be read by user %s: %s", j.User, t.Why)
	}
	if j.Unseen > 0 {
		j.add(Note, "", "%d entries of the folder were not looked at", j.Unseen)
	}
	if j.HomeTrouble != "" {
		j.add(Warning, j.Home,
			"is the HOME of user %s, who cannot write there (%s): keys that the application keeps there are lost at its end, and visitors are signed out", j.User, j.HomeTrouble)
	}
}

// started judges the program itself.
func (j *judge) started() {
	b := j.Started
	if b == nil {
		return
	}
	if j.NoExec {
		j.add(Error, b.Path, "lies on a file system from which nothing is executed (noexec): mount it without, or put the application elsewhere")
	}
	j.binary(b, Error)
	if j.Absent != "" {
		j.add(Error, j.where("arguments"), "%s is given %s to run, which is not there", filepath.Base(b.Path), j.Absent)
	}
}

// binary says why a file of machine code does not run here.
func (j *judge) binary(b *Binary, level Level) {
	switch {
	case b.Machine != "" && b.Machine != j.Machine.Arch:
		j.add(level, b.Path, "is for %s, and this host is %s: publish with -r %s", b.Machine, j.Machine.Arch, j.Machine.runtimeID())
		return
	case b.Lost && b.Script && strings.HasSuffix(b.Interpreter, "\r"):
		j.add(level, b.Path, "is a script with the line ends of Windows: %q is no program", b.Interpreter)
		return
	case b.Lost && b.Script:
		j.add(level, b.Path, "is a script for %s, which is not there", b.Interpreter)
		return
	case b.Lost:
		libc := map[bool]string{true: "musl", false: "glibc"}
		j.add(level, b.Path,
			"was built for %s, and this host has %s (%s is not there): publish with -r %s", libc[strings.Contains(b.Interpreter, "musl")], libc[j.Machine.Musl], b.Interpreter, j.Machine.runtimeID())
		return
	}
	if len(b.Missing) > 0 {
		j.add(level, b.Path, "needs shared libraries that are not there: %s", strings.Join(b.Missing, ", "))
	}
}

// runtimeID is what `dotnet publish -r` calls this host.
func (m Machine) runtimeID() string {
	arch := cmp.Or(map[string]string{"amd64": "x64", "386": "x86"}[m.Arch], m.Arch)
	if m.Musl {
		return "linux-musl-" + arch
	}
	return "linux-" + arch
}

func (j *judge) natives() {
	for i := range j.Natives {
		j.binary(&j.Natives[i], Error)
	}
	for _, name := range j.Foreign {
		j.add(Warning, name, "is for other systems, and the folder has no such file for %s: what needs it fails", j.Machine.runtimeID())
	}
}

// machine judges what the host lacks for the application.
func (j *judge) machine() {
	m := j.Machine
	for _, c := range m.Calls {
		if c.DotNet && j.DotNet != nil {
			j.add(Error, "",
				"the system call %s does not work here (%s), and .NET does not start without it: look at the seccomp profile of the container or the unit", c.Name, c.Why)
		}
	}
	reloads := !strings.EqualFold(j.variable("DOTNET_hostBuilder__reloadConfigOnChange"), "false")
	if j.DotNet != nil && reloads && m.WatcherLimit > 0 && j.Watchers+watchersOfOne > m.WatcherLimit {
		j.add(Error, "",
			"user %s has %d of %d inotify instances open, and an application for .NET opens %d and more: raise fs.inotify.max_user_instances, or set DOTNET_hostBuilder__reloadConfigOnChange=false",
			j.User, j.Watchers, m.WatcherLimit, watchersOfOne)
	}
}

// JudgeMachine says what of the machine concerns the agent, whatever it serves.
func JudgeMachine(m Machine) (all []Finding) {
	for _, c := range m.Calls {
		if !c.DotNet {
			all = append(all, Finding{Error, "", "", fmt.Sprintf(
				"the system call %s does not work here (%s), and the agent needs it: look at the seccomp profile of the container or the unit", c.Name, c.Why)})
		}
	}
	if old(m.Kernel) {
		all = append(all, Finding{Warning, "", "", fmt.Sprintf(
			"Linux %s is older than 4.1, from which on the kernel counts the bytes that a client has taken: clients that take next to nothing are not cut off", m.Kernel)})
	}
	return append(all, Finding{Note, "", "", fmt.Sprintf(
		"this host: Linux %s, %s; the agent is for Linux 4.1 and later, proven on amd64, and compiles for arm64", m.Kernel, m.runtimeID())})
}

// old says that a kernel lacks what the agent uses without asking.
func old(kernel string) bool {
	var major, minor int
	n, _ := fmt.Sscanf(kernel, "%d.%d", &major, &minor)
	return n == 2 && (major < 4 || major == 4 && minor < 1)
}

// watchersOfOne is how many inotify instances an application of the standard templates opens.
const watchersOfOne = 1

// ports judges what bears on the port that the application is given.
func (j *judge) ports() {
	if j.Plan == nil {
		return
	}
	if j.Plan.Port != 0 {
		j.add(Warning, "",
			"the port is fixed at %d: one instance only, and the old one ends before the new one starts, so that requests wait meanwhile", j.Plan.Port)
	}
	paired := j.Plan.Profile == site.ProfileASPNETCore
	if slices.Contains(j.Calls, "UseUrls") {
		j.add(Warning, j.assembly(),
			"calls UseUrls: addresses set in code beat the port that the application is given, and a start fails then: leave it out, or take the address from the configuration")
	}
	if code := listening(j.Calls); paired && len(code) > 0 {
		j.add(Warning, j.assembly(),
			"sets endpoints in code (%s): they are thrown away by the activation; if the application needs them, give it profile: generic", strings.Join(code, ", "))
	}
	for _, key := range j.Settings {
		if paired {
			j.add(Note, "", "appsettings.json sets %s, which loses to the port that the application is given", key)
			continue
		}
		j.add(Warning, "", "appsettings.json sets %s, which can beat the port that the application is given with profile: generic", key)
	}
}

func (j *judge) assembly() string {
	if j.DotNet == nil {
		return ""
	}
	return strings.TrimSuffix(j.DotNet.File, ".runtimeconfig.json") + ".dll"
}

func listening(calls []string) []string {
	return slices.DeleteFunc(slices.Clone(calls), func(name string) bool { return name == "UseUrls" })
}
