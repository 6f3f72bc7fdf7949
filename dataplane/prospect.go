package dataplane

import (
	"fmt"
	"maps"
	"net"
	"slices"
	"strings"

	"github.com/ancora-fleet/ancora/dataplane/goodconfig"
	"github.com/ancora-fleet/ancora/dataplane/launch"
	"github.com/ancora-fleet/ancora/dataplane/process"
	"github.com/ancora-fleet/ancora/dataplane/rlimit"
	"github.com/ancora-fleet/ancora/dataplane/secure"
	"github.com/ancora-fleet/ancora/dataplane/site"
	"github.com/ancora-fleet/ancora/dataplane/webconfig"
)

// Prospect is how an application would run on this host. What is not known, because of a problem, is empty.
type Prospect struct {
	Application *site.Application
	// Root is the application's folder, symbolic links resolved.
	Root string
	// User is whom it runs as, UID its number; Credential is nil for whom the agent runs as.
	User       string
	UID        uint32
	Credential *process.Credential
	// Home is its HOME; OwnHome says that it is a folder that the agent makes for the application.
	Home    string
	OwnHome bool
	// Config is its web.config, with what those above leave to it; nil when there is none.
	Config *webconfig.Config
	// Plan is what is started; nil when that could not be found out.
	Plan *launch.Plan
	// Notes are those of a site's status.
	Notes []webconfig.Note
	// Problems are all that keep it from running.
	Problems []error

	texts []goodconfig.File // that Config was made of
	// answers says, where a Config was read, how errors are answered, even if there is no Plan.
	answers *launch.Plan
}

// Foresee says how the applications of a site would run here, by the same rules as Server.Apply, but makes and starts nothing.
// Of config it needs Policy, DataDir and Environ. problems are those of the site itself: its listeners and certificates.
func Foresee(config Config, w *site.Site) (applications []*Prospect, problems []error) {
	h := host{policy: &config.Policy, dataDir: config.DataDir, environ: config.Environ}
	address := func(listener string) string { return config.Policy.Listeners[listener] }
	for i, b := range w.Bindings {
		if address(b.Listener) == "" {
			problems = append(problems, fmt.Errorf(
				"listener %s is not declared in this host's policy (%s)", b.Listener, strings.Join(slices.Sorted(maps.Keys(config.Policy.Listeners)), ", ")))
		}
		if b.TLS == nil {
			continue
		}
		probe, err := secure.NewProbe()
		if err == nil {
			_, err = secure.Read(b.TLS, probe)
		}
		if err != nil {
			problems = append(problems, fmt.Errorf("bindings[%d].tls: %w", i, err))
		}
	}
	for i := range w.Applications {
		p, _ := h.prospect(w, &w.Applications[i], httpsPort(w, address))
		applications = append(applications, p)
	}
	return applications, problems
}

// host is what of this machine decides how applications run.
type host struct {
	policy  *Policy
	dataDir string
	environ []string
	// make says that folders of applications are made when they are missing.
	make bool
	// instead gives the web.config files that count, not those that are there; nil, or nothing given: these count.
	instead func(there []goodconfig.File) []goodconfig.File
}

// prospect goes on after a problem as far as what follows can be told without what is missing.
func (h host) prospect(w *site.Site, a *site.Application, httpsPort *string) (*Prospect, account) {
	p := &Prospect{Application: a}
	wrong := func(err error) bool {
		p.Problems = append(p.Problems, unjoin(err)...)
		return err != nil
	}
	root, err := h.policy.allowedRoot(a.Root)
	if wrong(err) {
		return p, account{}
	}
	p.Root = root
	who, err := h.policy.account(a.User)
	known := !wrong(err)
	if known {
		p.User, p.UID, p.Credential = who.name, who.uid, who.credential
		if !wrong(who.reaches(root)) {
			p.Home, p.OwnHome, err = h.home(w.Name, a.Path, who)
			wrong(err)
		}
	}
	if p.Config, err = h.config(p, w, a, root); wrong(err) {
		return p, who
	}
	p.answers, err = launch.Resolve(launch.Input{
		Application: a, Root: root, Site: w.Name, Config: p.Config, Dotnet: h.policy.Dotnet, Environ: h.environ, HTTPSPort: httpsPort,
		Inherited: launch.Inherit(h.environ, launch.User{Name: p.User, Home: p.Home}), Roots: h.policy.Roots, StackLimit: rlimit.Stack(),
	})
	if wrong(err) {
		return p, who
	}
	p.Plan = p.answers
	if known {
		wrong(who.reaches(p.Plan.Program))
	}
	p.Notes = append(p.Plan.Notes, h.policy.exposed(w, p.Plan)...)
	return p, who
}

// config reads the web.config of an application, with what those above it leave to it.
func (h host) config(p *Prospect, w *site.Site, a *site.Application, root string) (*webconfig.Config, error) {
	texts, unreadable := h.policy.readTexts(w, a, root)
	if h.instead != nil {
		if others := h.instead(texts); others != nil {
			texts, unreadable = others, nil
		}
	}
	if unreadable != nil {
		return nil, unreadable
	}
	p.texts = texts
	return parseTexts(w, a, texts)
}

// httpsPort is the one port on which visitors find the site over TLS; nil when there is none, empty when there are several.
func httpsPort(w *site.Site, address func(listener string) string) *string {
	var port *string
	for _, b := range w.Bindings {
		if b.TLS == nil {
			continue
		}
		_, p, err := net.SplitHostPort(address(b.Listener))
		switch {
		case err != nil: // it is not open, and its sites do not run
		case port == nil:
			port = &p
		case *port != p:
			port = new(string)
		}
	}
	return port
}

// exposed warns of an application that tells visitors what went wrong in it, where others than this host's users are visitors.
func (policy *Policy) exposed(w *site.Site, plan *launch.Plan) []webconfig.Note {
	if plan.Exposes == "" {
		return nil
	}
	for _, b := range w.Bindings {
		if address := policy.Listeners[b.Listener]; address != "" && !loopback(address) {
			return []webconfig.Note{{Kind: webconfig.Warning, Text: fmt.Sprintf(
				"%s shows visitors of listener %s (%s) what goes wrong in the application: it is meant for developers", plan.Exposes, b.Listener, address)}}
		}
	}
	return nil
}
