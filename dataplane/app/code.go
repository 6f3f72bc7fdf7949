package app

import (
	"errors"
	"slices"
	"strings"
	"syscall"

	"github.com/ancora-fleet/ancora/dataplane/supervise"
)

// outOfProcess is the code of every start that fails out of process.
const outOfProcess = "502.5"

// startCode is the status and substatus of a failed start: 502.5 out of process, in process what the .NET host's exit
// code says (behaviour.md INP-11). An exit code counts only when the process was not ended by a signal, had not listened yet, and
// the host has said something: an application may end with any of these numbers itself.
func startCode(err error, inProcess bool) string {
	if !inProcess {
		return outOfProcess
	}
	start, ok := errors.AsType[*supervise.StartError](err)
	switch {
	case !ok:
		return "500.30"
	case start.Late:
		return "500.37"
	case errors.Is(start.Err, syscall.ENOEXEC):
		return "500.32"
	case start.Err != nil:
		return "500.0"
	case start.Served, start.Exit == nil, start.Exit.Signal != 0, !hostSpoke(start.Output):
		return "500.30"
	}
	switch start.Exit.Code {
	case 150, 156, 129, 155, 146, 148, 145, 147, 139, 140:
		return "500.31"
	case 154, 149:
		return "500.38"
	case 130, 131, 132, 135, 136:
		return "500.32"
	}
	return "500.30"
}

// hostSpoke says whether the words of the .NET host are in the output; it writes some with every one of its exit codes.
func hostSpoke(output []string) bool {
	return slices.ContainsFunc(output, func(line string) bool {
		for _, words := range []string{".NET", "runtimeconfig.json", ".deps.json", "JSON parsing exception", "libhost", "libcoreclr", "CoreCLR", "The application to execute", "Usage: dotnet"} {
			if strings.Contains(line, words) {
				return true
			}
		}
		return false
	})
}
