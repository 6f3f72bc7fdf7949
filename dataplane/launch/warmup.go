package launch

import (
	"github.com/ancora-fleet/ancora/dataplane/site"
	"github.com/ancora-fleet/ancora/dataplane/webconfig"
)

// Warmup is a target with the application's path, and the host it is asked for by; empty: one of the site's.
type Warmup struct{ Target, Host string }

// warmup takes what the site says, also when that is nothing, else what web.config does.
func (p *Plan) warmup(a *site.Application, c *webconfig.Config) {
	base := a.Path
	if base == "/" {
		base = ""
	}
	if a.Warmup != nil {
		for _, target := range a.Warmup {
			p.Warmup = append(p.Warmup, Warmup{Target: base + target})
		}
		return
	}
	if c.Initialization != nil {
		for _, page := range c.Initialization.Pages {
			p.Warmup = append(p.Warmup, Warmup{base + page.Target, page.Host})
		}
	}
}

// warm is what the fingerprint of an application that is warmed up has beside that of others.
func (p *Plan) warm() []string {
	var all []string
	for _, w := range p.Warmup {
		all = append(all, "\x00warmup", w.Target, w.Host)
	}
	return all
}
