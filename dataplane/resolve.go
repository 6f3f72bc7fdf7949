package dataplane

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"

	"github.com/ancora-fleet/ancora/dataplane/app"
	"github.com/ancora-fleet/ancora/dataplane/capture"
	"github.com/ancora-fleet/ancora/dataplane/explain"
	"github.com/ancora-fleet/ancora/dataplane/filter"
	"github.com/ancora-fleet/ancora/dataplane/forward"
	"github.com/ancora-fleet/ancora/dataplane/goodconfig"
	"github.com/ancora-fleet/ancora/dataplane/launch"
	"github.com/ancora-fleet/ancora/dataplane/process"
	"github.com/ancora-fleet/ancora/dataplane/route"
	"github.com/ancora-fleet/ancora/dataplane/site"
	"github.com/ancora-fleet/ancora/dataplane/supervise"
	"github.com/ancora-fleet/ancora/dataplane/turnstile"
	"github.com/ancora-fleet/ancora/dataplane/upstream"
	"github.com/ancora-fleet/ancora/dataplane/webconfig"
)

// resolution is how the applications of a site are to run on this host.
type resolution struct {
	specs map[string]*app.Spec
	// refused has those whose web.config cannot be used; the others may run without them.
	refused map[string]refusal
	notes   []string
	// others says that there are problems of another kind: none of it may run.
	others       bool
	certificates []*certificates
}

// refusal is an application whose web.config cannot be used.
type refusal struct {
	root string
	*app.Refusal
}

// resolve says how each application of a site is to run on this host; what stands in the way is all told at once. One that is
// refused for its web.config and does not run yet may have run with another one, which counts then.
func (s *Server) resolve(r *runningSite, w *site.Site, revision, epoch int64) (*resolution, error) {
	found := &resolution{specs: map[string]*app.Spec{}, refused: map[string]refusal{}}
	var problems []error
	for i := range w.Applications {
		a := &w.Applications[i]
		on := candidate{s, w, a, revision, epoch}
		spec, p, err := on.resolve(r.apps[a.Path])
		notes := p.Notes
		if err != nil {
			problems = append(problems, fmt.Errorf("application %s: %w", a.Path, err))
			refused := s.refuse(a, p, err)
			if refused == nil {
				found.others = true
				continue
			}
			found.refused[a.Path] = *refused
			if spec, notes = on.lastGood(r.apps[a.Path], refused); spec == nil {
				continue
			}
		}
		found.specs[a.Path] = spec
		for _, n := range notes[:min(len(notes), mostNotes)] {
			found.notes = append(found.notes, note(a.Path, n))
		}
	}
	return found, errors.Join(problems...)
}

// mostNotes bounds the notes of an application: they travel with every status of its site.
const mostNotes = 200

// note spells a note for a site's status.
func note(path string, n webconfig.Note) string {
	text := fmt.Sprintf("%s: %.1000s", path, n.Text)
	if n.Kind == webconfig.Warning {
		return WarningPrefix + text
	}
	return text
}

// refuse says what visitors of an application get whose web.config cannot be used; nil when it is not about that.
func (s *Server) refuse(a *site.Application, p *Prospect, err error) *refusal {
	var problems webconfig.Errors
	for _, e := range unjoin(err) {
		of, ok := errors.AsType[webconfig.Errors](e)
		if !ok {
			return nil
		}
		problems = append(problems, of...)
	}
	root, err := s.policy.allowedRoot(a.Root)
	if err != nil {
		return nil
	}
	why := &app.Refusal{Code: problems.Code(), Err: problems}
	if p.answers != nil {
		why.Answers = answersOf(p.answers)
		return &refusal{root, why}
	}
	why.Development = launch.Development(a.Env) // the site's own is all that is known
	if link, usable := launch.ErrorLink(a.Env, s.config.Environ); usable {
		why.ErrorLink = link
	}
	return &refusal{root, why}
}

// candidate is an application as a revision of its site wants it.
type candidate struct {
	*Server
	site            *site.Site
	application     *site.Application
	revision, epoch int64
}

// resolve says how it is to run by the files that are there; of what is pinned, by those it has begun with.
func (c candidate) resolve(running *runningApp) (*app.Spec, *Prospect, error) {
	return c.resolveWith(func(there []goodconfig.File) []goodconfig.File { return c.pinned(running, there) })
}

// resolveBy says how it is to run by the web.config files given.
func (c candidate) resolveBy(texts []goodconfig.File) (*app.Spec, *Prospect, error) {
	return c.resolveWith(func([]goodconfig.File) []goodconfig.File { return texts })
}

func (c candidate) resolveWith(instead func(there []goodconfig.File) []goodconfig.File) (*app.Spec, *Prospect, error) {
	s, w, a := c.Server, c.site, c.application
	h := host{policy: &s.policy, dataDir: s.config.DataDir, environ: s.config.Environ, make: true, instead: instead}
	p, who := h.prospect(w, a, httpsPort(w, s.listeners.address))
	if len(p.Problems) > 0 {
		return nil, p, errors.Join(p.Problems...)
	}
	spec := s.spec(w, a, p.Root, who, p.Plan)
	spec.Texts, spec.Pool.Revision, spec.Pool.Epoch = p.texts, c.revision, c.epoch
	spec.Pool.Witness = s.newWitness(w.Name, a.Path, who, p.Plan)
	if err := s.shadow(spec, who, p.Plan); err != nil {
		return nil, p, err
	}
	if p.Plan.Unix {
		dir, err := h.sockets(w.Name, a.Path, who)
		if err != nil {
			return nil, p, err
		}
		spec.Pool.SocketDir = dir
	}
	if p.Plan.Stack > 0 && !s.config.Keeper.LimitsStacks() {
		p.Notes = append(p.Notes, webconfig.Note{Kind: webconfig.Warning, Text: "stackSize has no effect until the agent's keeper, which is of an earlier version, has been restarted"})
	}
	return spec, p, nil
}

func (s *Server) spec(w *site.Site, a *site.Application, root string, who account, plan *launch.Plan) *app.Spec {
	idle := upstream.IdleASPNETCore
	paired := plan.Profile == site.ProfileASPNETCore
	if !paired {
		idle = upstream.IdleGeneric
	}
	base := a.Path
	if base == "/" {
		base = ""
	}
	captures := Captures(s.config.DataDir)
	return &app.Spec{
		Pool: supervise.Config{
			Site: w.Name, Application: a.Path, Fingerprint: plan.Fingerprint() + who.String(),
			Command: func(at process.Endpoint, copy string) []string { return plan.Command(at.Port, at.Socket, copy) },
			Environ: func(at process.Endpoint, token string) []string { return plan.Environ(at.Port, at.Socket, token) },
			Dir:     plan.Dir, Credential: who.credential, InProcess: plan.InProcess, Patient: plan.Patient, Stack: plan.Stack, Warmup: warmup(w, plan),
			Startup: plan.Startup, Shutdown: plan.Shutdown, RapidFails: plan.RapidFails, Instances: plan.Instances, Retries: plan.Retries, Always: a.Start == site.StartAlways,
			Protocol: plan.Protocol, Port: plan.Port, Token: plan.Token, Silent: plan.Silent, Paired: paired, Base: base, Idle: idle,
			RunDir: func(run uint64) string { return capture.RunDir(captures, w.Name, a.Path, run) },
			Keeper: s.config.Keeper, Journal: s.config.Journal, Ports: s.ports, Logger: s.log.Named("supervise"),
		},
		Least: plan.Least, Cookie: plan.Cookie, Root: root, Answers: answersOf(plan), Drain: plan.Drain, Alone: plan.Alone, Pinned: plan.Pinned, Generic: !paired, RequestTimeout: plan.Request,
		BodyLimit: bodyLimit(plan.BodyLimit),
		Limits:    turnstile.Limits{Places: plan.Concurrency, Line: plan.Queue, Patience: plan.QueueTimeout},
		Recycle:   s.recycleRules(w, a),
	}
}

// answersOf takes out of a plan what also holds where nothing can be started.
func answersOf(plan *launch.Plan) app.Answers {
	return app.Answers{
		Filter: filter.Compile(plan.Rules), Handlers: handlers(plan.Handlers), Mapped: mapped(plan),
		PlainErrors: plan.PlainErrors, Development: plan.Development, ErrorLink: plan.ErrorLink,
	}
}

func loopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return false
	}
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.IsLoopback()
}

// handlers compiles what web.config sends to an application; nil is everything.
func handlers(all []webconfig.Handler) *route.Handlers {
	if all == nil {
		return nil
	}
	list := make([]route.Handler, len(all))
	for i, h := range all {
		list[i] = route.Handler{Path: h.Path, Verbs: h.Verbs}
	}
	return route.NewHandlers(list)
}

// mapped describes the handlers of an application.
func mapped(plan *launch.Plan) []app.Mapped {
	all := plan.Handlers
	if plan.Everything != nil {
		all = []webconfig.Handler{*plan.Everything}
	}
	var list []app.Mapped
	for _, h := range all {
		at := explain.Place{File: h.At.File, Line: h.At.Line, Column: h.At.Column}
		list = append(list, app.Mapped{Text: fmt.Sprintf("handler %s (%v) sends it to the application", h.Name, h), At: at})
	}
	return list
}

// bodyLimit spells a limit as the forwarder does, to whom 0 is the default.
func bodyLimit(bytes int64) int64 {
	switch bytes {
	case site.Unlimited:
		return forward.Unlimited
	case 0:
		return forward.NoBody
	}
	return bytes
}

// allowedRoot gives the true folder of an application, if the policy lets applications live there.
func (policy *Policy) allowedRoot(root string) (string, error) {
	real, err := filepath.EvalSymlinks(root)
	if err != nil {
		return "", fmt.Errorf("root %s: %w", root, unwrapPath(err))
	}
	if info, err := os.Stat(real); err != nil || !info.IsDir() {
		return "", fmt.Errorf("root %s is not a folder", root)
	}
	if len(policy.Roots) == 0 {
		return real, nil
	}
	for _, allowed := range policy.Roots {
		if top, err := filepath.EvalSymlinks(allowed); err == nil && (real == top || strings.HasPrefix(real, strings.TrimSuffix(top, "/")+"/")) {
			return real, nil
		}
	}
	return "", fmt.Errorf("root %s is not below a folder that this host's policy allows (roots: %s)", root, strings.Join(policy.Roots, ", "))
}

// unwrapPath takes the path out of an error that names it again.
func unwrapPath(err error) error {
	if p, ok := errors.AsType[*fs.PathError](err); ok {
		return p.Err
	}
	return err
}
