package dataplane

import (
	"strings"

	"github.com/ancora-fleet/ancora/dataplane/launch"
	"github.com/ancora-fleet/ancora/dataplane/recycle"
	"github.com/ancora-fleet/ancora/dataplane/site"
	"github.com/ancora-fleet/ancora/dataplane/supervise"
)

// recycleRules are those of an application on this host.
func (s *Server) recycleRules(w *site.Site, a *site.Application) recycle.Rules {
	r := recycle.Rules{Spread: recycle.Spread(s.config.Host, w.Name, a.Path)}
	if n := a.Recycle.Memory; n != nil && *n != site.Unlimited {
		r.Memory = *n
	}
	if n := a.Recycle.Requests; n != nil {
		r.Requests = uint64(*n)
	}
	if d := a.Recycle.Age; d != nil {
		r.Age = *d
	}
	if d := a.Idle; d != nil {
		r.Idle = *d
	}
	for _, text := range a.Recycle.Schedule {
		if c, err := site.ParseClock(text); err == nil { // as Validate has made sure
			r.Schedule = append(r.Schedule, c)
		}
	}
	return r
}

// warmup is what new instances are asked for: in the name of the host that web.config says, else of the first that the site has,
// and as over its first binding.
func warmup(w *site.Site, plan *launch.Plan) supervise.Warmup {
	warm := supervise.Warmup{Scheme: "http"}
	if len(w.Bindings) > 0 && w.Bindings[0].TLS != nil {
		warm.Scheme = "https"
	}
	own := hostOf(w)
	for _, r := range plan.Warmup {
		host := r.Host
		if host == "" {
			host = own
		}
		warm.Requests = append(warm.Requests, supervise.WarmupRequest{Target: r.Target, Host: host})
	}
	return warm
}

// hostOf gives the first hostname of a site that is no pattern.
func hostOf(w *site.Site) string {
	for _, b := range w.Bindings {
		for _, name := range b.Hostnames {
			if !strings.HasPrefix(name, "*") {
				return name
			}
		}
	}
	return "localhost"
}
