package iisconfig

import (
	"strings"

	"github.com/ancora-fleet/ancora/dataplane/site"
	"github.com/ancora-fleet/ancora/dataplane/xmltree"
)

// application makes one application of a site: its root, then what its pool says.
func (m *maker) application(s *site.Site, e *xmltree.Element) {
	at, ok := e.Attribute("path")
	if !ok {
		m.wrong(e.At, "an application of site %q has no path", m.made.Name)
		return
	}
	a := site.Application{Path: "/" + strings.Trim(strings.ReplaceAll(at.Value, `\`, "/"), "/")}
	before := len(m.unmapped)
	rooted := m.root(&a, e)
	if !rooted && len(m.unmapped) == before {
		return
	}
	scope := scope{e, child(m.e, "applicationDefaults"), m.applicationDefaults}
	m.applicationSettings(&a, scope)
	pool, named := scope.attribute("applicationPool")
	if !named {
		pool = xmltree.Attribute{Name: "applicationPool", Value: "DefaultAppPool", At: e.At}
	}
	m.pool(&a, pool)
	if !rooted { // read for what else is wrong with it
		return
	}
	s.Applications = append(s.Applications, a)
}

// root finds the folder of an application and says of its other folders that they are none here.
func (m *maker) root(a *site.Application, e *xmltree.Element) bool {
	found := false
	for _, d := range e.Children {
		switch d.Name {
		case "virtualDirectory":
		case "virtualDirectoryDefaults":
			continue
		default:
			m.say(NoEquivalent, d.At, "<%s> of application %s: nothing here does this", d.Name, a.Path)
			continue
		}
		path, _ := d.Attribute("path")
		physical, ok := d.Attribute("physicalPath")
		m.credentials(a, d, e)
		switch {
		case !ok || strings.TrimSpace(physical.Value) == "":
			m.wrong(d.At, "a virtual directory of site %q has no physicalPath", m.made.Name)
		case isEncrypted(physical.Value):
			m.wrong(physical.At, "physicalPath is encrypted: write the folder")
		case path.Value != "/":
			m.say(NoEquivalent, d.At, "virtual directory %s of application %s (%s): an application has one folder; copy or link it below the root, or make it an application", path.Value, a.Path, physical.Value)
		default:
			found = m.place(a, physical)
		}
	}
	if !found && len(m.unmapped) == 0 && len(m.problems) == 0 {
		m.say(NoEquivalent, e.At, "application %s has no virtual directory /: it is not written", a.Path)
	}
	return found
}

func (m *maker) place(a *site.Application, physical xmltree.Attribute) bool {
	root, ok := m.options.folder(physical.Value)
	if !ok {
		m.unmapped = append(m.unmapped, Folder{m.file, physical.At.Line, m.made.Name, physical.Value})
		return false
	}
	a.Root = root
	m.say(Carried, physical.At, "application %s: %s is %s", a.Path, physical.Value, root)
	return true
}

// credentials are what IIS reaches a folder with.
func (m *maker) credentials(a *site.Application, d, e *xmltree.Element) {
	scope := scope{d, child(e, "virtualDirectoryDefaults"), child(m.e, "virtualDirectoryDefaults"), m.directoryDefaults}
	if user, ok := scope.attribute("userName"); ok && user.Value != "" {
		m.say(ToDo, user.At, "the folder of application %s is reached as %s: mount the share on the hosts so that the application's user can read it", a.Path, user.Value)
	}
	if password, ok := scope.attribute("password"); ok && password.Value != "" {
		m.say(NotNeeded, password.At, "password of a virtual directory of application %s%s: it is not written", a.Path, locked(password.Value))
	}
	for _, name := range []string{"logonMethod", "allowSubDirConfig"} {
		if v, ok := scope.attribute(name); ok {
			m.say(NotNeeded, v.At, "%s=%s of a virtual directory is about accounts and folders of Windows", name, quote(v.Value))
		}
	}
}

func locked(value string) string {
	if isEncrypted(value) {
		return ", encrypted"
	}
	return ""
}

func (m *maker) applicationSettings(a *site.Application, s scope) {
	for _, name := range []string{"preloadEnabled", "serviceAutoStartEnabled"} {
		if v, on := s.on(name); on {
			a.Start = site.StartAlways
			m.say(Carried, v.At, "application %s: %s=\"true\": start: always", a.Path, name)
		}
	}
	if v, ok := s.attribute("serviceAutoStartProvider"); ok {
		m.say(NoEquivalent, v.At, "application %s: serviceAutoStartProvider=%s is code for the .NET Framework: let the application warm up by itself", a.Path, quote(v.Value))
	}
	if v, ok := s.attribute("enabledProtocols"); ok {
		for p := range strings.SplitSeq(v.Value, ",") {
			if p = strings.ToLower(strings.TrimSpace(p)); p != "" && p != "http" && p != "https" {
				m.say(NoEquivalent, v.At, "application %s: enabledProtocols %s: http and https only are served", a.Path, p)
			}
		}
	}
	known := map[string]bool{"path": true, "applicationPool": true, "preloadEnabled": true, "serviceAutoStartEnabled": true, "serviceAutoStartProvider": true, "enabledProtocols": true}
	for _, v := range s.settings(func(path string) bool { return known[path] || strings.HasPrefix(path, "virtualDirectory") }) {
		m.say(NoEquivalent, v.At, "application %s: %s=%s: nothing here does this", a.Path, v.path, shown(v.path, v.Value))
	}
}

// shown is a value as a line may have it.
func shown(name, value string) string {
	switch {
	case isEncrypted(value):
		return "(encrypted)"
	case strings.Contains(strings.ToLower(name), "password"):
		return "(not shown)"
	}
	return quote(value)
}

// quote leaves the backslashes of Windows as they are.
func quote(value string) string { return `"` + value + `"` }
