package dataplane

import (
	"cmp"
	"crypto/tls"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/ancora-fleet/ancora/dataplane/app"
	"github.com/ancora-fleet/ancora/dataplane/explain"
	"github.com/ancora-fleet/ancora/dataplane/forward"
	"github.com/ancora-fleet/ancora/dataplane/ingress"
	"github.com/ancora-fleet/ancora/dataplane/site"
)

// mostNames is how many hostnames of a listener are told where none of them fits, and how many sites that claim one.
const mostNames = 20

// imagined is a request on its way through this host.
type imagined struct {
	*Server
	*explain.Trail
	q        explain.Question
	r        *forward.Request
	host     string // of the URL, without port
	listener string
	far      bool // something in front of this host is assumed
}

// Explain says what would become of a request that came now, by what decides when one does. It starts nothing, counts nothing
// and is in no log. What the question says of site, scheme and listener must be well-formed; whatever a client may send is answered.
func (s *Server) Explain(q explain.Question) *explain.Trail {
	s.mu.Lock()
	defer s.mu.Unlock()
	x := imagined{Server: s, Trail: &explain.Trail{}, q: q}
	x.listens()
	for _, step := range []func() bool{x.chooses, x.parses, x.secures, x.routes} {
		if !step() {
			break
		}
	}
	return x.Trail
}

// listens warns of listeners that the site needs and this host does not have open.
func (x *imagined) listens() {
	for _, d := range x.desired.Sites {
		if d.Site.Name != x.q.Site {
			continue
		}
		var said []string
		for _, b := range d.Site.Bindings {
			if problem := x.listeners.problem(b.Listener); problem != "" && !slices.Contains(said, problem) {
				x.Warn(explain.Listener, "%s", problem)
				said = append(said, problem)
			}
		}
	}
}

// chooses finds the listener that the URL means.
func (x *imagined) chooses() bool {
	host, port, err := net.SplitHostPort(x.q.Authority)
	if err != nil {
		host, port = strings.Trim(x.q.Authority, "[]"), map[string]string{"http": "80", "https": "443"}[x.q.Scheme]
	}
	x.host = host
	var open []Listener
	for _, l := range x.listeners.list() {
		if l.Error == "" {
			open = append(open, l)
		}
	}
	if x.q.Listener != "" {
		open = slices.DeleteFunc(open, func(l Listener) bool { return l.Name != x.q.Listener })
	}
	if len(open) == 0 {
		problem := "no listener is open"
		if x.q.Listener != "" {
			problem = cmp.Or(x.listeners.problem(x.q.Listener), "listener "+x.q.Listener+" is not open")
		}
		x.Stop(explain.Listener, 0, 0, "%s", problem)
		return false
	}
	best := slices.MaxFunc(open, func(a, b Listener) int {
		return cmp.Or(cmp.Compare(x.fits(a, port), x.fits(b, port)), cmp.Compare(b.Name, a.Name))
	})
	x.listener = best.Name
	if _, own, _ := net.SplitHostPort(best.Address); own != port {
		x.far = true
		x.Warn(explain.Listener, "no listener has port %s: what is in front of this host is taken to lead to listener %s", port, best.Name).Here("%s", best.Address)
		if x.q.Listener != "" {
			step := &x.Steps[len(x.Steps)-1]
			step.Outcome, step.Text = explain.Passes, "listener "+best.Name
		}
	} else {
		x.Pass(explain.Listener, "listener %s", best.Name).Here("%s", best.Address)
	}
	if x.policy.Edges[best.Name].ProxyProtocol {
		x.Pass(explain.Listener, "connections to it begin with a PROXY header, which says who the client is")
	}
	return true
}

// fits says how well a listener is what a URL means: by its port, else by TLS, a hostname that it knows, its name.
func (x *imagined) fits(l Listener, port string) int {
	n := 0
	if _, own, _ := net.SplitHostPort(l.Address); own == port {
		n += 8
	}
	if (x.listeners.table(l.Name) != nil) == (x.q.Scheme == "https") {
		n += 2
	}
	if x.table.Load().Explain(l.Name, []byte(x.host)).Known {
		n += 4
	}
	if l.Name == x.q.Scheme {
		n++
	}
	return n
}

// parses makes the request as its head would be read.
func (x *imagined) parses() bool {
	r, status, err := ingress.Imagine(x.q.Method, x.q.Target, x.q.Authority)
	if err != nil {
		x.Stop(explain.Request, status, 0, "refused before any site is asked: %v", err)
		return false
	}
	x.r = r
	if x.q.Client.IsValid() {
		r.Client = netip.AddrPortFrom(x.q.Client, 0)
	}
	if target, _, _ := strings.Cut(x.q.Target, "?"); cmp.Or(target, "/") != string(r.Path) {
		x.Pass(explain.Request, "the path is read as %s", r.Path)
	}
	return true
}

// secures says what a handshake comes to.
func (x *imagined) secures() bool {
	table := x.listeners.table(x.listener)
	trusts := len(x.policy.Edges[x.listener].TrustedProxies) > 0
	switch {
	case x.q.Scheme == "http" && table == nil:
		return true
	case x.q.Scheme == "http":
		x.Stop(explain.TLS, 0, 0, "listener %s takes connections with TLS only", x.listener)
		return false
	case table == nil && !x.far:
		x.Stop(explain.TLS, 0, 0, "listener %s has no TLS: there is no handshake", x.listener)
		return false
	case table == nil:
		if x.r.Secure = trusts; trusts {
			x.Pass(explain.TLS, "listener %s has no TLS: it is taken to end in front of this host, at a proxy that is believed (trustedProxies)", x.listener)
		} else {
			x.Warn(explain.TLS, "listener %s has no TLS: it is taken to end in front of this host, where nobody is believed (trustedProxies), so the request counts as one without", x.listener)
		}
		return true
	}
	name := x.host
	if _, err := netip.ParseAddr(name); err == nil {
		name = "" // a client names no address (RFC 6066 3)
	}
	session, err := table.Session(tls.ConnectionState{ServerName: name})
	if err != nil {
		x.Stop(explain.TLS, 0, 0, "the handshake ends with unrecognized_name: no binding of listener %s has a certificate for it", x.listener)
		return false
	}
	if !table.Serves(session, x.r.Host) {
		x.Stop(explain.TLS, 421, 0, "the connection was made for other certificates than the ones of this host name")
		return false
	}
	x.r.Secure = true
	switch table.Asks(name) {
	case tls.RequireAndVerifyClientCert:
		x.r.ClientCertificate = []byte("shown")
		x.Warn(explain.TLS, "TLS, and a client certificate is demanded: without one the handshake ends, what follows is for one that verifies")
	case tls.NoClientCert:
		x.Pass(explain.TLS, "TLS")
	default:
		x.Pass(explain.TLS, "TLS; a client certificate is asked for and taken as not shown")
	}
	return true
}

// routes finds who answers, and asks him.
func (x *imagined) routes() bool {
	table := x.table.Load()
	sight := table.Explain(x.listener, x.r.Host)
	door, base, found := table.Lookup(x.listener, x.r.Host, x.r.Path)
	x.r.Base = base
	var owner *app.App
	redirect, _ := door.(*redirectDoor)
	switch d := door.(type) {
	case *redirectDoor:
		owner, _ = d.Door.(*app.App)
	case *watchedDoor:
		owner, _ = d.Door.(*app.App)
	}
	if owner != nil {
		x.Site, x.Application = owner.Name()
	}
	if x.q.Site != "" && x.q.Site != x.Site {
		x.elsewhere()
	}
	switch {
	case !sight.Known:
		step := x.Stop(explain.Hostname, 404, 0, "no site answers to host name %s on listener %s", x.host, x.listener)
		if names := sight.Hostnames; len(names) > 0 {
			step.Here("it knows %s", strings.Join(shortened(names), ", "))
		}
		return false
	case !found || owner == nil:
		x.Stop(explain.Application, 404, 0, "host name %s has no application at this path (%s)", x.host, strings.Join(sight.Paths, ", "))
		return false
	}
	how := "its own"
	switch {
	case sight.Hostname == "":
		how = "the default of the listener"
	case strings.HasPrefix(sight.Hostname, "*."):
		how = "by " + sight.Hostname
	}
	x.Pass(explain.Hostname, "host name %s is of site %s (%s)", x.host, x.Site, how)
	x.claimed()
	x.stands(x.Site)
	if redirect != nil {
		if status, location := redirect.target(x.r); status != 0 {
			x.Stop(explain.Redirect, status, 0, "the binding sends visitors to TLS (redirect: https)")
			// The query of the URL is the operator's own; it is not said again.
			x.Answer.Location = strings.TrimSuffix(string(location), string(x.r.Query))
			return false
		}
		x.Pass(explain.Redirect, "%s is not redirected", challenge)
	}
	step := x.Pass(explain.Application, "application %s", x.Application)
	if len(sight.Paths) > 1 {
		step.Text += ", the longest that fits of " + strings.Join(shortened(sight.Paths), ", ")
	}
	if len(base) > 0 {
		step.Text += fmt.Sprintf(", path base %s", base)
	}
	owner.Explain(x.r, x.Trail)
	return true
}

func shortened(names []string) []string {
	all := make([]string, 0, min(len(names), mostNames)+1)
	for _, n := range names[:min(len(names), mostNames)] {
		all = append(all, cmp.Or(n, "(default)"))
	}
	if more := len(names) - len(all); more > 0 {
		all = append(all, fmt.Sprintf("and %d more", more))
	}
	return all
}

// elsewhere says why the site that was asked about does not answer.
func (x *imagined) elsewhere() {
	i := slices.IndexFunc(x.desired.Sites, func(d DesiredSite) bool { return d.Site.Name == x.q.Site })
	if i < 0 {
		x.Warn(explain.Site, "site %s is not among those that this host was given", x.q.Site)
		return
	}
	x.stands(x.q.Site)
	var names []string
	for _, b := range x.desired.Sites[i].Site.Bindings {
		if b.Listener == x.listener {
			names = append(names, hostnames(b)...)
		}
	}
	switch {
	case len(names) == 0:
		x.Warn(explain.Site, "site %s has no binding on listener %s", x.q.Site, x.listener)
	case !claims(x.desired.Sites[i].Site, x.listener, x.host):
		x.Warn(explain.Site, "site %s does not have host name %s on listener %s, but %s", x.q.Site, x.host, x.listener, strings.Join(shortened(names), ", "))
	case x.Site != "":
		x.Warn(explain.Site, "site %s does not get it, although it has the host name", x.q.Site)
	}
}

// claimed names the other sites that say the host name is theirs too.
func (x *imagined) claimed() {
	told := 0
	for _, d := range x.desired.Sites {
		name := d.Site.Name
		if name == x.Site || name == x.q.Site || told == mostNames || !claims(d.Site, x.listener, x.host) {
			continue
		}
		if r := x.sites[name]; r != nil && cmp.Or(r.rejected, r.route) != "" {
			x.Warn(explain.Hostname, "site %s claims it too: %s", name, cmp.Or(r.rejected, r.route))
			told++
		}
	}
}

// claims says whether a site has a binding that means a host name, by itself or by its pattern.
func claims(w *site.Site, listener, host string) bool {
	_, parent, _ := strings.Cut(host, ".")
	return slices.ContainsFunc(w.Bindings, func(b site.Binding) bool {
		return b.Listener == listener && slices.ContainsFunc(hostnames(b), func(name string) bool {
			return strings.EqualFold(name, host) || parent != "" && strings.EqualFold(name, "*."+parent)
		})
	})
}

// stands says which revision of a site is wanted, which one answers, and why that may be another.
func (x *imagined) stands(name string) {
	i := slices.IndexFunc(x.desired.Sites, func(d DesiredSite) bool { return d.Site.Name == name })
	if i < 0 {
		return
	}
	s, _ := x.siteStatus(x.desired.Sites[i], time.Now())
	running := int64(0)
	if r := x.sites[name]; r != nil && r.site != nil {
		running = r.revision
	}
	text := "site " + name
	if s.Revision > 0 {
		text += fmt.Sprintf(", revision %d", s.Revision)
	}
	switch {
	case s.Phase != Rejected:
		step := x.Pass(explain.Site, "%s", text).Here("%s", s.Phase)
		if s.Phase == Failed {
			step.Outcome, step.Detail = explain.Warns, string(s.Phase)+": "+s.Reason
		}
		if s.ServingRevision > 0 && s.ServingRevision != s.Revision {
			step.Text += fmt.Sprintf(", of which revision %d answers until it is ready", s.ServingRevision)
		}
	case !s.Routed:
		x.Warn(explain.Site, "%s is REJECTED and nothing of the site answers: %s", text, s.Reason)
	case running > 0 && running != s.Revision:
		x.Warn(explain.Site, "%s is REJECTED, revision %d goes on: %s", text, running, s.Reason)
	default:
		x.Warn(explain.Site, "%s is REJECTED: %s", text, s.Reason)
	}
}
