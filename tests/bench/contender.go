package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const patience = 30 * time.Second

// bench is all that runs meanwhile.
type bench struct {
	*options
	dir        string
	contenders []*contender // ancora first, then nginx
	instances  map[string]*running
}

// running is an instance behind the contenders, as ancora has started it.
type running struct {
	pid   int
	where string // a port of 127.0.0.1 or the path of a unix socket
}

// contender is a proxy under test.
type contender struct {
	name, version string
	plain, tls    string // addresses; empty: it cannot do that
	cmd           *exec.Cmd
	ended         chan struct{}
}

func (c *contender) address(w *workload) string {
	if w.scheme == "https" || w.scheme == "h2" {
		return c.tls
	}
	return c.plain
}

// start brings everything up: ancora first, which starts the instances, then the peers with the same instances behind them.
func (b *bench) start() error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	if err := errors.Join(copyFile(self, b.self()), b.certificate()); err != nil {
		return err
	}
	if err := b.startAncora(); err != nil {
		return fmt.Errorf("ancora: %w", err)
	}
	for _, p := range []struct {
		name  string
		start func() (*contender, error)
	}{{"nginx", b.startNginx}, {"haproxy", b.startHAProxy}, {"caddy", b.startCaddy}} {
		if _, err := exec.LookPath(p.name); err != nil || !b.wantsContender(p.name) {
			continue
		}
		c, err := p.start()
		if err != nil {
			return fmt.Errorf("%s: %w", p.name, err)
		}
		b.contenders = append(b.contenders, c)
		if _, err := get(c.plain, "/1k"); err != nil {
			return fmt.Errorf("%s: %w", p.name, err)
		}
	}
	return nil
}

func (b *bench) stop() {
	for _, c := range b.contenders {
		_ = c.cmd.Process.Signal(syscall.SIGTERM)
	}
	for _, c := range b.contenders {
		select {
		case <-c.ended:
		case <-time.After(patience):
			_ = c.cmd.Process.Kill()
		}
	}
}

const siteFile = `
apiVersion: ancora/v1
kind: Site
name: bench
placement: {hosts: all}
bindings:
  - {listener: http, hostnames: [%[1]s]}%[3]s
applications:
  - {path: /, root: %[2]s/root, command: [%[2]s/bench, instance], start: always}%[4]s
`

// startAncora serves the site with the real agent; its variables ask for what this version can do.
func (b *bench) startAncora() error {
	if err := os.MkdirAll(filepath.Join(b.dir, "root"), 0o755); err != nil {
		return err
	}
	tls := fmt.Sprintf("\n  - {listener: https, tls: {cert: %s/cert.pem, key: %s/key.pem}}", b.dir, b.dir) // wrk names no host in its handshake
	unixApp := fmt.Sprintf("\n  - {path: /unix, root: %[1]s/root, command: [%[1]s/bench, instance], start: always, profile: generic, socket: unix, env: {SOCKET: \"${SOCKET}\"}}", b.dir)
	c := &contender{name: "ancora"}
	// What an older version does not know is left out, and with it the workloads that need it.
	for _, try := range []struct{ tls, unix string }{{tls, unixApp}, {tls, ""}, {"", unixApp}, {"", ""}} {
		file := filepath.Join(b.dir, "site.yaml")
		if err := os.WriteFile(file, fmt.Appendf(nil, siteFile, hostname, b.dir, try.tls, try.unix), 0o644); err != nil {
			return err
		}
		args := []string{"serve", file, "--data", filepath.Join(b.dir, "data"), "--listen", "http=127.0.0.1:0", "--log-level", "error"}
		if try.tls != "" {
			args = append(args, "--listen", "https=127.0.0.1:0")
		}
		addresses, err := c.startAgent(filepath.Join(b.bin, "ancora-agent"), args...)
		if err != nil {
			continue
		}
		c.plain, c.tls = addresses["http"], addresses["https"]
		b.contenders = append(b.contenders, c)
		return b.findInstances(try.unix != "")
	}
	return errors.New("the agent does not start")
}

func (b *bench) findInstances(unix bool) error {
	b.instances = map[string]*running{}
	paths := map[string]string{"": "/where"}
	if unix {
		paths["/unix"] = "/unix/where"
	}
	for prefix, path := range paths {
		text, err := get(b.contenders[0].plain, path)
		if err != nil {
			return err
		}
		pid, where, _ := strings.Cut(strings.TrimSpace(text), " ")
		n, err := strconv.Atoi(pid)
		if err != nil {
			return fmt.Errorf("%s answers %q", path, text)
		}
		b.instances[prefix] = &running{n, where}
	}
	version, _ := exec.Command(filepath.Join(b.bin, "ancora-agent"), "version").Output()
	b.contenders[0].version, _, _ = strings.Cut(string(version), "\n")
	return nil
}

// startAgent starts the program and reads from its ready line where its listeners are.
func (c *contender) startAgent(program string, args ...string) (map[string]string, error) {
	c.cmd, c.ended = exec.Command(program, args...), make(chan struct{})
	c.cmd.Stderr = os.Stderr
	out, err := c.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := c.cmd.Start(); err != nil {
		return nil, err
	}
	ready := make(chan map[string]string, 1)
	go func() {
		for s := bufio.NewScanner(out); s.Scan(); {
			if rest, ok := strings.CutPrefix(s.Text(), "ready "); ok {
				ready <- readyAddresses(rest)
			}
		}
		_ = c.cmd.Wait() // it was told to end, or has said why on standard error
		close(c.ended)
	}()
	select {
	case found := <-ready:
		return found, nil
	case <-c.ended:
		return nil, errors.New("it ended at once")
	case <-time.After(patience):
		_ = c.cmd.Process.Kill()
		return nil, errors.New("it is not ready")
	}
}

// readyAddresses reads the addresses of the listeners, which stand in the order of their names.
func readyAddresses(line string) map[string]string {
	_, list, _ := strings.Cut(line, "address=")
	list, _, _ = strings.Cut(list, " ")
	found := map[string]string{}
	for i, address := range strings.Split(list, ",") {
		found[[]string{"http", "https"}[min(i, 1)]] = address
	}
	return found
}

// launch starts a peer in the foreground and waits until it accepts connections.
func launch(name, address string, args ...string) (*contender, error) {
	var complaints bytes.Buffer
	c := &contender{name: name, plain: address, cmd: exec.Command(name, args...), ended: make(chan struct{})}
	c.cmd.Stderr, c.cmd.Stdout = &complaints, &complaints
	if err := c.cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		_ = c.cmd.Wait() // it was told to end
		close(c.ended)
	}()
	for begin := time.Now(); time.Since(begin) < patience; {
		select {
		case <-c.ended:
			return nil, fmt.Errorf("it ended: %s", complaints.String())
		case <-time.After(20 * time.Millisecond):
		}
		if nc, err := net.Dial("tcp", address); err == nil {
			_ = nc.Close()
			return c, nil
		}
	}
	_ = c.cmd.Process.Kill()
	return nil, errors.New("it does not listen")
}

func get(address, path string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, "GET", "http://"+address+path, nil)
	if err != nil {
		return "", err
	}
	r.Host = hostname
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return "", err
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err == nil && answer.StatusCode != 200 {
		err = fmt.Errorf("%s: %s", path, answer.Status)
	}
	return string(body), err
}

func copyFile(from, to string) error {
	data, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	return os.WriteFile(to, data, 0o755)
}

func freePorts(n int) ([]int, error) {
	var ports []int
	for range n {
		ln, err := net.Listen("tcp4", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		defer ln.Close()
		ports = append(ports, ln.Addr().(*net.TCPAddr).Port)
	}
	return ports, nil
}
