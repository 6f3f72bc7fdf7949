// Command summary reads what `go test -json` writes: it prints the output of what failed, a line for each package, every
// skip with its reason, and what tests log behind "figure: ". With -strict a skip that the file of -skips does not name is a failure: a test that did not run has
// shown nothing.
package main

import (
	"flag"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/ancora-fleet/ancora/tests/testlog"
)

func main() {
	strict := flag.Bool("strict", false, "fail on skips that are not named")
	file := flag.String("skips", "tests/skips.txt", "the skips that are allowed: package, test, reason")
	flag.Parse()
	allowed, err := testlog.Skips(*file)
	if err == nil {
		err = summarise(os.Stdin, os.Stdout, allowed, *strict)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func summarise(in io.Reader, out io.Writer, allowed map[string]bool, strict bool) error {
	output := map[string][]string{}
	var failed, unnamed []string
	packages := 0
	err := testlog.Read(in, func(e testlog.Event) {
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
			delete(output, key)
			if e.Test == "" { // a test that has not ended ends with its package: it hung, or took the process with it
				for _, left := range slices.Sorted(maps.Keys(output)) {
					if strings.HasPrefix(left, key) {
						failed = append(failed, left)
						print(out, output[left])
					}
				}
			}
		case "skip":
			if e.Test == "" {
				break
			}
			fmt.Fprintf(out, "skip  %s: %s\n", key, testlog.Reason(output[key]))
			if !allowed[testlog.Short(e.Package)+" "+e.Test] {
				unnamed = append(unnamed, key)
			}
			delete(output, key)
		case "pass":
			if e.Test == "" {
				packages++
				fmt.Fprintf(out, "ok    %s  %.1fs\n", e.Package, e.Elapsed)
			}
			delete(output, key)
		}
	}, func(line string) { fmt.Fprintln(out, line) })
	if err != nil {
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

func print(out io.Writer, lines []string) {
	for _, l := range lines {
		fmt.Fprint(out, l)
	}
}
