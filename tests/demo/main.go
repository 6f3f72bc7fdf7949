// Command demo plays the main job and checks every step from outside: by a client's own requests and by the process table,
// not by what our command line says of itself. It prints each step and what it saw.
//
//	go run ./tests/demo bin        where bin holds ancora and ancora-agent
package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// patience is how long a step may take.
const patience = 60 * time.Second

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: demo DIRECTORY-OF-PROGRAMS")
		os.Exit(2)
	}
	d := &demo{bin: os.Args[1]}
	err := d.play()
	if stopErr := d.stop(); err == nil {
		err = stopErr
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "demo: step %d failed: %v\n", d.step, err)
		os.Exit(1)
	}
	fmt.Printf("the main job works: %d steps\n", d.step)
}

type demo struct {
	bin     string
	step    int
	dev     *exec.Cmd
	ended   chan error
	context string
	dir     string
	hosts   []string          // names in order
	at      map[string]string // host -> address
}

// say begins a step.
func (d *demo) say(format string, args ...any) {
	d.step++
	fmt.Printf("%2d. %s\n", d.step, fmt.Sprintf(format, args...))
}

// saw tells what a step has shown.
func saw(format string, args ...any) { fmt.Printf("    %s\n", fmt.Sprintf(format, args...)) }

func (d *demo) play() error {
	for _, step := range []func() error{
		d.start, d.firstRequests, d.crash, d.logs, d.secondFolder, d.offline, d.online,
	} {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

// start runs ancora dev and reads what it says of itself: addresses, and the line for the command line.
func (d *demo) start() error {
	d.say("ancora dev: a controller, three hosts, a site")
	d.dev = exec.Command(filepath.Join(d.bin, "ancora"), "dev")
	d.dev.Stderr = os.Stderr
	out, err := d.dev.StdoutPipe()
	if err != nil {
		return err
	}
	begin := time.Now()
	if err := d.dev.Start(); err != nil {
		return err
	}
	d.ended = make(chan error, 1)
	ready := make(chan error, 1)
	go func() {
		for lines := bufio.NewScanner(out); lines.Scan(); {
			line := lines.Text()
			if path, ok := strings.CutPrefix(line, "export ANCORA_CONTEXT="); ok {
				d.context = path
			}
			if rest, ok := strings.CutPrefix(line, "ready "); ok {
				d.at = map[string]string{}
				for pair := range strings.FieldsSeq(rest) {
					name, address, _ := strings.Cut(pair, "=")
					d.hosts, d.at[name] = append(d.hosts, name), address
				}
				ready <- nil
			}
		}
		err := d.dev.Wait()
		d.ended <- err
		ready <- fmt.Errorf("ancora dev ended: %v", err)
	}()
	select {
	case err = <-ready:
	case <-time.After(patience):
		err = errors.New("ancora dev does not come up")
	}
	if err != nil {
		return err
	}
	d.dir = filepath.Dir(filepath.Dir(d.context))
	saw("ready after %d ms: %s", time.Since(begin).Milliseconds(), strings.Join(d.hosts, " "))
	if len(d.hosts) != 3 {
		return fmt.Errorf("%d hosts, want 3", len(d.hosts))
	}
	if n := len(d.processes()); n != 0 {
		return fmt.Errorf("%d applications run before the first request", n)
	}
	saw("no application runs yet")
	return nil
}

func (d *demo) firstRequests() error {
	d.say("a request to each host starts its application")
	for _, host := range d.hosts {
		body, status, err := get(d.at[host])
		if err != nil || status != 200 || !strings.HasPrefix(body, "hello from demo (pid ") {
			return fmt.Errorf("%s: %d %q, %v", host, status, body, err)
		}
		pid := pidOf(body)
		if !alive(pid) {
			return fmt.Errorf("%s: process %d is not there", host, pid)
		}
		saw("%s: %d %s; process %d lives", host, status, strings.TrimSpace(body), pid)
	}
	if n := len(d.processes()); n != 3 {
		return fmt.Errorf("%d applications run, want 3", n)
	}
	return nil
}

func (d *demo) crash() error {
	d.say("the application on web2 is killed; the next request starts it again")
	body, _, err := get(d.at["web2"])
	if err != nil {
		return err
	}
	old := pidOf(body)
	if err := syscall.Kill(old, syscall.SIGKILL); err != nil {
		return err
	}
	if err := until(func() error {
		if alive(old) {
			return fmt.Errorf("process %d still lives", old)
		}
		return nil
	}); err != nil {
		return err
	}
	return until(func() error {
		body, status, err := get(d.at["web2"])
		if err != nil || status != 200 || pidOf(body) == old {
			return fmt.Errorf("%d %q, %v", status, body, err)
		}
		saw("process %d is gone, %d answers", old, pidOf(body))
		out, err := d.cli("describe", "site", "demo", "--host", "web2")
		if err != nil {
			return err
		}
		if !strings.Contains(out, "[1018]") || !strings.Contains(out, "signal 9") {
			return fmt.Errorf("describe does not tell of it:\n%s", out)
		}
		saw("describe tells of signal 9")
		return nil
	})
}

func (d *demo) logs() error {
	d.say("one stream has the lines of all hosts")
	mark := strconv.FormatInt(time.Now().UnixNano(), 36)
	for _, host := range d.hosts {
		if _, _, err := get(d.at[host] + "/" + mark); err != nil {
			return err
		}
	}
	return until(func() error {
		out, err := d.cli("logs", "demo")
		if err != nil {
			return err
		}
		for _, host := range d.hosts {
			if strings.Count(out, "GET /"+mark+"\n") != 3 || !strings.Contains(out, host+" demo/") {
				return fmt.Errorf("the lines of the three requests are not there:\n%s", out)
			}
		}
		saw("each of the three requests is there once")
		return nil
	})
}

func (d *demo) secondFolder() error {
	d.say("a second folder is pushed, the old processes are replaced")
	before := d.processes()
	if out, err := d.cli("apply", "-f", filepath.Join(d.dir, "demo2.yaml"), "--wait"); err != nil {
		return fmt.Errorf("%w\n%s", err, out)
	}
	for _, host := range d.hosts {
		body, status, err := get(d.at[host])
		if err != nil || status != 200 || !strings.Contains(body, "the second folder") {
			return fmt.Errorf("%s: %d %q, %v", host, status, body, err)
		}
		saw("%s: %s", host, strings.TrimSpace(body))
	}
	return until(func() error {
		for pid := range before {
			if alive(pid) {
				return fmt.Errorf("old process %d still runs", pid)
			}
		}
		saw("the three old processes are gone")
		return nil
	})
}

func (d *demo) offline() error {
	d.say("the whole fleet offline, for clients that are connected and for new ones")
	kept := &http.Client{Timeout: patience} // its connections stay open
	for _, host := range d.hosts {
		if _, status, err := getWith(kept, d.at[host]); err != nil || status != 200 {
			return fmt.Errorf("%s: %d, %v", host, status, err)
		}
	}
	out, err := d.cli("offline", "--all", "--for", "10m", "--message", "Back soon", "--yes")
	if err != nil {
		return fmt.Errorf("%w\n%s", err, out)
	}
	for _, host := range d.hosts {
		_, open, err := getWith(kept, d.at[host])
		if err != nil {
			return err
		}
		body, fresh, err := get(d.at[host])
		if err != nil || open != 503 || fresh != 503 || !strings.Contains(body, "Back soon") {
			return fmt.Errorf("%s: open connection %d, fresh %d %q, %v", host, open, fresh, body, err)
		}
		saw("%s: 503 on the open connection, 503 on a fresh one", host)
	}
	return nil
}

func (d *demo) online() error {
	d.say("and back")
	if out, err := d.cli("online", "--all"); err != nil {
		return fmt.Errorf("%w\n%s", err, out)
	}
	for _, host := range d.hosts {
		if err := until(func() error {
			body, status, err := get(d.at[host])
			if err != nil || status != 200 {
				return fmt.Errorf("%s: %d %q, %v", host, status, body, err)
			}
			saw("%s: %d", host, status)
			return nil
		}); err != nil {
			return err
		}
	}
	return nil
}

// stop ends dev as Ctrl-C does; nothing may be left.
func (d *demo) stop() error {
	if d.dev == nil || d.dev.Process == nil {
		return nil
	}
	d.say("Ctrl-C leaves no process and no file")
	running := d.processes()
	if err := d.dev.Process.Signal(os.Interrupt); err != nil {
		return err
	}
	select {
	case err := <-d.ended:
		if err != nil {
			return fmt.Errorf("ancora dev: %w", err)
		}
	case <-time.After(patience):
		return errors.New("ancora dev does not end")
	}
	for pid := range running {
		if alive(pid) {
			return fmt.Errorf("process %d is left", pid)
		}
	}
	if left := d.processes(); len(left) > 0 {
		return fmt.Errorf("processes %v are left", left)
	}
	if _, err := os.Stat(d.dir); d.dir != "" && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("%s is left", d.dir)
	}
	saw("none")
	return nil
}

// processes are the applications that run: what executes a program below dev's directory.
func (d *demo) processes() map[int]bool {
	found := map[int]bool{}
	links, _ := filepath.Glob("/proc/[0-9]*/cwd")
	for _, link := range links {
		folder, err := os.Readlink(link)
		if err == nil && d.dir != "" && strings.HasPrefix(folder, d.dir+"/demo") {
			if pid, err := strconv.Atoi(strings.Split(link, "/")[2]); err == nil {
				found[pid] = true
			}
		}
	}
	return found
}

func (d *demo) cli(args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, filepath.Join(d.bin, "ancora"), args...)
	cmd.Env = append(os.Environ(), "ANCORA_CONTEXT="+d.context)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func get(address string) (string, int, error) {
	return getWith(&http.Client{Timeout: patience, Transport: &http.Transport{DisableKeepAlives: true}}, address)
}

func getWith(client *http.Client, address string) (string, int, error) {
	response, err := client.Get("http://" + address)
	if err != nil {
		return "", 0, err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	return string(body), response.StatusCode, err
}

func pidOf(body string) int {
	_, rest, _ := strings.Cut(body, "(pid ")
	number, _, _ := strings.Cut(rest, ")")
	pid, _ := strconv.Atoi(number)
	return pid
}

func alive(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return pid > 0 && err == nil && !strings.Contains(string(stat), ") Z ")
}

// until tries a check again until it holds.
func until(check func() error) error {
	deadline := time.Now().Add(patience)
	for {
		err := check()
		if err == nil || time.Now().After(deadline) {
			return err
		}
		<-time.After(50 * time.Millisecond)
	}
}
