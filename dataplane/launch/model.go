package launch

import (
	"fmt"
	"net/url"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/ancora-fleet/ancora/dataplane/site"
	"github.com/ancora-fleet/ancora/dataplane/webconfig"
)

// errors says what pages about errors show and lead to: the reason where the environment is Development, or detailed errors are
// asked for.
func (p *Plan) errors(environ []string) {
	for _, name := range []string{"ASPNETCORE_ENVIRONMENT", "DOTNET_ENVIRONMENT"} {
		if value := p.variable(name); strings.EqualFold(value, "Development") {
			p.Development, p.Exposes = true, name+"="+value
		}
	}
	if value := p.variable("ASPNETCORE_DETAILEDERRORS"); isOn(value) {
		p.Development, p.Exposes = true, "ASPNETCORE_DETAILEDERRORS="+value
	}
	link, usable := ErrorLink(p.env, environ)
	if usable {
		p.ErrorLink = link
	} else if link != "" {
		p.note("%s=\"%s\" is no http or https address: pages about errors do not have it", linkVariable, link)
	}
}

const linkVariable = "ANCM_ADDITIONAL_ERROR_PAGE_LINK"

// ErrorLink gives where pages about errors are to lead to: what the application's own variables say, else the agent's
// environment, where the module looks. It is usable when it is an http or https address.
func ErrorLink(env []site.Variable, environ []string) (link string, usable bool) {
	for _, v := range environ {
		if value, ok := strings.CutPrefix(v, linkVariable+"="); ok {
			link = value
		}
	}
	for _, v := range env {
		if strings.EqualFold(v.Name, linkVariable) {
			link = v.Value
		}
	}
	u, err := url.Parse(link)
	return link, err == nil && u.Host != "" && (u.Scheme == "http" || u.Scheme == "https")
}

// model applies what the in-process model changes, and the handler settings that mean something there (INP-6, 6.4).
func (p *Plan) model(in Input, c *webconfig.Config) {
	p.Dir = p.root
	p.InProcess = c.InProcess && p.Profile == site.ProfileASPNETCore
	if !p.InProcess {
		if c.InProcess {
			p.note("hostingModel has no effect with profile: %s: the rules are those of out-of-process", p.Profile)
		}
		for _, name := range []string{"stackSize", "setCurrentDirectory", "callStartupHook", "suppressRecycleOnStartupTimeout"} {
			if _, ok := c.Settings[strings.ToLower(name)]; ok {
				p.note("handlerSetting %s has an effect in-process only", name)
			}
		}
		return
	}
	p.Request = 0
	switch {
	case in.Application.RequestTimeout != nil:
		p.Request = *in.Application.RequestTimeout
	case c.RequestTimeout != nil:
		p.note("requestTimeout of web.config has no effect in-process: requests have no time limit there; that of a site file holds")
	}
	if either(in.Application.RapidFailsPerMinute, c.RapidFailsPerMinute) != nil {
		p.note("rapidFailsPerMinute has no effect in-process: a start that fails there is tried again after 10 s, then after twice as long, up to 5 minutes")
	}
	if c.Processes != nil {
		p.note("processesPerApplication has no effect in-process: there is one process; instances of a site file count there too")
	}
	set := func(name string, standard bool) bool {
		if value, ok := c.Settings[name]; ok {
			return isOn(value)
		}
		return standard
	}
	p.Patient = set("suppressrecycleonstartuptimeout", false)
	if !set("callstartuphook", true) {
		p.Development = false // the module's hook is what tells the reason
	}
	if !set("setcurrentdirectory", true) {
		p.Dir = p.variable("HOME")
	}
	p.Stack, _ = strconv.ParseUint(c.Settings["stacksize"], 0, 64) // the reader has refused what is no number
	if p.Stack > 0 && p.Stack <= in.StackLimit {
		p.note("stackSize=\"%d\" changes nothing: this host gives %d bytes", p.Stack, in.StackLimit)
		p.Stack = 0
	}
}

// fromElsewhere makes assemblies of the folder absolute when the working directory is another (LCH-22).
func (p *Plan) fromElsewhere(args []string) []string {
	if p.Dir == p.root {
		return args
	}
	all := slices.Clone(args)
	for i, a := range all {
		if file := filepath.Join(p.root, a); !filepath.IsAbs(a) && strings.EqualFold(filepath.Ext(a), ".dll") && exists(file) {
			all[i] = file
		}
	}
	return all
}

// instances says how many there are: as the site says, else as web.config does out of process (LCH-14).
func (p *Plan) instances(a *site.Application, c *webconfig.Config) error {
	p.Instances, p.Least, p.Cookie = 1, a.Balance == site.BalanceLeastOutstanding, a.Affinity == site.AffinityCookie
	from := "instances"
	if n := a.Instances; n != nil {
		p.Instances = int(*n)
	} else if c.Processes != nil && !p.InProcess {
		p.Instances, from = int(*c.Processes), "processesPerApplication"
	}
	switch {
	case p.Instances > 1 && p.Port != 0:
		return fmt.Errorf("%s is %d, but the port is fixed at %d: only one instance can listen on it", from, p.Instances, p.Port)
	case p.Instances > 1 && !p.Cookie:
		p.warn("%d instances without affinity: cookie; what keeps a visitor's state in memory, as SignalR and Blazor do, breaks", p.Instances)
	case p.Instances == 1 && p.Cookie:
		p.note("affinity has no effect with one instance")
	}
	return nil
}

// several is what the fingerprint of an application with more than one instance has beside that of others.
func (p *Plan) several() []string {
	if p.Instances < 2 {
		return nil
	}
	return []string{"\x00instances", strconv.Itoa(p.Instances)}
}

// inProcess is what the fingerprint of an in-process application has beside that of others.
func (p *Plan) inProcess() []string {
	if !p.InProcess {
		return nil
	}
	return []string{"\x00inprocess", p.Dir, strconv.FormatUint(p.Stack, 10), strconv.FormatBool(p.Patient)}
}
