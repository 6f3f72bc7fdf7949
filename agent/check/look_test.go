package check

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/ancora-fleet/ancora/dataplane"
	"github.com/ancora-fleet/ancora/dataplane/launch"
	"github.com/ancora-fleet/ancora/dataplane/process"
)

// single is a single file with these settings in it.
func single(settings string) []byte {
	var b bytes.Buffer
	b.WriteString("\x7fELF some code")
	place := b.Len()
	b.Write(make([]byte, 8))
	b.Write(bundleSignature())
	b.WriteString("more code")
	at := b.Len()
	b.WriteString(settings)
	head := b.Len()
	_ = binary.Write(&b, binary.LittleEndian, struct {
		Major, Minor uint32
		Files        int32
	}{6, 0, 2})
	b.WriteString("\x04name")
	_ = binary.Write(&b, binary.LittleEndian, []int64{1, 1, int64(at), int64(len(settings))})
	binary.LittleEndian.PutUint64(b.Bytes()[place:], uint64(head))
	return b.Bytes()
}

// The settings of a single file are found in it; a program that is none, or a damaged one, is told from it.
func TestBundle(t *testing.T) {
	good := single(`{"runtimeOptions":{}}`)
	got, err := bundled(bytes.NewReader(good), int64(len(good)))
	if err != nil || string(got) != `{"runtimeOptions":{}}` {
		t.Errorf("%q, %v", got, err)
	}
	far := append(make([]byte, 64<<10-20), good...) // the signature lies across two pieces that are read
	if _, err := bundled(bytes.NewReader(far), int64(len(far))); err == nil || strings.Contains(err.Error(), errNoBundle.Error()) {
		t.Errorf("the header's place is of another file, so it must be damaged: %v", err)
	}
	long := slices.Clone(good)
	copy(long[bytes.Index(long, []byte("\x04name")):], "\xff\x7f")
	if _, err := bundled(bytes.NewReader(long), int64(len(long))); err == nil || err.Error() != "is a damaged single file: a name of 16383 bytes" {
		t.Errorf("%v", err)
	}
	for name, content := range map[string][]byte{"no host": []byte("\x7fELF"), "a host alone": append(make([]byte, 8), bundleSignature()...)} {
		if _, err := bundled(bytes.NewReader(content), int64(len(content))); err != errNoBundle {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzBundle(f *testing.F) {
	good := single(`{"runtimeOptions":{}}`)
	f.Add(good)
	f.Add(good[:len(good)-9])
	f.Fuzz(func(t *testing.T, content []byte) {
		got, err := bundled(bytes.NewReader(content), int64(len(content)))
		if err == nil && (len(got) == 0 || !bytes.Contains(content, got)) {
			t.Errorf("%q is not in it", got)
		}
	})
}

// Files of machine code and scripts, as they are on this host.
func TestBinaries(t *testing.T) {
	dir := t.TempDir()
	own, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	foreign := slices.Clone(own)
	foreign[18] = 0xb7 // EM_AARCH64
	if runtime.GOARCH == "arm64" {
		foreign[18] = 0x3e
	}
	libs := newLibraries("")
	for name, c := range map[string]struct {
		content string
		want    *Binary
	}{
		"own":     {string(own), &Binary{Machine: runtime.GOARCH}},
		"foreign": {string(foreign), &Binary{Machine: map[bool]string{true: "amd64", false: "arm64"}[runtime.GOARCH == "arm64"]}},
		"text":    {"hello", nil},
		"empty":   {"", nil},
		"sh":      {"#!/bin/sh\nexit\n", &Binary{Script: true, Interpreter: "/bin/sh"}},
		"crlf":    {"#!/bin/sh\r\nexit\r\n", &Binary{Script: true, Interpreter: "/bin/sh\r", Lost: true}},
		"env":     {"#!/usr/bin/env  tool\n", &Binary{Script: true, Interpreter: "tool"}},
		"env, no": {"#! /usr/bin/env other-tool", &Binary{Script: true, Interpreter: "other-tool", Lost: true}},
		"lost":    {"#!/no/such/program -x\n", &Binary{Script: true, Interpreter: "/no/such/program", Lost: true}},
	} {
		file := put(t, dir, name, c.content)
		put(t, dir, "bin/tool", "")
		if err := os.Chmod(filepath.Join(dir, "bin/tool"), 0o755); err != nil {
			t.Fatal(err)
		}
		got := libs.binary(file, filepath.Join(dir, "bin"))
		if got != nil { // what a test's program needs is not the same everywhere
			got.Path, got.Missing = "", nil
			if !got.Script {
				got.Interpreter = ""
			}
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

// A library counts as there beside who needs it, in the application's path, or where the loader looks by itself.
func TestLibraries(t *testing.T) {
	dir := t.TempDir()
	put(t, dir, "libown.so.3", "")
	put(t, dir, "conf/a.conf", dir+"/listed # why\n")
	put(t, dir, "listed/liblisted.so.1", "")
	l := &libraries{}
	l.configured(put(t, dir, "ld.so.conf", "include conf/*.conf\n"), 0)
	if !l.has("liblisted.so.1") || l.has("libown.so.3") || !l.has("libown.so.3", dir) || !newLibraries(dir).has("libown.so.3") {
		t.Errorf("%+v", l)
	}
	if !newLibraries(dir).versioned("libown.so") || newLibraries(dir).versioned("libown.so", "libnothere.so") {
		t.Error("a name with a number is not found, or one that is not there is")
	}
}

// A program that is reached by a symbolic link, as /usr/bin/java is, has its libraries where it lies itself.
func TestOrigin(t *testing.T) {
	dir := t.TempDir()
	put(t, dir, "jvm/bin/java", "")
	put(t, dir, "jvm/lib/libjli.so", "")
	link := filepath.Join(dir, "java")
	if err := os.Symlink(filepath.Join("jvm", "bin", "java"), link); err != nil {
		t.Fatal(err)
	}
	l := &libraries{}
	if near := folders(link, []string{"/none:${ORIGIN}/../lib"}); !l.has("libjli.so", near...) || !slices.Contains(near, "/none") {
		t.Errorf("%v", near)
	}
	if near := folders(link, nil); l.has("libjli.so", near...) {
		t.Errorf("without a run path: %v", near)
	}
}

// Everything about a folder, as the user whom its application would run as.
func TestLook(t *testing.T) {
	root, err := os.MkdirTemp("", "ancora-look-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(root) })
	if err := os.Chmod(root, 0o755); err != nil {
		t.Fatal(err)
	}
	put(t, root, "Shop.dll", "MZ\x00UseUrls\x00Other\x00")
	put(t, root, "Shop.runtimeconfig.json", `{"runtimeOptions": {"framework": {"name": "A", "version": "1.0.0"}, "configProperties": {"System.Globalization.Invariant": true}}}`)
	put(t, root, "appsettings.json", `{"kestrel": {"EndPoints": {}}, "URLS": "http://*:80", "Logging": {}}`)
	put(t, root, "runtimes/linux-arm64/native/libboth.so", "")
	put(t, root, "runtimes/linux-arm64/native/libonly.so", "")
	put(t, root, "runtimes/linux-x64/native/libboth.so", "")
	put(t, root, "runtimes/win-x64/native/libonly.dll", "")
	put(t, root, "dotnet/shared/A/1.0.2/A.deps.json", "{}")
	put(t, root, "dotnet/shared/A/1.0.2/A.runtimeconfig.json", `{"runtimeOptions": {"rollForward": "LatestPatch", "framework": {"name": "B", "version": "1.0.2"}}}`)
	put(t, root, "dotnet/shared/A/1.0.3/half.txt", "not whole")
	for _, secret := range []string{"secret.json", "web.config", ".git/config"} {
		if err := os.Chmod(put(t, root, secret, "x"), 0); err != nil {
			t.Fatal(err)
		}
	}
	p := &dataplane.Prospect{
		Root: root, User: "65534", UID: 65534, Home: filepath.Join(root, "runtimes"),
		Plan: &launch.Plan{Program: root + "/dotnet/dotnet", Args: []string{"exec", "--roll-forward", "Major", "Shop.dll", "--x"}, Dir: root},
	}
	if os.Geteuid() == 0 {
		p.Credential = &process.Credential{UID: 65534, GID: 65534, Groups: []uint32{65534}}
	} else if err := os.Chmod(p.Home, 0o500); err != nil {
		t.Fatal(err)
	}
	f := Look("shop/", p, Machine{Arch: "amd64"})
	if want := []Trouble{{root + "/secret.json", "permission denied"}}; !slices.Equal(f.Unreadable, want) {
		t.Errorf("unreadable %v", f.Unreadable)
	}
	if f.HomeTrouble != "permission denied" {
		t.Errorf("home: %q", f.HomeTrouble)
	}
	if want := []string{root + "/runtimes/linux-arm64/native/libonly.so"}; !slices.Equal(f.Foreign, want) {
		t.Errorf("foreign %v", f.Foreign)
	}
	if !slices.Equal(f.Calls, []string{"UseUrls"}) || !slices.Equal(f.Settings, []string{"URLS", "kestrel:EndPoints"}) {
		t.Errorf("calls %v, settings %v", f.Calls, f.Settings)
	}
	want := []Installed{{Reference{Name: "A", Version: "1.0.2"}, []Reference{{"B", "1.0.2", "LatestPatch"}}}}
	if d := f.DotNet; d == nil || d.RollForward != "Major" || d.File != root+"/Shop.runtimeconfig.json" || d.Trouble != "" || cmp.Diff(want, d.Installed) != "" {
		t.Errorf("%+v", d)
	}
	if _, err := os.Stat(filepath.Join(p.Home, "x")); err == nil {
		t.Error("something was written")
	}
}

// What is wrong with the files of an application for .NET, by what the real host ends with.
func TestDotNetFiles(t *testing.T) {
	for name, c := range map[string]struct {
		files map[string]string
		args  []string
		want  string
	}{
		"no assembly":   {nil, []string{"./Shop.dll"}, "is not there: it is what dotnet is to start"},
		"no settings":   {map[string]string{"Shop.dll": ""}, []string{"./Shop.dll"}, "exit code 131"},
		"settings":      {map[string]string{"Shop.dll": "", "Shop.runtimeconfig.json": "{"}, []string{"Shop.dll"}, "exit code 147"},
		"deps":          {map[string]string{"Shop.dll": "", "Shop.runtimeconfig.json": "{}", "Shop.deps.json": "{"}, []string{"Shop.dll"}, "exit code 139"},
		"SDK":           {nil, []string{"run"}, `"run" is no assembly`},
		"nothing wrong": {map[string]string{"Shop.dll": "", "Shop.runtimeconfig.json": "{}", "Shop.deps.json": "\ufeff{}"}, []string{"Shop.dll"}, ""},
	} {
		root := t.TempDir()
		for file, content := range c.files {
			put(t, root, file, content)
		}
		f := &Facts{Prospect: &dataplane.Prospect{Root: root, Plan: &launch.Plan{Program: "/opt/dotnet", Args: c.args, Dir: root}}}
		d := f.dotnet("")
		if d == nil || (c.want == "") != (d.Trouble == "") || !strings.Contains(d.Trouble, c.want) {
			t.Errorf("%s: %+v", name, d)
		}
	}
	f := &Facts{Prospect: &dataplane.Prospect{Plan: &launch.Plan{Program: put(t, t.TempDir(), "Shop", string(single(`{"runtimeOptions":{"includedFrameworks":[{"name":"A","version":"1.0.0"}]}}`)))}}}
	if d := f.dotnet("/opt"); d == nil || !d.SelfContained || d.Trouble != "" {
		t.Errorf("%+v", d)
	}
	f.Plan.Program = "/bin/sh"
	if d := f.dotnet("/opt"); d != nil {
		t.Errorf("%+v", d)
	}
}

// A call that fails is named with why, and those of this host work.
func TestCalls(t *testing.T) {
	got := broken([]call{{"good", false, func() error { return nil }}, {"bad", true, func() error { return fmt.Errorf("why") }}})
	if diff := cmp.Diff([]Call{{"bad", "why", true}}, got); diff != "" {
		t.Error(diff)
	}
	if m := LookAtMachine(); len(m.Calls) > 0 || m.Kernel == "" || m.WatcherLimit == 0 {
		t.Errorf("%+v", m)
	}
}

// The inotify instances of a user are counted, this process's among them.
func TestWatchers(t *testing.T) {
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	if n := watchers(uint32(os.Geteuid())); n < 1 {
		t.Errorf("%d", n)
	}
	if n := watchers(1 << 31); n != 0 {
		t.Errorf("of nobody: %d", n)
	}
}

// Nothing in a folder holds up who looks at it, takes its memory, or makes it say what is not so.
func TestHostileFolder(t *testing.T) {
	root := t.TempDir()
	put(t, root, "Shop.dll", "")
	put(t, root, "Shop.deps.json", `{"a": "`+strings.Repeat("x", 2<<20)+`"}`) // large, and good
	for _, name := range []string{"Shop.runtimeconfig.json", "appsettings.json", "program", "Other.dll"} {
		if err := unix.Mkfifo(filepath.Join(root, name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	done := make(chan string, 1)
	go func() {
		f := &Facts{Prospect: &dataplane.Prospect{Root: root, Plan: &launch.Plan{Program: "/opt/dotnet", Args: []string{"Shop.dll"}, Dir: root}}}
		trouble := f.dotnet("").Trouble
		f.Plan.Program = root + "/program"
		done <- fmt.Sprint(trouble, f.dotnet(""), calledBy(root+"/Other.dll"), endpointSettings(root+"/appsettings.json"), newLibraries("").binary(root+"/program", ""))
	}()
	select {
	case got := <-done:
		if want := "cannot be read: is no regular file (exit code 147)<nil> [] [] <nil>"; got != want {
			t.Errorf("%s, want %s", got, want)
		}
	case <-time.After(20 * time.Second):
		t.Fatal("whoever looks waits for the other end of a pipe")
	}
}

// Of a file of machine code whose tables are as large as it says, no more is read than there is memory for.
func TestHugeTables(t *testing.T) {
	in := &bounded{in: bytes.NewReader(make([]byte, 100)), left: 64}
	if n, err := in.ReadAt(make([]byte, 60), 0); n != 60 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
	if n, err := in.ReadAt(make([]byte, 60), 0); n != 0 || err == nil {
		t.Errorf("%d bytes over the bound, %v", n, err)
	}
}
