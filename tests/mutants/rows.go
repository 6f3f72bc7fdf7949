package main

import (
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/ancora-fleet/ancora/tests/testlog"
)

// rowsPackage shows the module's behaviours on the programs in ANCORA_BIN, so a bug there is built into those.
const rowsPackage = "./tests/rows"

var rowOf = regexp.MustCompile(`^[^/]+/([A-N][0-9]{2})_[^/]*$`)

// plantRows builds the programs with the bug, runs the rows of one test against them, and says whether exactly those named failed.
func plantRows(b *bug, overlay, dir string) (noticed bool, err error) {
	bin := filepath.Join(dir, "bin")
	build := exec.Command("go", "build", "-trimpath", "-overlay="+overlay, "-o", bin+"/", "./controlplane/cmd/ancora", "./agent/cmd/ancora-agent", "./tests/childapp")
	if out, err := build.CombinedOutput(); err != nil {
		return false, fmt.Errorf("it does not build: %w\n%s", err, out)
	}
	test := exec.Command("go", "test", "-count=1", "-parallel", "3", "-timeout", "10m", "-json", "-run", "^"+b.test+"$", rowsPackage)
	test.Env = append(os.Environ(), "ANCORA_BIN="+bin)
	out, err := test.StdoutPipe()
	if err != nil {
		return false, err
	}
	if err := test.Start(); err != nil {
		return false, err
	}
	red, ran := map[string]bool{}, 0
	readErr := testlog.Read(out, func(e testlog.Event) {
		m := rowOf.FindStringSubmatch(e.Test)
		if m == nil {
			return
		}
		switch e.Action {
		case "pass":
			ran++
		case "fail":
			ran++
			red[m[1]] = true
		}
	}, func(string) {})
	_ = test.Wait() // which rows failed has been read
	if readErr != nil || ran == 0 {
		return false, fmt.Errorf("no row of %s ran: %v", b.test, readErr)
	}
	wanted, got := strings.Fields(b.rows), slices.Sorted(maps.Keys(red))
	slices.Sort(wanted)
	if len(got) == 0 {
		return false, nil
	}
	if !slices.Equal(wanted, got) {
		return false, fmt.Errorf("rows %v fail, want exactly %v", got, wanted)
	}
	return true, nil
}
