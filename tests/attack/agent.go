package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/ancora-fleet/ancora/dataplane/secure/securetest"
	"github.com/ancora-fleet/ancora/tests/lab"
)

const hostname = "attack.example"

const siteFile = `
apiVersion: ancora/v1
kind: Site
name: attack
placement: {hosts: all}
bindings:
  - listener: http
  - {listener: https, tls: {cert: %[1]s/cert.pem, key: %[1]s/key.pem}}
applications:
  - {path: /, root: %[1]s/root, command: [%[1]s/childapp], start: always, limits: {concurrency: 200}}
`

// agent is the real one with a site on it.
type agent struct {
	*lab.Process
	dir, plain, tls string
}

func startAgent(bin string) (*agent, error) {
	bin, err := filepath.Abs(bin)
	if err != nil {
		return nil, err
	}
	dir, err := lab.TempDir("ancora-attack-")
	if err != nil {
		return nil, err
	}
	cert, key, err := securetest.SelfSigned(hostname)
	// Of root's agent the application is nobody, which must be able to reach all of it.
	if err := errors.Join(err, os.Mkdir(dir+"/root", 0o755), lab.CopyProgram(filepath.Join(bin, "childapp"), dir+"/childapp"),
		os.WriteFile(dir+"/cert.pem", cert, 0o600), os.WriteFile(dir+"/key.pem", key, 0o600), os.WriteFile(dir+"/site.yaml", fmt.Appendf(nil, siteFile, dir), 0o644)); err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	process, err := lab.Launch(os.Stderr, filepath.Join(bin, "ancora-agent"), "serve", dir+"/site.yaml", "--data", dir+"/data",
		"--listen", "http=127.0.0.1:0", "--listen", "https=127.0.0.1:0", "--log-level", "error")
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	ready, err := process.Ready()
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	plain, tls, _ := strings.Cut(ready["address"], ",") // in the order of the listeners' names
	return &agent{process, dir, plain, tls}, nil
}

func (a *agent) stop() {
	a.Stop()
	_ = os.RemoveAll(a.dir)
}

// pids are those of the keeper and its worker, without the application.
func (a *agent) pids() []int { return lab.Family(a.Pid()) }

// used is the CPU time that the agent has used so far, by the scheduler's own count: that of /proc/PID/stat is too coarse to tell
// what is idle.
func (a *agent) used() (total time.Duration) {
	for _, pid := range a.pids() {
		tasks, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", pid))
		for _, task := range tasks {
			text, _ := os.ReadFile(task) // a thread that has ended
			if fields := strings.Fields(string(text)); len(fields) > 0 {
				n, _ := strconv.ParseInt(fields[0], 10, 64)
				total += time.Duration(n)
			}
		}
	}
	return total
}

// memory is what the agent has resident, in bytes.
func (a *agent) memory() int64 {
	total, _ := lab.Resident(a.pids()...) // without a worker that has just ended
	return total
}

// watch looks at the memory ten times a second until stop is called, which gives the most there was.
func (a *agent) watch() (stop func() int64) {
	quit, done, most := make(chan struct{}), make(chan struct{}), a.memory()
	go func() {
		defer close(done)
		for {
			most = max(most, a.memory())
			select {
			case <-quit:
				return
			case <-time.After(100 * time.Millisecond):
			}
		}
	}()
	return func() int64 {
		close(quit)
		<-done
		return most
	}
}
