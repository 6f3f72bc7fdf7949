package cli

import (
	"bufio"
	"fmt"
	"io"
	"strings"

	"golang.org/x/sys/unix"
)

// The only control sequences this package writes.
const (
	ansiReset   = "\x1b[0m"
	ansiGreen   = "\x1b[32m"
	ansiYellow  = "\x1b[33m"
	ansiBlue    = "\x1b[34m"
	ansiMagenta = "\x1b[35m"
	ansiCyan    = "\x1b[36m"
)

func isTerminal(stream any) bool {
	f, ok := stream.(interface{ Fd() uintptr })
	if !ok {
		return false
	}
	_, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
	return err == nil
}

// color says whether stream gets colour: by --color, else on a terminal unless NO_COLOR is set (to anything) or the
// terminal is dumb.
func (p *program) color(stream io.Writer) bool {
	switch p.colorMode {
	case "always":
		return true
	case "never":
		return false
	}
	return isTerminal(stream) && p.Getenv("NO_COLOR") == "" && p.Getenv("TERM") != "dumb"
}

// confirm asks a question on the terminal. Without one it refuses, naming the flag that answers.
func (p *program) confirm(question string) error {
	if !isTerminal(p.In) || !isTerminal(p.Err) {
		return usagef("%s\nnobody can be asked here: say --yes", question)
	}
	fmt.Fprintf(p.Err, "%s\ngo on? [y/N] ", escapeText(question))
	answer, err := bufio.NewReader(p.In).ReadString('\n')
	if err != nil && answer == "" {
		return usagef("no answer, nothing was changed")
	}
	switch strings.ToLower(strings.TrimSpace(answer)) {
	case "y", "yes":
		return nil
	}
	return usagef("nothing was changed")
}
