package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/ancora-fleet/ancora/tests/lab"
)

// features is an agent with everything that can be switched on, each for a listener or a site of its own, so that the same
// process is compared with itself. It runs as on a host of a fleet, for most of it is in the host's policy, and what `serve`
// does besides, copying the access log to its standard output, is not measured.
type features struct {
	*program
	addresses   map[string]string   // of listeners, by name
	instances   map[string]*running // by hostname
	socket      string              // for those who ask for the counters
	certificate tls.Certificate
}

const policyFile = `
roots: [%[1]s]
listeners:
  http: 127.0.0.1:0
  https: 127.0.0.1:0
  h2c: {address: 127.0.0.1:0, protocols: [http/1.1, h2c]}
  trusted: {address: 127.0.0.1:0, trustedProxies: [127.0.0.0/8]}
  proxied: {address: 127.0.0.1:0, proxyProtocol: true}
  capped: {address: 127.0.0.1:0, maxConnectionsPerSource: 10000}
`

// featureSites have an instance each. The first one is also what the others are compared with.
const featureSites = `
apiVersion: ancora/v1
kind: Site
name: bench
placement: {hosts: all}
bindings:
  - {listener: http, hostnames: [bench.test]}
  - {listener: https, hostnames: [bench.test], tls: {cert: %[1]s/cert.pem, key: %[1]s/key.pem}}
  - {listener: h2c, hostnames: [bench.test]}
  - {listener: trusted, hostnames: [bench.test]}
  - {listener: proxied, hostnames: [bench.test]}
  - {listener: capped, hostnames: [bench.test]}
applications:
  - {root: %[1]s/root, command: [%[1]s/bench, instance], start: always}
---
apiVersion: ancora/v1
kind: Site
name: cert
placement: {hosts: all}
bindings:
  - {listener: http, hostnames: [cert.test]}
  - {listener: https, hostnames: [cert.test], tls: {cert: %[1]s/cert.pem, key: %[1]s/key.pem, clientCert: {mode: require, ca: %[1]s/cert.pem}}}
applications:
  - {root: %[1]s/root, command: [%[1]s/bench, instance], start: always}
`

const featureSite = `---
apiVersion: ancora/v1
kind: Site
name: %[2]s
placement: {hosts: all}
bindings:
  - {listener: http, hostnames: ["%[3]s"]}
%[4]sapplications:
  - {root: %[1]s/root, command: [%[1]s/bench, instance], start: always%[5]s}
`

// startFeatures starts the agent by a controller, which ends when everything is served: a host goes on without.
func (b *bench) startFeatures() (*features, error) {
	data := filepath.Join(b.dir, "controller")
	controller, err := b.startOurs(filepath.Join(b.bin, "ancora"), "controller", "--data", data,
		"--operator-address", "127.0.0.1:0", "--agent-address", "127.0.0.1:0", "--log-level", "error")
	if err != nil {
		return nil, err
	}
	defer controller.Stop()
	operator := []string{"ANCORA_CONTEXT=" + filepath.Join(data, "admin.yaml")}
	token, err := output(0, operator, filepath.Join(b.bin, "ancora"), "token", "create", "--host", "bench", "-o", "token")
	if err != nil {
		return nil, err
	}
	policy := fmt.Sprintf(policyFile, b.dir)
	if os.Geteuid() == 0 {
		policy += "defaultUser: \"65534\"\n"
	}
	host := filepath.Join(b.dir, "host")
	file, err := b.write("agent.yaml", policy)
	if err != nil {
		return nil, err
	}
	if _, err := output(0, nil, filepath.Join(b.bin, "ancora-agent"), "join", controller.ready["agents"], "--token", token, "--name", "bench", "--data", host, "--policy", file); err != nil {
		return nil, err
	}
	f := &features{socket: filepath.Join(host, "run", "admin.sock")}
	f.program, err = b.startOurs(filepath.Join(b.bin, "ancora-agent"), "run", "--data", host, "--policy", file, "--run-dir", filepath.Dir(f.socket), "--log-level", "error")
	if err != nil {
		return nil, err
	}
	f.addresses = lab.Pairs(f.ready["address"], ",")
	if file, err = b.write("features.yaml", b.featureSites()); err != nil {
		return nil, err
	}
	if _, err := output(0, operator, filepath.Join(b.bin, "ancora"), "apply", "-f", file, "--wait", "--timeout", patience.String()); err != nil {
		return nil, err
	}
	f.instances = map[string]*running{}
	for _, name := range []string{hostname, "cert.test", "json.test", "combined.test", "w3c.test", "generic.test", "any.wildcard.test", "no-timeout.test"} {
		if f.instances[name], err = findInstance(f.addresses["http"], name, "/where"); err != nil {
			return nil, err
		}
	}
	f.certificate, err = tls.LoadX509KeyPair(filepath.Join(b.dir, "cert.pem"), filepath.Join(b.dir, "key.pem"))
	return f, err
}

func (b *bench) featureSites() string {
	text := fmt.Sprintf(featureSites, b.dir)
	for _, s := range []struct{ name, host, more, application string }{
		{name: "json", more: "accessLog: json\n"},
		{name: "combined", more: "accessLog: combined\n"},
		{name: "w3c", more: "accessLog: w3c\n"},
		{name: "generic", application: ", profile: generic"},
		{name: "wildcard", host: "*.wildcard.test"},
		{name: "no-timeout", application: ", requestTimeout: 0s"},
	} {
		if s.host == "" {
			s.host = s.name + ".test"
		}
		text += fmt.Sprintf(featureSite, b.dir, s.name, s.host, s.more, s.application)
	}
	return text
}

// through is the way through the agent on which one feature is switched on, or none.
func (f *features) through(w *workload, on feature) *contender {
	c := &contender{name: on.name, plain: f.addresses["http"], tls: f.addresses["https"], program: f.program, host: on.host, greeting: on.greeting}
	if on.listener != "" {
		c.plain = f.addresses[on.listener]
	}
	if on.certificate {
		c.certificate = &f.certificate
	}
	if on.scraped {
		c.meanwhile = f.scrape
	}
	if on.accessLog {
		c.lost = func() (int, error) { return f.linesDropped(on.name) }
	}
	c.behind = f.instances[c.hostname()]
	return c
}

// scrape asks for the counters at once and then once a second, until ctx ends.
func (f *features) scrape(ctx context.Context) error {
	every := time.NewTicker(time.Second)
	defer every.Stop()
	for {
		if _, err := f.counters(); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-every.C:
		}
	}
}

// counters asks for them, by the agent's admin socket.
func (f *features) counters() (string, error) {
	client := http.Client{Timeout: patience, Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", f.socket)
	}}}
	text, err := body(client.Get("http://admin/metrics"))
	if err == nil && !strings.Contains(text, "ancora_requests_total") {
		err = errors.New("the counters are not among the metrics")
	}
	return text, err
}

// linesDropped is how many lines a site's access log has lost so far: what was not written has not cost its part.
func (f *features) linesDropped(site string) (int, error) {
	text, err := f.counters()
	if err != nil {
		return 0, err
	}
	_, value, ok := strings.Cut(text, "\nancora_access_lines_dropped_total{site=\""+site+"\"} ")
	if !ok {
		return 0, fmt.Errorf("no word of how many lines %s has lost", site)
	}
	value, _, _ = strings.Cut(value, "\n")
	n, err := strconv.ParseFloat(value, 64)
	return int(n), err
}
