// Command readme executes the console blocks of a text, in order and in one shell, and compares what they print: lines that
// begin with "$ " are typed, the lines below them must come in this order. In them <pid>, <port>, <time>, <n> and <any> stand
// for what differs. A block after a comment <!-- not executed: reason --> is left out.
//
//	go run ./tests/readme README.md
package main

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"time"
)

// patience is how long a command, or a line that is awaited, may take.
const patience = 10 * time.Minute

// mostLeftOut is how many blocks may be left out.
const mostLeftOut = 2

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: readme FILE")
		os.Exit(2)
	}
	content, err := os.ReadFile(os.Args[1])
	if err == nil {
		err = run(string(content))
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "readme: %v\n", err)
		os.Exit(1)
	}
}

// command is one typed line and what must follow it.
type command struct {
	line int
	text string
	want []string
}

func run(text string) error {
	commands, leftOut := parse(text)
	if len(commands) == 0 {
		return fmt.Errorf("there is no block to execute")
	}
	if leftOut > mostLeftOut {
		return fmt.Errorf("%d blocks are not executed, at most %d may", leftOut, mostLeftOut)
	}
	s, err := start()
	if err != nil {
		return err
	}
	defer s.stop()
	for _, c := range commands {
		fmt.Printf("$ %s\n", c.text)
		if err := s.execute(c); err != nil {
			return fmt.Errorf("line %d: %s: %w", c.line, c.text, err)
		}
	}
	fmt.Printf("%d commands of the README do what it says, %d blocks not executed\n", len(commands), leftOut)
	return nil
}

func parse(text string) (commands []command, leftOut int) {
	inside, skip := false, false
	for i, line := range strings.Split(text, "\n") {
		switch {
		case strings.HasPrefix(line, "<!-- not executed:"):
			skip = true
		case strings.HasPrefix(line, "```console"):
			if inside = !skip; skip {
				leftOut++
			}
			skip = false
		case strings.HasPrefix(line, "```"):
			inside = false
		case inside && strings.HasPrefix(line, "$ "):
			commands = append(commands, command{line: i + 1, text: strings.TrimPrefix(line, "$ ")})
		case inside && strings.TrimSpace(line) != "" && len(commands) > 0:
			last := &commands[len(commands)-1]
			last.want = append(last.want, line)
		}
	}
	return commands, leftOut
}

// pattern turns an expected line into what matches it.
func pattern(line string) *regexp.Regexp {
	p := regexp.QuoteMeta(strings.TrimRight(line, " "))
	for name, matches := range map[string]string{"<pid>": `\d+`, "<port>": `\d+`, "<n>": `\d+`, "<time>": `[0-9:.]+`, "<any>": `.*`} {
		p = strings.ReplaceAll(p, regexp.QuoteMeta(name), matches)
	}
	// Columns are as wide as what stands in them.
	p = regexp.MustCompile(`( )+`).ReplaceAllString(p, " +")
	return regexp.MustCompile("^" + p + " *$")
}

// shell is one bash that gets everything that is typed.
type shell struct {
	cmd *exec.Cmd
	in  io.WriteCloser

	mu    sync.Mutex
	lines []string
	more  chan struct{}
}

func start() (*shell, error) {
	s := &shell{cmd: exec.Command("bash", "--noprofile", "--norc"), more: make(chan struct{}, 1)}
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	in, err := s.cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	s.in, s.cmd.Stdout, s.cmd.Stderr = in, w, w
	if err := s.cmd.Start(); err != nil {
		return nil, err
	}
	w.Close()
	go s.read(out)
	return s, nil
}

func (s *shell) read(out io.Reader) {
	for lines := bufio.NewScanner(out); lines.Scan(); {
		s.mu.Lock()
		s.lines = append(s.lines, lines.Text())
		s.mu.Unlock()
		select {
		case s.more <- struct{}{}:
		default:
		}
	}
}

// stop ends the shell and what still runs in its group.
func (s *shell) stop() {
	s.in.Close()
	_ = syscall.Kill(-s.cmd.Process.Pid, syscall.SIGTERM)
	_ = s.cmd.Wait() // its end is not what is tested
}

// execute types a command and waits for its end and for all that must come.
func (s *shell) execute(c command) error {
	const mark = "-readme-done-"
	s.mu.Lock()
	from := len(s.lines)
	s.mu.Unlock()
	if _, err := fmt.Fprintf(s.in, "%s\necho %s$?\n", c.text, mark); err != nil {
		return err
	}
	deadline := time.After(patience)
	for {
		code, missing := s.judge(from, c.want, mark)
		if code != "" && missing == "" {
			return s.show(from, mark)
		}
		// What a command in the background says may come later; what one in front says has come.
		limit := deadline
		if code != "" {
			limit = time.After(20 * time.Second)
		}
		select {
		case <-s.more:
		case <-limit:
			_ = s.show(from, mark)
			if code == "" {
				return fmt.Errorf("does not end")
			}
			return fmt.Errorf("no line like %q", missing)
		}
	}
}

// judge gives the exit code, once there is one, and the first expected line that has not come.
func (s *shell) judge(from int, want []string, mark string) (code, missing string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	next := 0
	for _, line := range s.lines[from:] {
		if rest, ok := strings.CutPrefix(line, mark); ok {
			code = rest
			continue
		}
		if next < len(want) && pattern(want[next]).MatchString(line) {
			next++
		}
	}
	if next < len(want) {
		missing = want[next]
	}
	return code, missing
}

// show prints what was printed; a code other than 0 is an error unless the command says so itself.
func (s *shell) show(from int, mark string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, line := range s.lines[from:] {
		if rest, ok := strings.CutPrefix(line, mark); ok {
			if rest != "0" {
				return fmt.Errorf("exit code %s", rest)
			}
			continue
		}
		fmt.Println("  " + line)
	}
	return nil
}
