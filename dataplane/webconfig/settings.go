package webconfig

import (
	"slices"
	"strconv"
	"strings"
)

// setting is one that the module knows: check says what is wrong with a value, empty is good.
type setting struct {
	name  string
	check func(value string) string
}

// honoured says whether a setting has an effect here, or is spoken of elsewhere.
func (s setting) honoured() bool {
	return slices.Contains([]string{"debugFile", "debugLevel", "enableOutOfProcessConsoleRedirection", "disallowRotationOnConfigChange", "handlerVersion",
		"stackSize", "setCurrentDirectory", "callStartupHook", "suppressRecycleOnStartupTimeout",
		"enableShadowCopy", "experimentalEnableShadowCopy", "shadowCopyDirectory", "cleanShadowCopyDirectory"}, s.name)
}

// theSettings are all the module knows (behaviour.md 6.4), in the spelling of its documentation.
func theSettings() []setting {
	return []setting{
		{"debugFile", anything}, {"debugLevel", anything}, {"handlerVersion", anything}, {"shadowCopyDirectory", anything},
		{"enableOutOfProcessConsoleRedirection", truth}, {"forwardResponseConnectionHeader", truth}, {"setCurrentDirectory", truth},
		{"callStartupHook", truth}, {"suppressRecycleOnStartupTimeout", truth}, {"enableShadowCopy", truth},
		{"experimentalEnableShadowCopy", truth}, {"cleanShadowCopyDirectory", truth}, {"disallowRotationOnConfigChange", truth},
		{"stackSize", bytesOfStack}, {"shutdownDelay", milliseconds},
	}
}

func anything(string) string { return "" }

func truth(value string) string {
	switch strings.ToLower(value) {
	case "true", "false", "1", "0":
		return ""
	}
	return "is neither true nor false"
}

func bytesOfStack(value string) string {
	if n, err := strconv.ParseUint(value, 0, 32); err != nil || n == 0 {
		return "is no number of bytes: 16777216, or 0x1000000"
	}
	return ""
}

func milliseconds(value string) string {
	if n, err := strconv.ParseInt(value, 10, 32); err != nil || n < 0 {
		return "is no number of milliseconds from 0 on"
	}
	return ""
}

// settings reads handlerSettings: names are compared without case, those the module does not know have no effect there either.
func (r *reader) settings(e *element) {
	r.noText(e)
	r.only(e)
	seen := map[string]bool{}
	for _, s := range e.children {
		switch s.name {
		case "handlerSetting":
			r.setting(s, seen)
		case "clear":
			r.only(s)
			r.leaf(s)
			r.config.Settings = nil
			clear(seen)
		default:
			r.stranger(s, e.name, "handlerSetting", "clear")
		}
	}
}

func (r *reader) setting(e *element, seen map[string]bool) {
	name, named := e.attribute("name")
	value, valued := e.attribute("value")
	r.only(e, "name", "value")
	r.leaf(e)
	if !valued {
		r.wrong(e.at, "value", "", "is missing; an empty one is \"\"")
	}
	if !named || name.value == "" {
		r.wrong(e.at, "name", "", "is missing")
		return
	}
	folded := strings.ToLower(name.value)
	if seen[folded] {
		r.wrong(e.at, "handlerSetting", name.value, "stands twice; names differ without regard to case")
		return
	}
	seen[folded] = true
	if r.config.Settings == nil {
		r.config.Settings = map[string]string{}
	}
	r.config.Settings[folded] = value.value
	r.stands(folded+":", e.at)
	for _, known := range theSettings() {
		if !strings.EqualFold(known.name, name.value) {
			continue
		}
		if problem := known.check(value.value); problem != "" {
			r.unusable(value.at, known.name, value.value, "%s", problem)
		}
		if !known.honoured() {
			r.note(e.at, "handlerSetting %s is not honoured yet", known.name)
		}
		return
	}
	hint := ""
	names := make([]string, 0, len(theSettings()))
	for _, known := range theSettings() {
		names = append(names, known.name)
	}
	if guess := meant(name.value, names); strings.HasSuffix(guess, "?") {
		hint = ": " + guess
	}
	r.say(Ignored, e.at, "handlerSetting %s is not known and has no effect%s", name.value, hint)
}

// version refuses a version of the out-of-process handler: there are none to choose from (A52). In-process nobody asks for it.
func (r *reader) version() {
	version := r.config.Settings["handlerversion"]
	at, ok := r.config.Places["handlerversion:"]
	if version == "" || !ok || r.bequest || r.config.Section != "aspNetCore" {
		return
	}
	if r.config.InProcess {
		r.say(Ignored, place{at.Line, at.Column}, "handlerVersion=%q has no effect in-process", version)
		return
	}
	r.problems = append(r.problems, Error{
		File: at.File, Line: at.Line, Column: at.Column, Field: "handlerVersion", Value: version, Code: unusable,
		Message: "there are no versions of the handler to choose from: leave it out",
	})
}
