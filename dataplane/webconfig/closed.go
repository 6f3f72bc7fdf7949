package webconfig

import (
	"cmp"
	"strings"
)

// What of a web.config keeps visitors out, and is not enforced. These sections are not ours: nothing in them is an error but
// that.

func isTrue(e *element, name string) bool {
	a, _ := e.attribute(name)
	return strings.EqualFold(a.value, "true")
}

func isFalse(e *element, name string) bool {
	a, _ := e.attribute(name)
	return strings.EqualFold(a.value, "false")
}

// elsewhere says of a section that what it holds stands in another file. Nobody reads that one, so it may keep visitors out.
func (r *reader) elsewhere(e *element, name string) bool {
	source, ok := e.attribute("configSource")
	if ok {
		r.closed(source.at, name, "stands in another file, %s, which is not read: it may keep visitors out", source.value)
	}
	return ok
}

// authentication is a group: only that visitors may stay unknown is what makes a site open.
func (r *reader) authentication(e *element, path string) {
	if len(e.children) == 0 {
		r.ignored(e, path)
	}
	for _, s := range e.children {
		if s.name == "anonymousAuthentication" && r.elsewhere(s, s.name) {
			continue
		}
		if s.name == "anonymousAuthentication" && isFalse(s, "enabled") {
			r.closed(s.at, "anonymousAuthentication", "is disabled, so that visitors have to log on")
			continue
		}
		if s.name == "windowsAuthentication" && isTrue(s, "enabled") {
			r.windows = s.at
		}
		r.ignored(s, path+"/"+s.name)
	}
}

// token says of an application whose visitors could log on with Windows accounts that it is told of none.
func (r *reader) token() {
	if r.windows.line > 0 && !r.noToken {
		r.note(r.windows, "forwardWindowsAuthToken has no effect: windowsAuthentication is on, but no token is sent to the application, and one that a client sends is dropped")
	}
}

// authorization says who may come in. Everybody may unless something denies, or what IIS allows is taken away.
func (r *reader) authorization(e *element, path string) {
	if r.elsewhere(e, "authorization") {
		return
	}
	var taken, denied *element // what IIS allows is taken away, somebody is denied
	for _, rule := range e.children {
		access, _ := rule.attribute("accessType")
		users, _ := rule.attribute("users")
		verbs, _ := rule.attribute("verbs")
		switch {
		// deny is how ASP.NET spelled it: nothing that IIS takes here, but no doubt of what is meant.
		case rule.name == "deny", rule.name == "add" && strings.EqualFold(access.value, "Deny"):
			denied = cmp.Or(denied, rule)
		case rule.name == "clear", rule.name == "remove":
			taken = cmp.Or(taken, rule)
		case rule.name == "add" && strings.TrimSpace(users.value) == "*" && verbs.value == "":
			taken = nil
		}
	}
	shut := cmp.Or(denied, taken)
	if shut == nil {
		r.ignored(e, path)
		return
	}
	r.closed(shut.at, "authorization", "does not let everybody in")
}

// dynamicIPSecurity shuts out who asks too often.
func (r *reader) dynamicIPSecurity(e *element, path string) {
	if r.elsewhere(e, "dynamicIpSecurity") {
		return
	}
	for _, s := range e.children {
		if isTrue(s, "enabled") && !isTrue(e, "enableLoggingOnlyMode") {
			r.closed(s.at, "dynamicIpSecurity", "shuts out who asks too often (%s)", s.name)
			return
		}
	}
	r.ignored(e, path)
}

// rewrite has rules that forbid, and others that visitors would miss.
func (r *reader) rewrite(e *element) {
	for _, rules := range e.children {
		if rules.name != "rules" || r.elsewhere(rules, "rewrite") {
			continue
		}
		for _, rule := range rules.children {
			if rule.name == "rule" && !isFalse(rule, "enabled") {
				r.rewriteRule(rule)
			}
		}
	}
}

func (r *reader) rewriteRule(rule *element) {
	name, _ := rule.attribute("name")
	for _, action := range rule.children {
		if action.name != "action" {
			continue
		}
		kind, _ := action.attribute("type")
		status, _ := action.attribute("statusCode")
		url, _ := action.attribute("url")
		switch strings.ToLower(kind.value) {
		case "abortrequest":
			r.closed(action.at, "rewrite", "rule %q cuts requests off", name.value)
		case "customresponse":
			if strings.HasPrefix(status.value, "4") || strings.HasPrefix(status.value, "5") {
				r.closed(action.at, "rewrite", "rule %q refuses requests with %s", name.value, status.value)
				continue
			}
			r.say(Warning, action.at, "rewrite rule %q answers with %s: it is not followed", name.value, status.value)
		case "redirect":
			r.say(Warning, action.at, "rewrite rule %q redirects to %s: it is not followed", name.value, url.value)
		case "rewrite":
			if strings.Contains(url.value, "://") {
				r.foreignTo(action.at, "rewrite", url.value, "this file forwards to an address, where a program runs that it does not start: give the site its command, or write an httpPlatform section")
			}
			r.say(Warning, action.at, "rewrite rule %q rewrites to %s: it is not followed", name.value, url.value)
		}
	}
}

func (r *reader) httpRedirect(e *element) {
	if !isTrue(e, "enabled") {
		r.ignored(e, e.name)
		return
	}
	to, _ := e.attribute("destination")
	r.say(Warning, e.at, "httpRedirect to %s is not followed", to.value)
}
