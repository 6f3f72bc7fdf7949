package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/ancora-fleet/ancora/dataplane/site"
	"github.com/ancora-fleet/ancora/dataplane/sitefile"
	"github.com/ancora-fleet/ancora/dataplane/wire"
	controlv1 "github.com/ancora-fleet/ancora/proto/ancora/control/v1"
)

// devStart is how long the whole of dev may take to come up.
const devStart = time.Minute

type devOptions struct {
	data, path string
	hosts      int
}

func (p *program) devCommand() *cobra.Command {
	var o devOptions
	c := &cobra.Command{
		Use:   "dev",
		Short: "Try it: a controller and three hosts on this machine, with a site to play with",
		Long: `Try it: a controller and three hosts on this machine, with a site to play with. The hosts are real ancora-agent processes
with directories of their own. It needs no root; Ctrl-C leaves no process and no file.`,
		Example: "  ancora dev\n  ancora dev --path ./publish      # your own folder: web.config, a .dll, or one program",
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return p.dev(cmd.Context(), &o) },
	}
	f := c.Flags()
	f.StringVar(&o.data, "data", "", "keep everything in this `directory` (default: a temporary one)")
	f.StringVar(&o.path, "path", "", "serve this `folder` instead of the demo")
	f.IntVar(&o.hosts, "hosts", 3, "how many hosts, 1 to 20")
	return c
}

// fleet is what dev has started.
type fleet struct {
	*program
	options  *devOptions
	dir      string
	self     string
	agent    string
	children []*child
	ended    chan *child
	listen   map[string]string // host -> address
	order    []string
}

func (p *program) dev(ctx context.Context, o *devOptions) (err error) {
	if o.hosts < 1 || o.hosts > 20 {
		return usagef("--hosts %d is not 1 to 20", o.hosts)
	}
	// Children end when the thread that started them does, so that a killed dev leaves nothing behind.
	runtime.LockOSThread()
	f := &fleet{program: p, options: o, ended: make(chan *child, o.hosts+1), listen: map[string]string{}}
	if err := f.prepare(); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.stop()) }()
	starting, cancel := context.WithTimeout(ctx, devStart)
	defer cancel()
	if err := f.start(starting); err != nil {
		if ctx.Err() != nil {
			return nil // Ctrl-C while it came up
		}
		return err
	}
	f.greet()
	select {
	case <-ctx.Done():
		p.note("stopping")
		return nil
	case c := <-f.ended:
		return fmt.Errorf("%s ended by itself: %s", c.name, c.last())
	}
}

// prepare makes the directory and finds the programs.
func (f *fleet) prepare() (err error) {
	if f.self, err = os.Executable(); err != nil {
		return err
	}
	f.agent = filepath.Join(filepath.Dir(f.self), "ancora-agent")
	if _, err := os.Stat(f.agent); err != nil {
		found, lookErr := lookPath("ancora-agent", f.Getenv("PATH"))
		if lookErr != nil {
			return fmt.Errorf("ancora-agent is neither beside %s nor on PATH", f.self)
		}
		f.agent = found
	}
	if f.options.data == "" {
		f.dir, err = os.MkdirTemp("", "ancora-dev-")
	} else if f.dir, err = filepath.Abs(f.options.data); err == nil {
		err = os.MkdirAll(f.dir, 0o711)
	}
	if err != nil {
		return err
	}
	// Applications run as another user when this is root: they must be able to get to their folders.
	return os.Chmod(f.dir, 0o711)
}

func lookPath(name, path string) (string, error) {
	for _, dir := range filepath.SplitList(path) {
		file := filepath.Join(dir, name)
		if info, err := os.Stat(file); err == nil && !info.IsDir() && info.Mode()&0o111 != 0 {
			return filepath.Abs(file)
		}
	}
	return "", os.ErrNotExist
}

// start brings everything up, the hosts beside each other.
func (f *fleet) start(ctx context.Context) error {
	demo, next, err := f.folders()
	if err != nil {
		return err
	}
	controller, err := f.spawn("controller", f.self, "controller", "--data", filepath.Join(f.dir, "controller"), "--operator-address", "127.0.0.1:0", "--agent-address", "127.0.0.1:0")
	if err != nil {
		return err
	}
	if _, err := controller.await(ctx, "ready "); err != nil {
		return err
	}
	f.contextFile = filepath.Join(f.dir, "controller", "admin.yaml")
	c, err := f.connect()
	if err != nil {
		return err
	}
	for i := range f.options.hosts {
		f.order = append(f.order, fmt.Sprintf("web%d", i+1))
	}
	joins := make(chan error, len(f.order))
	for _, name := range f.order {
		go func() { joins <- f.join(ctx, c, name) }()
	}
	for range f.order {
		if err := <-joins; err != nil {
			return err
		}
	}
	if err := f.runAgents(ctx); err != nil {
		return err
	}
	return f.applyDemo(ctx, c, demo, next)
}

// folders makes the demo's folders, or takes the user's.
func (f *fleet) folders() (demo, next string, err error) {
	if f.options.path != "" {
		demo, err = filepath.Abs(f.options.path)
		return demo, "", err
	}
	for folder, text := range map[string]string{"demo": "hello from demo", "demo2": "hello from demo, the second folder"} {
		dir := filepath.Join(f.dir, folder)
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return "", "", err
		}
		if err := os.WriteFile(filepath.Join(dir, "hello.txt"), []byte(text+"\n"), 0o644); err != nil {
			return "", "", err
		}
		if err := copyProgram(f.agent, filepath.Join(dir, "demo-app")); err != nil {
			return "", "", err
		}
	}
	return filepath.Join(f.dir, "demo"), filepath.Join(f.dir, "demo2"), nil
}

// copyProgram puts a program where an unprivileged user can execute it.
func copyProgram(from, to string) error {
	if os.Link(from, to) == nil && os.Chmod(to, 0o755) == nil {
		return nil
	}
	content, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	return os.WriteFile(to, content, 0o755)
}

func (f *fleet) places(name string) (data, policy string) {
	dir := filepath.Join(f.dir, name)
	return dir, filepath.Join(dir, "agent.yaml")
}

func (f *fleet) join(ctx context.Context, c *client, name string) error {
	token, err := c.tokens.CreateToken(ctx, &controlv1.CreateTokenRequest{Host: name, Labels: map[string]string{"role": "web"}})
	if err != nil {
		return err
	}
	data, policy := f.places(name)
	root := cmp.Or(f.options.path, f.dir)
	if root, err = filepath.Abs(root); err != nil {
		return err
	}
	args := []string{"join", c.context.agents(), "--token", token.GetJoinToken(), "--name", name, "--data", data, "--policy", policy, "--listen", "http=127.0.0.1:0", "--root", root}
	if os.Geteuid() == 0 {
		args = append(args, "--default-user", "65534")
	}
	return runOnce(ctx, f.agent, args...)
}

func (f *fleet) runAgents(ctx context.Context) error {
	agents := map[string]*child{}
	for _, name := range f.order {
		data, policy := f.places(name)
		a, err := f.spawn(name, f.agent, "run", "--data", data, "--policy", policy, "--run-dir", data)
		if err != nil {
			return err
		}
		agents[name] = a
	}
	for _, name := range f.order {
		line, err := agents[name].await(ctx, "ready ")
		if err != nil {
			return err
		}
		_, address, _ := strings.Cut(line, "http=")
		f.listen[name], _, _ = strings.Cut(address, ",")
	}
	return nil
}

// applyDemo pushes the site and waits until every host has it.
func (f *fleet) applyDemo(ctx context.Context, c *client, demo, next string) error {
	s := demoSite(demo, f.options.path == "")
	if next != "" {
		for folder, root := range map[string]string{"demo.yaml": demo, "demo2.yaml": next} {
			if err := os.WriteFile(filepath.Join(f.dir, folder), sitefile.Format(demoSite(root, true)), 0o644); err != nil {
				return err
			}
		}
	}
	answer, err := c.sites.UpdateSite(ctx, &controlv1.UpdateSiteRequest{Site: wire.SiteMessage(s), AllowMissing: true, Confirmed: true})
	if err != nil {
		return err
	}
	stream, err := c.sites.WatchSiteStatus(ctx, &controlv1.WatchSiteStatusRequest{Name: s.Name})
	for err == nil {
		var m *controlv1.WatchSiteStatusResponse
		if m, err = stream.Recv(); err != nil {
			break
		}
		var t tally
		for _, h := range m.GetHosts() {
			o, text := judge(h, answer.GetDigest())
			if o == outcomePending {
				o = outcomeOpen // its session is on its way
			}
			if o == outcomeBad {
				f.note("%s  %s", h.GetHost(), text)
			}
			t.add(o)
		}
		if t.open == 0 && len(m.GetHosts()) == f.options.hosts {
			return nil
		}
	}
	return err
}

func demoSite(root string, demo bool) *site.Site {
	a := site.Application{Path: "/", Root: root}
	if demo {
		a.Profile, a.Command = site.ProfileGeneric, []string{"./demo-app", "demo-app"}
	}
	return &site.Site{
		Name: "demo", Placement: site.Placement{Hosts: "role=web"},
		Bindings: []site.Binding{{Listener: "http"}}, Applications: []site.Application{a},
	}
}

// greet says what there is and what to try.
func (f *fleet) greet() {
	first := f.listen[f.order[0]]
	f.say("ancora dev: controller %s, hosts %s", f.client.context.Address, strings.Join(f.order, " "))
	f.say("")
	for _, name := range f.order {
		f.say("  %s  http://%s", name, f.listen[name])
	}
	f.say("")
	f.say("In another terminal:")
	f.say("")
	f.say("export ANCORA_CONTEXT=%s", f.contextFile)
	for _, line := range []string{
		"curl http://" + first + "                 # starts on the first request",
		"ancora get hosts",
		"ancora logs demo -f",
		"curl http://" + first + "/crash; ancora describe site demo",
		"ancora apply -f " + filepath.Join(f.dir, "demo2.yaml") + " --wait",
		"ancora offline --all --for 10m; curl -i http://" + first,
		"ancora online --all",
	} {
		if f.options.path == "" || !strings.Contains(line, "demo2") && !strings.Contains(line, "crash") {
			f.say("%s", line)
		}
	}
	f.say("")
	f.say("Ctrl-C ends everything. Logs of the programs are in %s", filepath.Join(f.dir, "*.log"))
	var pairs []string
	for _, name := range f.order {
		pairs = append(pairs, name+"="+f.listen[name])
	}
	f.say("ready %s", strings.Join(pairs, " "))
}
