package agent

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"

	"github.com/hashicorp/go-hclog"
	"golang.org/x/sys/unix"

	"github.com/ancora-fleet/ancora/dataplane"
	"github.com/ancora-fleet/ancora/dataplane/atomicfile"
	typesv1 "github.com/ancora-fleet/ancora/proto/ancora/types/v1"
)

// facts are what the host says of itself.
func (a *Agent) facts() *typesv1.HostFacts {
	f := &typesv1.HostFacts{Os: osName(), Arch: runtime.GOARCH, Cpus: uint32(runtime.NumCPU())}
	var name unix.Utsname
	if unix.Uname(&name) == nil {
		f.Kernel = unix.ByteSliceToString(name.Release[:])
	}
	var memory unix.Sysinfo_t
	if unix.Sysinfo(&memory) == nil {
		f.MemoryBytes = memory.Totalram * uint64(memory.Unit)
	}
	for _, l := range a.server.Snapshot().Listeners {
		f.Listeners = append(f.Listeners, &typesv1.ListenerFact{Name: l.Name, Address: l.Address, Error: l.Error})
	}
	return f
}

func osName() string {
	data, _ := os.ReadFile("/etc/os-release")
	for line := range strings.Lines(string(data)) {
		if name, ok := strings.CutPrefix(strings.TrimSpace(line), "PRETTY_NAME="); ok {
			return strings.Trim(name, `"`)
		}
	}
	return runtime.GOOS
}

// valid makes lines of any bytes into text that a message can carry.
func valid(lines []string) []string {
	all := make([]string, len(lines))
	for i, line := range lines {
		all[i] = strings.ToValidUTF8(line, "\uFFFD")
	}
	return all
}

// ports remembers which port a listener got whose policy says 0, so that it has the same one after a restart (D13).
type ports struct {
	path string

	mu    sync.Mutex
	known map[string]string // address by name, as bound
	asked map[string]string // address by name, as the policy says
}

// openPorts reads what was kept. A damaged file costs the ports, not the start.
func openPorts(dataDir string, log hclog.Logger) (*ports, error) {
	p := &ports{path: filepath.Join(dataDir, "listeners.json"), known: map[string]string{}, asked: map[string]string{}}
	data, err := os.ReadFile(p.path)
	if errors.Is(err, fs.ErrNotExist) {
		return p, nil
	}
	if err != nil {
		return nil, fmt.Errorf("chosen ports: %w", err)
	}
	if err := json.Unmarshal(data, &p.known); err != nil || p.known == nil {
		log.Warn("chosen ports are lost", "path", p.path, "error", err)
		p.known = map[string]string{}
	}
	return p, nil
}

// settle puts the known ports in place of 0.
func (p *ports) settle(listeners map[string]string) map[string]string {
	p.mu.Lock()
	defer p.mu.Unlock()
	settled := maps.Clone(listeners)
	p.asked = listeners
	for name, address := range listeners {
		host, port, err := net.SplitHostPort(address)
		if err != nil || port != "0" {
			continue
		}
		if _, chosen, err := net.SplitHostPort(p.known[name]); err == nil {
			settled[name] = net.JoinHostPort(host, chosen)
		}
	}
	return settled
}

// keep remembers the ports that were chosen.
func (p *ports) keep(listeners []dataplane.Listener, log hclog.Logger) {
	p.mu.Lock()
	defer p.mu.Unlock()
	changed := false
	for _, l := range listeners {
		_, port, err := net.SplitHostPort(p.asked[l.Name])
		if err == nil && port == "0" && l.Error == "" && p.known[l.Name] != l.Address {
			p.known[l.Name] = l.Address
			changed = true
		}
	}
	if !changed {
		return
	}
	data, err := json.Marshal(p.known)
	if err == nil {
		err = atomicfile.Write(p.path, data, 0o600)
	}
	if err != nil {
		log.Warn("chosen ports are not kept", "error", err)
	}
}
