package launch

import (
	"github.com/ancora-fleet/ancora/dataplane/site"
	"github.com/ancora-fleet/ancora/dataplane/webconfig"
)

// rules takes those of web.config, whose limit of a body gives way to the site's (D10).
func (p *Plan) rules(a *site.Application, c *webconfig.Config) {
	p.Rules = webconfig.Rules(c.Edits)
	beaten := false
	for i := range p.Rules {
		if a.BodyLimit != nil && p.Rules[i].Body != nil {
			p.Rules[i].Body, beaten = nil, true
		}
	}
	if beaten {
		p.note("maxAllowedContentLength has no effect: the site says limits: body")
	}
	if len(p.Rules) > 0 { // the first ones are the application's own
		p.noWebSockets = p.Rules[0].NoWebSockets
	}
}
