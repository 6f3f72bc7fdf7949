package main

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write docs/files.md anew")

// TestFiles: docs/files.md says what `version --paths` says, for root and for others.
func TestFiles(t *testing.T) {
	const file = "../../../docs/files.md"
	names := func(name string) string { return "$" + name }
	root, other := environment{Getenv: names, Root: true}, environment{Getenv: names}
	const binary = "/usr/bin/ancora-agent"
	text := &strings.Builder{}
	fmt.Fprint(text, `# Files of an agent

What `+"`ancora-agent version --paths`"+` prints where no flag says otherwise; this file is made from the same table
(`+"`go test ./agent/cmd/ancora-agent -run TestFiles -update`"+`). Where an XDG variable is not set, others than root have
~/.local/state, ~/.config, and the admin socket in `+"`run/`"+` below the data directory.

| what | as root | else | flag | |
|---|---|---|---|---|
`)
	mine := paths(other, binary)
	for i, p := range paths(root, binary) {
		fmt.Fprintf(text, "| %s | %s | %s | %s | %s |\n", p.name, p.at, mine[i].at, p.flag, p.what)
	}
	if *update {
		if err := os.WriteFile(file, []byte(text.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	is, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(text.String(), string(is)); diff != "" {
		t.Error(diff)
	}
}
