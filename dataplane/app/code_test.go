package app

import (
	"fmt"
	"syscall"
	"testing"
	"time"

	"github.com/ancora-fleet/ancora/dataplane/process"
	"github.com/ancora-fleet/ancora/dataplane/supervise"
)

// The table of INP-11, as the host of .NET 10 was seen to end.
func TestStartCodes(t *testing.T) {
	host := []string{"You must install or update .NET to run this application."}
	ended := func(code int, output ...string) *supervise.StartError {
		return &supervise.StartError{Exit: &process.Exit{Code: code}, Output: output}
	}
	for _, c := range []struct {
		err  error
		want string
	}{
		{ended(150, host...), "500.31"}, {ended(156, host...), "500.31"},
		{ended(129, "Usage: dotnet [path-to-application]"), "500.31"},
		{ended(155, "The command could not be loaded, possibly because:", "      No .NET SDKs were found."), "500.31"},
		{ended(147, "Invalid runtimeconfig.json [/x/A.runtimeconfig.json]"), "500.31"},
		{ended(139, "Error initializing the dependency resolver: An error occurred while parsing: /x/A.deps.json"), "500.31"},
		{ended(154, "The application to execute does not exist: '/x/A.dll'."), "500.38"},
		{ended(131, "A fatal error was encountered. The library 'libhostpolicy.so' required to execute the application was not found in '/x/'."), "500.32"},
		{ended(137, "Failed to create CoreCLR, HRESULT: 0x8007000E"), "500.30"},
		{ended(12), "500.30"}, {ended(0), "500.30"},
		// An application that ends with such a number itself.
		{ended(150, "nothing to do"), "500.30"}, {ended(131), "500.30"},
		{&supervise.StartError{Exit: &process.Exit{Signal: int(syscall.SIGABRT), Code: 150}, Output: host}, "500.30"},
		{&supervise.StartError{Exit: &process.Exit{Code: 150}, Output: host, Served: true}, "500.30"},
		{&supervise.StartError{Late: true}, "500.37"},
		{&supervise.StartError{Err: fmt.Errorf("exec: %w", syscall.ENOEXEC)}, "500.32"},
		{&supervise.StartError{Err: fmt.Errorf("exec: %w", syscall.EACCES)}, "500.0"},
		{&supervise.StuckError{Failure: ended(150, host...), RetryAfter: time.Second}, "500.31"},
	} {
		if got := startCode(c.err, true); got != c.want {
			t.Errorf("%+v: %s, want %s", c.err, got, c.want)
		}
		if got := startCode(c.err, false); got != "502.5" {
			t.Errorf("%+v out of process: %s", c.err, got)
		}
	}
}
