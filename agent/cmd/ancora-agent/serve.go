package main

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/oklog/run"
	"github.com/spf13/cobra"

	"github.com/ancora-fleet/ancora/agent/admin"
	"github.com/ancora-fleet/ancora/agent/policy"
	"github.com/ancora-fleet/ancora/dataplane"
	"github.com/ancora-fleet/ancora/dataplane/journal"
	"github.com/ancora-fleet/ancora/dataplane/keeper/protocol"
	"github.com/ancora-fleet/ancora/dataplane/process"
	"github.com/ancora-fleet/ancora/dataplane/site"
)

// nobody is whom applications run as when the agent is root and nobody says otherwise.
const nobody = "65534"

// defaultListen is where serve listens unless it is told otherwise.
const defaultListen = "127.0.0.1:8080"

type serveOptions struct {
	logging
	processors mostProcessors
	listen     []string
	proxies    []string
	data       string
	user       string
	profile    string
}

// serveCommand runs one folder or site file without a controller, as iisexpress does.
func serveCommand(env environment) *cobra.Command {
	var o serveOptions
	c := &cobra.Command{
		Use:   "serve FOLDER|FILE",
		Short: "Serve a folder, with or without web.config, or the sites of a file; no controller needed",
		Args:  arguments(1),
		RunE:  func(c *cobra.Command, args []string) error { return serve(c.Context(), env, o, args[0]) },
	}
	o.flags(c)
	o.processors.flags(c)
	c.Flags().StringArrayVar(&o.listen, "listen", []string{defaultListen}, "address to listen on, or NAME=ADDRESS for a listener that the file names; port 0 is a free one")
	c.Flags().StringArrayVar(&o.proxies, "trusted-proxy", nil, "network or address of a proxy that is believed about who the client is, like 10.0.0.0/8; may be repeated")
	c.Flags().StringVar(&o.data, "data", "", "directory for output and state (default: one for this folder in the user's state directory)")
	c.Flags().StringVar(&o.profile, "profile", "", "aspnetcore or generic: by which variables applications that name no profile learn their port; generic switches IIS integration off (default aspnetcore, generic for httpPlatform)")
	c.Flags().StringVar(&o.user, "user", "", "user to run applications as when this is root (default 65534); root must be asked for by name")
	return c
}

func serve(ctx context.Context, env environment, o serveOptions, what string) error {
	log, err := o.logger("ancora-agent", env.Err)
	if err != nil {
		return err
	}
	path, err := filepath.Abs(what)
	if err != nil {
		return err
	}
	sites, err := sitesOf(path, o.profile)
	if err != nil {
		return mistake(env, err)
	}
	listeners, err := o.listeners(sites)
	if err != nil {
		return mistake(env, err)
	}
	edges, err := o.edges(listeners)
	if err != nil {
		return mistake(env, err)
	}
	data := cmp.Or(o.data, stateDir(env, path))
	if data, err = filepath.Abs(data); err != nil {
		return err
	}
	own := o.hostPolicy(listeners, edges)
	return underKeeper(ctx, keep{data, env.Args, log, o.processors}, func(ctx context.Context, client *process.Client) error {
		s := &serving{env: env, log: log, policy: own, data: data, sites: sites, client: client}
		return s.run(ctx)
	})
}

// mistake is what no second attempt mends. To a worker that finds a file broken which was good when the agent started it is not: the
// applications go on, and the next worker that finds it mended serves them.
func mistake(env environment, err error) error {
	if env.Getenv(protocol.FDVariable) != "" {
		return err
	}
	return usageError{err}
}

// hostPolicy is that of a host which allows all that its user may.
func (o *serveOptions) hostPolicy(listeners map[string]string, edges map[string]dataplane.Edge) dataplane.Policy {
	return dataplane.Policy{DefaultUser: cmp.Or(o.user, nobody), AllowRoot: o.user == "root" || o.user == "0", Listeners: listeners, Edges: edges}
}

// listeners gives every listener that the sites name its address.
func (o *serveOptions) listeners(sites []*site.Site) (map[string]string, error) {
	named := map[string]bool{}
	for _, s := range sites {
		for _, b := range s.Bindings {
			named[b.Listener] = true
		}
	}
	all := map[string]string{}
	for _, text := range o.listen {
		name, address, ok := strings.Cut(text, "=")
		if !ok {
			name, address = "http", text
			if len(named) == 1 {
				name = slices.Collect(maps.Keys(named))[0]
			}
		}
		if _, _, err := net.SplitHostPort(address); err != nil {
			return nil, fmt.Errorf("--listen %q is not HOST:PORT or NAME=HOST:PORT", text)
		}
		all[name] = address
	}
	var problems []error
	for _, name := range slices.Sorted(maps.Keys(named)) {
		if all[name] == "" {
			problems = append(problems, fmt.Errorf("listener %s has no address: --listen %s=127.0.0.1:%d", name, name, 8080+len(all)+len(problems)))
		}
	}
	return all, errors.Join(problems...)
}

// edges lets every listener trust the proxies that were named.
func (o *serveOptions) edges(listeners map[string]string) (map[string]dataplane.Edge, error) {
	var edge dataplane.Edge
	var problems []error
	for _, text := range o.proxies {
		network, err := policy.Network(text)
		if err != nil {
			problems = append(problems, fmt.Errorf("--trusted-proxy %w", err))
			continue
		}
		edge.TrustedProxies = append(edge.TrustedProxies, network)
	}
	all := map[string]dataplane.Edge{}
	for name := range listeners {
		all[name] = edge
	}
	return all, errors.Join(problems...)
}

// stateDir gives each folder a directory of its own, the same at every start.
func stateDir(env environment, path string) string {
	sum := sha256.Sum256([]byte(path))
	return filepath.Join(stateHome(env), "ancora-agent-serve", labelOf(filepath.Base(path))+"-"+hex.EncodeToString(sum[:4]))
}

// serving is the worker of serve.
type serving struct {
	env    environment
	log    hclog.Logger
	policy dataplane.Policy
	data   string
	sites  []*site.Site
	client *process.Client
	server *dataplane.Server
}

func (s *serving) run(ctx context.Context) error {
	kept, err := journal.Open(dataplane.Captures(s.data), s.log.Named("journal"))
	if err != nil {
		return err
	}
	fresh := len(s.client.Listeners()) == 0
	s.choices()
	s.server = dataplane.New(dataplane.Config{
		Keeper: s.client, Journal: kept, Policy: s.policy, DataDir: s.data, Environ: s.env.Environ, Version: version, Logger: s.log,
	})
	var g run.Group
	for _, action := range []func(context.Context) error{
		s.server.Run,
		func(ctx context.Context) error { return s.announce(ctx, fresh) },
		func(ctx context.Context) error { return s.follow(ctx, kept) },
		admin.New(admin.Config{RunDir: s.data, Version: version, Counts: s.server.Counts, Explain: s.server.Explain, Logger: s.log}).Run,
	} {
		ctx, cancel := context.WithCancel(ctx)
		g.Add(func() error { return action(ctx) }, func(error) { cancel() })
	}
	return g.Run()
}

// choices says what was found to start; what cannot be started, the server says.
func (s *serving) choices() {
	for _, w := range s.sites {
		applications, _ := dataplane.Foresee(dataplane.Config{Policy: s.policy, DataDir: s.data, Environ: s.env.Environ}, w)
		for _, p := range applications {
			if p.Plan != nil {
				s.log.Info("program chosen", "site", w.Name, "application", p.Application.Path, "by", p.Plan.Chosen, "program", p.Plan.Program, "profile", string(p.Plan.Profile))
			}
		}
	}
}

// announce applies the sites and says when they can be reached. What has no address ends a fresh start; a worker that takes
// over from one that crashed goes on with what it can.
func (s *serving) announce(ctx context.Context, fresh bool) error {
	changes := s.server.Subscribe(ctx)
	desired := dataplane.Desired{}
	for _, w := range s.sites {
		desired.Sites = append(desired.Sites, dataplane.DesiredSite{Site: w})
	}
	s.server.Apply(desired)
	for {
		shot := s.server.Snapshot()
		if len(shot.Listeners) > 0 {
			if err := s.ready(shot); err != nil && fresh {
				return usageError{err}
			}
			break
		}
		select {
		case <-ctx.Done():
			return nil
		case <-changes:
		}
	}
	<-ctx.Done()
	return nil
}

// ready prints the line that people and scripts wait for.
func (s *serving) ready(shot dataplane.Snapshot) error {
	var problems []error
	for _, st := range shot.Sites {
		for _, note := range st.Notes {
			if warning, is := strings.CutPrefix(note, dataplane.WarningPrefix); is {
				s.log.Warn("warning", "site", st.Site, "warning", warning)
				continue
			}
			s.log.Info("note", "site", st.Site, "note", note)
		}
		if st.Phase == dataplane.Rejected && !st.Routed { // else its visitors are told, and a mended web.config is enough
			problems = append(problems, fmt.Errorf("site %s: %s", st.Site, st.Reason))
		}
	}
	if len(problems) > 0 {
		return errors.Join(problems...)
	}
	var addresses []string
	for _, l := range shot.Listeners {
		addresses = append(addresses, l.Address)
	}
	_, err := fmt.Fprintf(s.env.Out, "ready address=%s\n", strings.Join(addresses, ","))
	return err
}

// follow prints what the applications print, from now on, and the access log of sites that ask for one.
func (s *serving) follow(ctx context.Context, kept *journal.Journal) error {
	var g run.Group
	for _, w := range s.sites {
		ctx, cancel := context.WithCancel(ctx)
		g.Add(func() error {
			streams := []journal.Stream{journal.Stdout, journal.Stderr, journal.AccessStream}
			for e, err := range kept.Read(ctx, journal.Query{Site: w.Name, Streams: streams, Since: time.Now(), Follow: true}) {
				if err != nil {
					<-ctx.Done()
					return nil
				}
				if _, err := fmt.Fprintf(s.env.Out, "%s%s | %s\n", e.Site, e.Application, printable(e.Line)); err != nil {
					<-ctx.Done() // nobody reads; the applications go on
					return nil
				}
			}
			return nil
		}, func(error) { cancel() })
	}
	return g.Run()
}

// printable keeps control bytes from the terminal.
func printable(line []byte) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' && r != '\t' || r >= 0x7f && r < 0xa0 {
			return '·'
		}
		return r
	}, string(line))
}
