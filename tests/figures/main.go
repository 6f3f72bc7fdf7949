// Command figures measures what is promised, with the programs as they are shipped, and prints median, spread and promise of
// each: 5 runs. It fails nothing: a busy machine is slower.
//
//	go run ./tests/figures bin
package main

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/ancora-fleet/ancora/tests/lab"
)

const (
	runs     = 5
	patience = 60 * time.Second
)

// figure is one promise and what was measured.
type figure struct {
	name, unit, promise string
	values              []float64
}

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: figures DIRECTORY-OF-PROGRAMS")
		os.Exit(2)
	}
	m := &measuring{bin: os.Args[1]}
	for run := range runs {
		fmt.Fprintf(os.Stderr, "run %d of %d\n", run+1, runs)
		for _, measure := range []func() error{m.controller, m.dev, m.worker} {
			if err := measure(); err != nil {
				fmt.Fprintf(os.Stderr, "figures: %v\n", err)
				os.Exit(1)
			}
		}
	}
	m.print()
}

type measuring struct {
	bin     string
	figures []*figure
}

func (m *measuring) add(name, unit, promise string, value float64) {
	for _, f := range m.figures {
		if f.name == name {
			f.values = append(f.values, value)
			return
		}
	}
	m.figures = append(m.figures, &figure{name, unit, promise, []float64{value}})
}

func (m *measuring) print() {
	fmt.Printf("%-42s %10s %10s %10s  %s\n", "", "median", "least", "most", "promise")
	for _, f := range m.figures {
		slices.Sort(f.values)
		fmt.Printf("%-42s %10.1f %10.1f %10.1f  %s\n", f.name+", "+f.unit, f.values[len(f.values)/2], f.values[0], f.values[len(f.values)-1], f.promise)
	}
}

// program is one that has said that it is ready.
type program struct {
	*lab.Process
	begin time.Time
	ready map[string]string
}

func (m *measuring) start(name string, args ...string) (*program, error) {
	begin := time.Now()
	p, err := lab.Launch(nil, filepath.Join(m.bin, name), args...)
	if err != nil {
		return nil, err
	}
	ready, err := p.Ready()
	return &program{p, begin, ready}, err
}

// stop ends the program and says how long that took.
func (p *program) stop() time.Duration {
	begin := time.Now()
	p.Stop()
	return time.Since(begin)
}

func (m *measuring) controller() error {
	dir, err := lab.TempDir("ancora-figures-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	for _, what := range []string{"first start", "start"} {
		p, err := m.start("ancora", "controller", "--data", filepath.Join(dir, "data"), "--operator-address", "127.0.0.1:0", "--agent-address", "127.0.0.1:0", "--log-level", "error")
		if err != nil {
			return err
		}
		m.add("controller, "+what+" to ready", "ms", "<= 1500", ms(time.Since(p.begin)))
		if what == "start" {
			<-time.After(5 * time.Second) // until it is idle
			rss, err := memory(p.Pid(), "VmRSS")
			if err != nil {
				return err
			}
			m.add("controller, resident when idle", "MB", "<= 60", rss)
		}
		m.add("controller, stop", "ms", "<= 5000", ms(p.stop()))
	}
	return nil
}

func (m *measuring) dev() error {
	p, err := m.start("ancora", "dev")
	if err != nil {
		return err
	}
	if err := ask(http.DefaultClient, p.ready["web1"]); err != nil {
		return err
	}
	m.add("dev, command to first 200", "ms", "<= 2000", ms(time.Since(p.begin)))
	p.stop()
	return nil
}

// worker measures the loss of a worker and the size of the keeper.
func (m *measuring) worker() error {
	dir, err := lab.TempDir("ancora-figures-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	folder := filepath.Join(dir, "app")
	if err := os.Mkdir(folder, 0o755); err != nil {
		return err
	}
	if err := lab.CopyProgram(filepath.Join(m.bin, "ancora-agent"), filepath.Join(folder, "app")); err != nil {
		return err
	}
	site := fmt.Sprintf("apiVersion: ancora/v1\nkind: Site\nname: app\nplacement: {hosts: all}\nbindings: [{listener: http}]\napplications:\n  - {root: %s, profile: generic, command: [./app, demo-app]}\n", folder)
	file := filepath.Join(dir, "site.yaml")
	if err := os.WriteFile(file, []byte(site), 0o600); err != nil {
		return err
	}
	p, err := m.start("ancora-agent", "serve", file, "--listen", "127.0.0.1:0", "--data", filepath.Join(dir, "data"), "--log-level", "error")
	if err != nil {
		return err
	}
	address := p.ready["address"]
	m.add("agent, start to ready", "ms", "", ms(time.Since(p.begin)))
	fresh := &http.Client{Timeout: patience, Transport: &http.Transport{DisableKeepAlives: true}}
	if err := ask(fresh, address); err != nil {
		return err
	}
	agent := lab.Family(p.Pid())
	if len(agent) < 2 {
		return errors.New("the keeper has no worker")
	}
	begin := time.Now()
	if err := syscall.Kill(agent[1], syscall.SIGKILL); err != nil {
		return err
	}
	for ask(fresh, address) != nil && time.Since(begin) < patience {
	}
	m.add("agent, worker killed to next 200", "ms", "<= 300", ms(time.Since(begin)))
	<-time.After(7 * time.Second) // the keeper gives memory back when it is quiet
	anon, err := memory(p.Pid(), "RssAnon")
	if err != nil {
		return err
	}
	m.add("keeper, anonymous memory", "MB", "<= 8", anon)
	p.stop()
	return nil
}

func ask(client *http.Client, address string) error {
	response, err := client.Get("http://" + address)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if _, err := io.Copy(io.Discard, response.Body); err != nil {
		return err
	}
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("status %d", response.StatusCode)
	}
	return nil
}

// memory reads a line of a process's status, in MB.
func memory(pid int, name string) (float64, error) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(status)) {
		if rest, ok := strings.CutPrefix(line, name+":"); ok {
			kb, err := strconv.ParseFloat(strings.Fields(rest)[0], 64)
			return kb * 1024 / 1e6, err
		}
	}
	return 0, fmt.Errorf("no %s", name)
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
