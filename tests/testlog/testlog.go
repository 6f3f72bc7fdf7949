// Package testlog reads what `go test -json` writes, and which skips are allowed.
package testlog

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
)

// Event is one line of test2json. Key and Value are those of an attribute.
type Event struct {
	Action, Package, Test, Output, Key, Value string
	Elapsed                                   float64
}

// Read calls each for every event, and other for every line that is none: go itself writes those, on downloads for example.
func Read(in io.Reader, each func(e Event), other func(line string)) error {
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		var e Event
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			other(lines.Text())
			continue
		}
		each(e)
	}
	return lines.Err()
}

// Skips gives "package test" of each line of a file of allowed skips that is no comment: package, test, reason.
func Skips(file string) (map[string]bool, error) {
	content, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	allowed := map[string]bool{}
	for line := range strings.Lines(string(content)) {
		fields := strings.Fields(line)
		if len(fields) == 0 || strings.HasPrefix(fields[0], "#") {
			continue
		}
		if len(fields) < 3 {
			return nil, fmt.Errorf("%s: %q names no reason", file, strings.TrimSpace(line))
		}
		allowed[fields[0]+" "+fields[1]] = true
	}
	return allowed, nil
}

// Short is a package's path below the module.
func Short(path string) string {
	return strings.TrimPrefix(path, "github.com/ancora-fleet/ancora/")
}

// Reason is what a test said when it was skipped, out of its output.
func Reason(output []string) string {
	reason := ""
	for _, o := range output {
		if _, said, ok := strings.Cut(o, ".go:"); ok {
			_, reason, _ = strings.Cut(said, ": ")
		}
	}
	return strings.TrimSpace(reason)
}
