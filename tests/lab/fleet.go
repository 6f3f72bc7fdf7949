package lab

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// Fleet is a controller and the agents that joined it, each in a directory of its own below Dir.
type Fleet struct {
	T   testing.TB
	Dir string
	// Controller runs; Operators and Agents are its addresses, which stay over restarts.
	Controller        *Program
	Operators, Agents string
	// Hosts are the agents that run, by name.
	Hosts map[string]*Host
}

// Host is one agent.
type Host struct {
	*Program
	Name, Data, Policy string
	// Address is that of its listener http.
	Address string
}

// NewFleet starts a controller on free ports.
func NewFleet(t testing.TB) *Fleet {
	t.Helper()
	f := &Fleet{T: t, Dir: Dir(t), Operators: "127.0.0.1:0", Agents: "127.0.0.1:0", Hosts: map[string]*Host{}}
	f.StartController()
	return f
}

// StartController starts it again, on the same ports and data.
func (f *Fleet) StartController() {
	f.T.Helper()
	f.Controller = Start(f.T, nil, Bin(f.T, "ancora"), "controller", "--data", f.ControllerData(), "--operator-address", f.Operators, "--agent-address", f.Agents)
	ready := f.Controller.Ready(f.T)
	f.Operators, f.Agents = ready["address"], ready["agents"]
}

// ControllerData is the controller's data directory.
func (f *Fleet) ControllerData() string { return filepath.Join(f.Dir, "controller") }

// Env makes the command line use the controller.
func (f *Fleet) Env() []string {
	return []string{"ANCORA_CONTEXT=" + filepath.Join(f.ControllerData(), "admin.yaml")}
}

// CLI runs a verb to its end.
func (f *Fleet) CLI(args ...string) Result {
	f.T.Helper()
	return Run(f.T, f.Env(), Bin(f.T, "ancora"), args...)
}

// Must runs a verb that must succeed and gives what it printed.
func (f *Fleet) Must(args ...string) string {
	f.T.Helper()
	r := f.CLI(args...)
	if r.Code != 0 {
		f.T.Fatalf("ancora %s: exit code %d\n%s%s", strings.Join(args, " "), r.Code, r.Out, r.Errors)
	}
	return r.Out
}

// Background starts a verb that goes on, as logs -f does.
func (f *Fleet) Background(args ...string) *Program {
	f.T.Helper()
	return Start(f.T, f.Env(), Bin(f.T, "ancora"), args...)
}

// Token makes a join token.
func (f *Fleet) Token(args ...string) string {
	f.T.Helper()
	return strings.TrimSpace(f.Must(append([]string{"token", "create", "-o", "token"}, args...)...))
}

// Join joins a host and starts its agent.
func (f *Fleet) Join(name string, labels ...string) *Host {
	f.T.Helper()
	args := []string{"--host", name}
	for _, l := range labels {
		args = append(args, "--label", l)
	}
	h := f.NewHost(name)
	if r := f.JoinOnly(h, f.Token(args...)); r.Code != 0 {
		f.T.Fatalf("join %s: %s", name, r.Errors)
	}
	f.Run(h)
	f.Connected(name)
	return h
}

// RunDir is where the host's admin socket is.
func (h *Host) RunDir() string { return filepath.Join(h.Data, "run") }

// NewHost makes the places of a host.
func (f *Fleet) NewHost(name string) *Host {
	dir := filepath.Join(f.Dir, name)
	return &Host{Name: name, Data: dir, Policy: filepath.Join(dir, "agent.yaml")}
}

// JoinOnly exchanges a token for an identity.
func (f *Fleet) JoinOnly(h *Host, token string) Result {
	f.T.Helper()
	args := []string{"join", f.Agents, "--token", token, "--name", h.Name, "--data", h.Data, "--policy", h.Policy, "--listen", "http=127.0.0.1:0", "--root", f.Dir}
	if os.Geteuid() == 0 {
		args = append(args, "--default-user", "65534")
	}
	if dotnet := os.Getenv("ANCORA_DOTNET"); dotnet != "" {
		args = append(args, "--root", dotnet)
	}
	return Run(f.T, nil, Bin(f.T, "ancora-agent"), args...)
}

// Run starts a host's agent, again after it ended.
func (f *Fleet) Run(h *Host) {
	f.T.Helper()
	var env []string
	if dotnet := os.Getenv("ANCORA_DOTNET"); dotnet != "" {
		env = append(env, "DOTNET_ROOT="+filepath.Join(dotnet, "runtime"))
	}
	h.Program = Start(f.T, env, Bin(f.T, "ancora-agent"), "run", "--data", h.Data, "--policy", h.Policy, "--run-dir", h.RunDir())
	h.Address = strings.TrimPrefix(h.Ready(f.T)["address"], "http=")
	f.Hosts[h.Name] = h
}

// Connected waits until the controller has a host's session.
func (f *Fleet) Connected(name string) { f.State(name, "connected") }

// State waits until the controller believes this of a host.
func (f *Fleet) State(name, state string) {
	f.T.Helper()
	Eventually(f.T, func() string {
		r := f.CLI("get", "hosts", name)
		if r.Code == 0 && strings.Contains(r.Out, " "+state+" ") {
			return ""
		}
		return "host " + name + " is not " + state + ": " + r.Out + r.Errors
	})
}

// Site writes a site file below the fleet's directory and gives its path. The application is childapp in a folder of its
// own.
func (f *Fleet) Site(name, placement string, childapp ...string) string {
	f.T.Helper()
	Folder(f.T, f.Dir, "sites/"+name, nil)
	command := []string{Bin(f.T, "childapp")}
	command = append(command, childapp...)
	for i, c := range command {
		command[i] = `"` + c + `"`
	}
	return Write(f.T, f.Dir, name+".yaml", strings.Join([]string{
		"apiVersion: ancora/v1", "kind: Site", "name: " + name, `placement: {hosts: "` + placement + `"}`,
		"bindings: [{listener: http, hostnames: [" + name + ".example]}]",
		"applications:", "  - root: " + f.Dir + "/sites/" + name, "    command: [" + strings.Join(command, ", ") + "]", "",
	}, "\n"))
}

// Get asks a host for a path of a site.
func (f *Fleet) Get(host, site, path string) Answer {
	f.T.Helper()
	a, err := Try(f.Hosts[host].Address, path, site+".example")
	if err != nil {
		f.T.Fatalf("GET %s of %s on %s: %v", path, site, host, err)
	}
	return a
}

// Within runs f and says how long it took.
func Within(f func()) time.Duration {
	begin := time.Now()
	f()
	return time.Since(begin)
}
