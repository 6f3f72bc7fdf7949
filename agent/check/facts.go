package check

import (
	"github.com/ancora-fleet/ancora/dataplane"
)

// Facts is what was found out about one application and the machine that it is to run on. What could not be found out is empty
// and is not judged.
type Facts struct {
	// Name is site and path.
	Name string
	*dataplane.Prospect
	// Started is the program, Natives are the files of machine code that it brings along.
	Started *Binary
	Natives []Binary
	// Foreign are native files that the folder has for other systems only.
	Foreign []string
	// DotNet is nil where nothing says that the program is one for .NET.
	DotNet *DotNet
	// Unreadable is what the user may not read below the folder, Unseen how many entries were not looked at.
	Unreadable []Trouble
	Unseen     int
	// HomeTrouble is why nothing can be written into HOME; empty: it can, or nobody knows.
	HomeTrouble string
	// NoExec says that the program lies on a file system from which nothing is executed.
	NoExec bool
	// Absent is the script or archive that the program would be given, and which is not there; empty: it is, or nobody knows.
	Absent string
	// Broken are settings of an application for .NET that are no JSON.
	Broken []Trouble
	// Machine is the same for all applications.
	Machine Machine
	// Watchers is how many inotify instances the user has open.
	Watchers int
	// Calls are names that the code of the application calls, of those that bear on its port.
	Calls []string
	// Settings are keys of appsettings.json that bear on its port.
	Settings []string
}

// Trouble is a file and what is wrong with it.
type Trouble struct{ Path, Why string }

// Binary is a file of machine code, or a script.
type Binary struct {
	Path string
	// Machine is the architecture as Go names it; empty: unknown.
	Machine string
	// Interpreter is the loader that the file asks for, or the program of a script's first line; empty: none.
	Interpreter string
	// Lost says that the interpreter is not there.
	Lost bool
	// Script says that it begins with #!.
	Script bool
	// Missing are shared libraries that it needs and that are not there.
	Missing []string
}

// DotNet is what decides whether an application for .NET finds its runtime.
type DotNet struct {
	// File is where its settings stand: a runtimeconfig.json, or the single file.
	File string
	// Trouble is why they could not be read.
	Trouble string
	Config  RuntimeConfig
	// SelfContained says that the runtime comes with the application.
	SelfContained bool
	// Root is where the host looks for runtimes, Installed what there is.
	Root      string
	Installed []Installed
	// RollForward and Version are what the command line says; both may be empty.
	RollForward, Version string
	// ICU and OpenSSL say that the libraries are there.
	ICU, OpenSSL bool
}

// Installed is one version of a framework with those that it needs itself.
type Installed struct {
	Reference
	Needs []Reference
}

// Machine is what of this host concerns every application.
type Machine struct {
	// Arch is as Go names it, Kernel as uname does.
	Arch, Kernel string
	// Musl says that the C library is musl.
	Musl bool
	// Calls are system calls that do not work here.
	Calls []Call
	// WatcherLimit is fs.inotify.max_user_instances; 0 is not known.
	WatcherLimit int
}

// Call is a system call that was tried and does not work.
type Call struct {
	Name, Why string
	// DotNet says that .NET needs it, else it is the agent.
	DotNet bool
}
