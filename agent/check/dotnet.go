package check

import (
	"fmt"
	"slices"
	"strings"
)

// aspNetCore is the framework that every web application of .NET Core 3 and later refers to; those before say it by a package.
const aspNetCore = "Microsoft.AspNetCore.App"

// variable gives a value of the environment that the application would have.
func (j *judge) variable(name string) string {
	if j.Plan == nil {
		return ""
	}
	for _, v := range j.Plan.Environ(1, "", "") {
		if n, value, _ := strings.Cut(v, "="); n == name {
			return value
		}
	}
	return ""
}

// dotnet judges runtime, ICU and OpenSSL of an application for .NET.
func (j *judge) dotnet() {
	d := j.DotNet
	if d == nil {
		return
	}
	if d.Trouble != "" {
		j.add(Error, d.File, "%s", d.Trouble)
		return
	}
	for _, t := range j.Broken {
		j.add(Error, t.Path, "is no JSON (%s): an application of the standard templates does not start with it", t.Why)
	}
	frameworks := d.Config.Included
	if !d.SelfContained {
		frameworks = j.frameworks()
	}
	j.age(frameworks)
	if !j.invariant() && !d.ICU {
		j.add(Error, d.File,
			"ICU is not there (libicuuc.so, libicui18n.so), and the application is not invariant: install libicu, or set DOTNET_SYSTEM_GLOBALIZATION_INVARIANT=1")
	}
	if !d.OpenSSL {
		j.add(Warning, d.File,
			"OpenSSL is not there (libssl.so): what encrypts fails, sign-in cookies and calls over https among it; install openssl's libraries")
	}
}

// frameworks judges those that are shared on this host, and gives what would be used.
func (j *judge) frameworks() (used []Reference) {
	d := j.DotNet
	if d.Version != "" { // --fx-version takes that one, whatever there is
		return nil
	}
	all, problems := d.resolve(j.variable)
	for _, text := range problems {
		j.add(Error, d.File, "%s", text)
	}
	for _, r := range all {
		if r.found != "" {
			j.add(Note, d.File, "uses %s %s (asked for: %s, rollForward %s)", r.Name, r.found, r.Version, r.roll)
			used = append(used, Reference{Name: r.Name, Version: r.found})
			continue
		}
		there := "none"
		if found := d.versions(r.Name); len(found) > 0 {
			there = strings.Join(found, ", ")
		}
		j.add(Error, d.File,
			"needs %s %s, which is not installed in %s (there: %s; rollForward %s): install it%s", r.Name, r.Version, d.Root, there, r.roll, j.orRoll(r))
	}
	return used
}

// orRoll says by what the application would run on what there is.
func (j *judge) orRoll(r resolved) string {
	wanted, _ := parseVersion(r.Version)
	var there []version
	for _, text := range j.DotNet.versions(r.Name) {
		if v, ok := parseVersion(text); ok {
			there = append(there, v)
		}
	}
	for _, roll := range []string{"Minor", "Major"} {
		if _, ok := pick(wanted, roll, there); ok && r.roll != roll {
			return fmt.Sprintf(", or set DOTNET_ROLL_FORWARD=%s and try whether it runs on another one", roll)
		}
	}
	return ""
}

func (d *DotNet) versions(name string) (all []string) {
	for _, i := range d.Installed {
		if strings.EqualFold(i.Name, name) {
			all = append(all, i.Version)
		}
	}
	return all
}

// age says which versions are known to run here.
func (j *judge) age(frameworks []Reference) {
	i := slices.IndexFunc(frameworks, func(r Reference) bool { return r.Name == aspNetCore })
	if i < 0 {
		return
	}
	v, ok := parseVersion(frameworks[i].Version)
	switch major, minor := v.number[0], v.number[1]; {
	case !ok:
	case major < 2 || major == 2 && minor < 1:
		j.add(Warning, j.DotNet.File,
			"ASP.NET Core %s is older than 2.1, from which on the activation works on Linux: give it profile: generic", frameworks[i].Version)
	case major != 8 && major != 10:
		j.add(Note, j.DotNet.File, "ASP.NET Core %s: 2.1 and later run by the activation, 8 and 10 are proven", frameworks[i].Version)
	default:
		j.add(Note, j.DotNet.File, "ASP.NET Core %d is proven; 2.1 and later run by the activation", major)
	}
}

// invariant says that the application does without ICU: by its variable, else by its settings; or that it brings ICU along.
func (j *judge) invariant() bool {
	own := func(variable, property string) bool {
		if value := j.variable(variable); value != "" {
			return value == "1" || strings.EqualFold(value, "true")
		}
		switch value := j.DotNet.Config.Properties[property].(type) {
		case bool:
			return value
		case string:
			return strings.EqualFold(value, "true")
		}
		return false
	}
	local := j.variable("DOTNET_SYSTEM_GLOBALIZATION_APPLOCALICU") != "" || j.DotNet.Config.Properties["System.Globalization.AppLocalIcu"] != nil
	return local || own("DOTNET_SYSTEM_GLOBALIZATION_INVARIANT", "System.Globalization.Invariant")
}
