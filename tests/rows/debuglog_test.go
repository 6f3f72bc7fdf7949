package rows

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/ancora-fleet/ancora/dataplane/journal"
	"github.com/ancora-fleet/ancora/tests/lab"
)

var debugLine = regexp.MustCompile(`^\[\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z, PID: \d+\] \[ancora\] [^\r\n]+$`)

// debugLines gives the lines of a debug log below the root, each of which has the form of DBG-4; none without a file.
func (s *served) debugLines(name string) []string {
	s.r.Helper()
	text, err := os.ReadFile(filepath.Join(s.root, name))
	if err != nil {
		return nil
	}
	lines := strings.Split(strings.TrimSuffix(string(text), "\r\n"), "\r\n")
	for _, line := range lines {
		if !debugLine.MatchString(line) {
			s.r.Errorf("%s: %q", name, line)
		}
	}
	return lines
}

// startMessages waits until a debug log tells of the start of a process.
func (s *served) startMessages(name string) {
	s.r.Helper()
	pid := s.pid()
	var lines []string
	lab.Eventually(s.r, func() string {
		lines = s.debugLines(name)
		text := strings.Join(lines, "\n")
		if !strings.Contains(text, fmt.Sprintf("Started process %d ", pid)) || !strings.Contains(text, fmt.Sprintf("process %d listens", pid)) {
			return fmt.Sprintf("%q", text)
		}
		return ""
	})
	if !strings.Contains(lines[0], "Initializing logs") || !strings.Contains(lines[0], "File Version: ") || !strings.Contains(lines[0], "commit ") {
		s.r.Errorf("%q", lines[0])
	}
	s.r.saw(file, "%s: %q", name, lines)
	lab.Eventually(s.r, func() string {
		if !strings.Contains(s.Log(), "debug log is on") {
			return "nothing warns of it:\n" + s.Log()
		}
		return ""
	})
}

func TestDebugLog(t *testing.T) {
	t.Parallel()
	const byEnvironment, itsFile = "ASPNETCORE_MODULE_DEBUG", "ASPNETCORE_MODULE_DEBUG_FILE"
	for _, model := range models() {
		row(t, "H17 a folder and a file are made, "+modelOf(model), func(r *recorder) {
			speaker(r, model, settings("debugLevel", "FILE", "debugFile", `subdirectory\debug.txt`)).startMessages("subdirectory/debug.txt")
		})
		row(t, "H18 the file without a name, "+modelOf(model), func(r *recorder) {
			speaker(r, model, settings("DebugLevel", "file")).startMessages("aspnetcore-debug.log")
		})
		row(t, "H19 the file without a name, by the environment, "+modelOf(model), func(r *recorder) {
			speaker(r, model, variables(byEnvironment, "file")).startMessages("aspnetcore-debug.log")
		})
	}
	row(t, "H24 the file of the environment", func(r *recorder) {
		speaker(r, outOfProcess, variables(byEnvironment, "file", itsFile, `logs\env.txt`)).startMessages("logs/env.txt")
	})
	row(t, "H20 the file is switched when web.config is read, and the old one says so", func(r *recorder) {
		s := speaker(r, outOfProcess, variables(byEnvironment, "file", itsFile, "env.txt")+settings("debugLevel", "file", "debugFile", "config.txt"))
		s.startMessages("config.txt")
		if old := s.debugLines("env.txt"); len(old) != 2 || !strings.Contains(old[1], "Switching debug log files to '"+s.root+"/config.txt'") {
			r.Errorf("%q", old)
		}
	})
	row(t, "H21 the lines are events as well", func(r *recorder) {
		s := speaker(r, outOfProcess, settings("debugLevel", "file,eventlog"))
		s.event(journal.EventDebug, fmt.Sprintf("Started process %d ", s.pid()))
		s.event(journal.EventDebug, "listens on")
		s.startMessages("aspnetcore-debug.log")
	})
}
