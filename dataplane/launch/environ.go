package launch

import (
	"crypto/sha256"
	"encoding/hex"
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/ancora-fleet/ancora/dataplane/site"
)

// User is whom an application runs as, as far as its environment says so.
type User struct{ Name, Home string }

// Inherit gives what an application has of the agent's environment, and no more (D15): PATH, LANG, LC_*, TZ, and its
// user's HOME, USER and LOGNAME.
func Inherit(environ []string, user User) []string {
	var env []string
	path := "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
	for _, v := range environ {
		name, value, _ := strings.Cut(v, "=")
		switch {
		case name == "PATH" && value != "":
			path = value
		case name == "LANG", name == "TZ", strings.HasPrefix(name, "LC_"):
			env = append(env, v)
		}
	}
	slices.Sort(env)
	return append([]string{"PATH=" + path, "HOME=" + user.Home, "USER=" + user.Name, "LOGNAME=" + user.Name}, env...)
}

// merge joins the variables of web.config and site; of equal names the site's wins (D10). Values of web.config are
// expanded (ENV-21); what would move the port does not pass.
func (p *Plan) merge(in Input) {
	p.env = slices.Clone(in.Application.Env)
	if in.Config != nil {
		before := Plan{inherited: p.inherited, env: in.Application.Env}
		host := preferred(in.Environ)
		for _, v := range in.Config.Env {
			if names(p.env, v.Name) {
				continue
			}
			value := host[strings.ToUpper(v.Name)] // ENV-23
			if value == "" {
				value = expand(v.Value, before.lookup)
			}
			p.env = append(p.env, site.Variable{Name: v.Name, Value: value})
		}
	}
	p.env = slices.DeleteFunc(p.env, func(v site.Variable) bool {
		switch strings.ToUpper(v.Name) {
		case "ASPNETCORE_URLS", "ASPNETCORE_HTTP_PORTS", "ASPNETCORE_HTTPS_PORTS":
			if v.Value != withPort(v.Value, 1) {
				return false
			}
			p.note("%s=\"%s\" would move the port and is replaced: the application listens on the port it is given", v.Name, v.Value)
			return true
		case "ASPNETCORE_CONTENTROOT":
			if windowsPath(v.Value) {
				p.note("%s=\"%s\" is a Windows path and is dropped", v.Name, v.Value)
				return true
			}
		}
		if windowsPath(v.Value) {
			p.warn("%s=\"%s\" is a Windows path and is passed as it is", v.Name, v.Value)
		}
		return false
	})
}

// names says that a variable of this name, in any case, is among them.
func names(env []site.Variable, name string) bool {
	return slices.ContainsFunc(env, func(v site.Variable) bool { return strings.EqualFold(v.Name, name) })
}

// Development says that an application's variables ask for errors with their reasons: Development as the environment, or
// ASPNETCORE_DETAILEDERRORS.
func Development(env []site.Variable) bool {
	return slices.ContainsFunc(env, func(v site.Variable) bool {
		switch strings.ToUpper(v.Name) {
		case "ASPNETCORE_ENVIRONMENT", "DOTNET_ENVIRONMENT":
			return strings.EqualFold(v.Value, "Development")
		case "ASPNETCORE_DETAILEDERRORS":
			return v.Value == "1" || strings.EqualFold(v.Value, "true")
		}
		return false
	})
}

// preferred gives the agent's own environment, names in upper case, where that beats web.config; else nothing.
func preferred(environ []string) map[string]string {
	host := map[string]string{}
	for _, v := range environ {
		name, value, _ := strings.Cut(v, "=")
		host[strings.ToUpper(name)] = value
	}
	switch strings.ToLower(host["ANCM_PREFER_ENVIRONMENT_VARIABLES"]) {
	case "1", "true":
		return host
	}
	return nil
}

// variable gives a value of the application's own settings or of what it inherits; names are compared without case.
func (p *Plan) variable(name string) string {
	value, _ := p.lookup(name)
	return value
}

func (p *Plan) lookup(name string) (string, bool) {
	for _, v := range p.env {
		if strings.EqualFold(v.Name, name) {
			return v.Value, true
		}
	}
	for _, v := range p.inherited {
		if n, value, _ := strings.Cut(v, "="); strings.EqualFold(n, name) {
			return value, true
		}
	}
	return "", false
}

// Environ gives the whole environment of an instance: inherited, then the application's settings, then ours. It listens on
// port, or on the unix socket with this path when that is not empty.
func (p *Plan) Environ(port uint16, socket, token string) []string {
	forced, offered := p.ours(strconv.Itoa(int(port)), token)
	if socket != "" { // which Kestrel understands too, where its endpoints are not set in code
		delete(offered, "PORT")
		delete(offered, "HTTP_PLATFORM_PORT")
		offered["ASPNETCORE_URLS"] = "http://unix:" + socket
		forced["SOCKET"] = socket
	}
	var env []string
	own := func(name string) bool { return names(p.env, name) }
	taken := func(name string) bool {
		for ours := range forced {
			if strings.EqualFold(ours, name) {
				return true
			}
		}
		return false
	}
	for _, v := range p.inherited {
		if name, _, _ := strings.Cut(v, "="); !own(name) && !taken(name) {
			env = append(env, v)
		}
	}
	for _, v := range p.env {
		if !taken(v.Name) {
			env = append(env, v.Name+"="+withSocket(withPort(v.Value, port), socket))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(forced)) {
		env = append(env, name+"="+forced[name])
	}
	for _, name := range slices.Sorted(maps.Keys(offered)) {
		if !own(name) {
			env = append(env, name+"="+offered[name])
		}
	}
	return env
}

// ours are the variables by which an application learns its port and surroundings; offered ones give way to its own.
func (p *Plan) ours(port, token string) (forced, offered map[string]string) {
	address := "http://127.0.0.1:" + port
	forced, offered = map[string]string{}, map[string]string{"ASPNETCORE_URLS": address, "PORT": port}
	if p.dotnetRoot != "" {
		offered["DOTNET_ROOT"] = p.dotnetRoot
	}
	if p.Profile == site.ProfileGeneric {
		offered["HTTP_PLATFORM_PORT"] = port
		offered["ASPNETCORE_FORWARDEDHEADERS_ENABLED"] = "true"
		p.contentRoot(offered)
		return forced, offered
	}
	forced["ASPNETCORE_PORT"] = port
	forced["ASPNETCORE_APPL_PATH"] = p.path
	forced["ASPNETCORE_TOKEN"] = token
	forced["ASPNETCORE_IIS_HTTPAUTH"] = "anonymous;"
	forced["ASPNETCORE_IIS_WEBSOCKETS_SUPPORTED"] = strconv.FormatBool(!p.noWebSockets)
	forced["ASPNETCORE_IIS_PHYSICAL_PATH"] = filepath.Clean(p.root) + "/"
	if p.httpsPort != nil {
		offered["ASPNETCORE_ANCM_HTTPS_PORT"] = *p.httpsPort
	}
	p.contentRoot(offered)
	maps.Copy(forced, p.iis)
	// ENV-8: what the host process has, here nothing, stands before the semicolon.
	offered["ASPNETCORE_HOSTINGSTARTUPASSEMBLIES"] = ";Microsoft.AspNetCore.Server.IISIntegration"
	return forced, offered
}

// contentRoot says where the application's files are, where the working directory does not.
func (p *Plan) contentRoot(offered map[string]string) {
	if p.Dir != p.root && p.Profile != site.ProfileGeneric { // it would look for its files in the working directory
		offered["ASPNETCORE_CONTENTROOT"] = p.root
	}
	if p.written != "" && filepath.Clean(p.written) != filepath.Clean(p.root) {
		// Behind a link that moves with each deployment, data protection knows the application by this path: else everybody's
		// cookies end with the deployment.
		offered["ASPNETCORE_CONTENTROOT"] = p.written
	}
}

// windowsPath recognises a path with a drive, or of a share.
func windowsPath(s string) bool {
	drive := len(s) >= 3 && (s[0]|0x20) >= 'a' && (s[0]|0x20) <= 'z' && s[1] == ':' && s[2] == '\\'
	return drive || len(s) > 2 && strings.HasPrefix(s, `\\`) && s[2] != '\\'
}

func digest(parts []string) string {
	h := sha256.New()
	for _, part := range parts {
		h.Write([]byte(part))
		h.Write([]byte{0})
	}
	return hex.EncodeToString(h.Sum(nil)[:16])
}
