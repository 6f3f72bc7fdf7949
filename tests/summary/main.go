// Command summary reads what `go test -json` writes: it prints the output of what failed, a line for each package, every
// skip with its reason, and what tests log behind "figure: ". With -strict a skip that the file of -skips does not name is a failure: a test that did not run has
// shown nothing.
package main

import (
	"bufio"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
)

type event struct {
	Action, Package, Test, Output string
	Elapsed                       float64
}

func main() {
	strict := flag.Bool("strict", false, "fail on skips that are not named")
	file := flag.String("skips", "tests/skips.txt", "the skips that are allowed: package, test, reason")
	flag.Parse()
	allowed, err := readSkips(*file)
	if err == nil {
		err = summarise(os.Stdin, os.Stdout, allowed, *strict)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// readSkips gives "package test" of each line that is no comment.
func readSkips(file string) (map[string]bool, error) {
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

func summarise(in io.Reader, out io.Writer, allowed map[string]bool, strict bool) error {
	output := map[string][]string{}
	var failed, unnamed []string
	packages := 0
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		var e event
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			fmt.Fprintln(out, lines.Text()) // go itself, for example on downloads
			continue
		}
		key := e.Package + " " + e.Test
		switch e.Action {
		case "output", "build-output":
			output[key] = append(output[key], e.Output)
			if _, text, ok := strings.Cut(e.Output, "figure: "); ok {
				fmt.Fprintf(out, "      %s: %s\n", e.Test, strings.TrimSpace(text))
			}
		case "build-fail":
			failed = append(failed, "build")
			print(out, output[" "])
		case "fail":
			failed = append(failed, strings.TrimSpace(key))
			print(out, output[key])
		case "skip":
			if e.Test == "" {
				break
			}
			reason := ""
			for _, o := range output[key] {
				if _, said, ok := strings.Cut(o, ".go:"); ok {
					_, reason, _ = strings.Cut(said, ": ")
				}
			}
			fmt.Fprintf(out, "skip  %s: %s\n", key, strings.TrimSpace(reason))
			if !allowed[short(e.Package)+" "+e.Test] {
				unnamed = append(unnamed, key)
			}
		case "pass":
			if e.Test == "" {
				packages++
				fmt.Fprintf(out, "ok    %s  %.1fs\n", e.Package, e.Elapsed)
			}
			delete(output, key)
		}
	}
	if err := lines.Err(); err != nil {
		return err
	}
	switch slices.Sort(failed); {
	case len(failed) > 0:
		return fmt.Errorf("FAILED: %s", strings.Join(slices.Compact(failed), ", "))
	case packages == 0:
		return fmt.Errorf("no package was tested")
	case strict && len(unnamed) > 0:
		return fmt.Errorf("skipped and not named in tests/skips.txt: %s", strings.Join(unnamed, ", "))
	}
	return nil
}

// short is a package's path below the module.
func short(path string) string {
	return strings.TrimPrefix(path, "github.com/ancora-fleet/ancora/")
}

func print(out io.Writer, lines []string) {
	for _, l := range lines {
		fmt.Fprint(out, l)
	}
}
