package main

import (
	"context"
	"crypto/tls"
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

	"github.com/ancora-fleet/ancora/tests/lab"
)

// bench is all that runs meanwhile.
type bench struct {
	*options
	*programs
	contenders []*contender // ancora first, then nginx
	instances  map[string]*running
	features   *features // nil until a workload needs them
}

// running is an instance behind the contenders, as ancora has started it.
type running struct {
	pid   int
	where string // a port of 127.0.0.1 or the path of a unix socket
}

// contender is a proxy under test, or one of several ways through it.
type contender struct {
	name, version string
	plain, tls    string // addresses; empty: it cannot do that
	bare          bool   // it passes bytes on, and knows nothing of requests
	*program

	// Of ways through the agent that has the features:
	host        string           // what requests name; empty: hostname
	greeting    string           // what a connection begins with, a PROXY header
	certificate *tls.Certificate // of clients
	behind      *running
	meanwhile   func(context.Context) error // goes on during each run; nil: nothing
	lost        func() (int, error)         // how much of what is to be measured was left undone so far; nil: nothing can be

	size int // of one whole answer to the workload that is played, with its head, in bytes
}

func (c *contender) address(w *workload) string {
	if w.scheme == "https" || w.scheme == "h2" {
		return c.tls
	}
	return c.plain
}

// hostname is what requests name.
func (c *contender) hostname() string {
	if c.host != "" {
		return c.host
	}
	return hostname
}

// dial connects as the workload's requests do, as far as to where they begin.
func (c *contender) dial(w *workload) (net.Conn, error) {
	nc, err := net.Dial("tcp", c.address(w))
	if err != nil {
		return nil, err
	}
	if _, err := io.WriteString(nc, c.greeting); err != nil {
		return nil, errors.Join(err, nc.Close())
	}
	if w.scheme == "https" {
		config := &tls.Config{ServerName: c.hostname(), InsecureSkipVerify: true} // the certificate is our own
		if c.certificate != nil {
			config.Certificates = []tls.Certificate{*c.certificate}
		}
		nc = tls.Client(nc, config)
	}
	return nc, nil
}

// start brings everything up: ancora first, which starts the instances, then the peers with the same instances behind them.
func (b *bench) start() error {
	if err := b.startAncora(); err != nil {
		return fmt.Errorf("ancora: %w", err)
	}
	for _, p := range []struct {
		name  string
		start func() (*contender, error)
	}{{"nginx", b.startNginx}, {"haproxy", b.startHAProxy}, {"caddy", b.startCaddy}, {"floor", b.startFloor}} {
		if _, err := exec.LookPath(p.name); err != nil && p.name != "floor" || !b.wantsContender(p.name) {
			continue
		}
		c, err := p.start()
		if err != nil {
			return fmt.Errorf("%s: %w", p.name, err)
		}
		b.contenders = append(b.contenders, c)
		if _, err := get(c.plain, hostname, "/1k"); err != nil {
			return fmt.Errorf("%s: %w", p.name, err)
		}
	}
	return nil
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
	self, err := os.Executable()
	if err := errors.Join(err, lab.CopyProgram(self, b.self()), b.certificate(), os.MkdirAll(filepath.Join(b.dir, "root"), 0o755)); err != nil {
		return err
	}
	tls := fmt.Sprintf("\n  - {listener: https, tls: {cert: %s/cert.pem, key: %s/key.pem}}", b.dir, b.dir) // wrk names no host in its handshake
	unixApp := fmt.Sprintf("\n  - {path: /unix, root: %[1]s/root, command: [%[1]s/bench, instance], start: always, profile: generic, socket: unix, env: {SOCKET: \"${SOCKET}\"}}", b.dir)
	// What an older version does not know is left out, and with it the workloads that need it.
	for _, try := range []struct{ tls, unix string }{{tls, unixApp}, {tls, ""}, {"", unixApp}, {"", ""}} {
		file, err := b.write("site.yaml", fmt.Sprintf(siteFile, hostname, b.dir, try.tls, try.unix))
		if err != nil {
			return err
		}
		args := []string{"serve", file, "--data", filepath.Join(b.dir, "data"), "--listen", "http=127.0.0.1:0", "--log-level", "error"}
		if try.tls != "" {
			args = append(args, "--listen", "https=127.0.0.1:0")
		}
		p, err := b.startOurs(filepath.Join(b.bin, "ancora-agent"), args...)
		if err != nil {
			continue
		}
		addresses := strings.Split(p.ready["address"], ",") // in the order of the listeners' names
		c := &contender{name: "ancora", plain: addresses[0], program: p}
		if len(addresses) > 1 {
			c.tls = addresses[1]
		}
		b.contenders = append(b.contenders, c)
		return b.findInstances(try.unix != "")
	}
	return errors.New("the agent does not start")
}

func (b *bench) findInstances(unix bool) (err error) {
	c := b.contenders[0]
	b.instances = map[string]*running{}
	if b.instances[""], err = findInstance(c.plain, hostname, "/where"); err == nil && unix {
		b.instances["/unix"], err = findInstance(c.plain, hostname, "/unix/where")
	}
	c.version = firstLine(filepath.Join(b.bin, "ancora-agent"), "version")
	return err
}

// findInstance asks who answers.
func findInstance(address, host, path string) (*running, error) {
	text, err := get(address, host, path)
	if err != nil {
		return nil, err
	}
	pid, where, _ := strings.Cut(strings.TrimSpace(text), " ")
	n, err := strconv.Atoi(pid)
	if err != nil {
		return nil, fmt.Errorf("%s%s answers %q", host, path, text)
	}
	return &running{n, where}, nil
}

func get(address, host, path string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, "GET", "http://"+address+path, nil)
	if err != nil {
		return "", err
	}
	r.Host = host
	return body(http.DefaultClient.Do(r))
}

// body reads an answer, which has to be 200.
func body(answer *http.Response, err error) (string, error) {
	if err != nil {
		return "", err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err == nil && answer.StatusCode != 200 {
		err = fmt.Errorf("%s: %s", answer.Request.URL, answer.Status)
	}
	return string(text), err
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
