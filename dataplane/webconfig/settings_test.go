package webconfig

import (
	"slices"
	"strings"
	"testing"
)

func settings(inner, attributes string) []byte {
	return in(`<aspNetCore processPath="a" ` + attributes + `><handlerSettings>` + inner + `</handlerSettings></aspNetCore>`)
}

// L01: names are compared without case; each setting has its type.
func TestSettings(t *testing.T) {
	for pair, want := range map[string]string{
		"StackSize=16777216": "", "stackSize=0x100000": "", "stackSize=big": "is no number of bytes", "stackSize=0": "is no number of bytes",
		"SHUTDOWNDELAY=0": "", "shutdownDelay=-1": "milliseconds from 0", "enableShadowCopy=TRUE": "", "enableShadowCopy=yes": "neither true nor false",
		"debugLevel=file, TRACE": "", "debugLevel=loud": "", "debugFile=": "", "notKnown=1": "", "setCurrentDirectory=false": "",
	} {
		name, value, _ := strings.Cut(pair, "=")
		config, err := Parse("web.config", settings(`<handlerSetting name="`+name+`" value="`+value+`"/>`, ""))
		switch {
		case want == "" && err != nil, want != "" && (err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "web.config:6:")):
			t.Errorf("%s: %v, want %q", pair, err, want)
		case want == "" && config.Settings[strings.ToLower(name)] != value:
			t.Errorf("%s: %v", pair, config.Settings)
		}
	}
	for inner, want := range map[string]string{
		`<handlerSetting name="a" value="1"/><handlerSetting name="A" value="2"/>`: `handlerSetting="A": stands twice`,
		`<handlerSetting name="" value="1"/>`:                                      "name: is missing",
		`<handlerSetting name="a"/>`:                                               "value: is missing",
		`<handlerSettings name="a" value="1"/>`:                                    "handlerSetting is meant?",
	} {
		if _, err := Parse("web.config", settings(inner, "")); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", inner, err, want)
		}
	}
	config, err := Parse("web.config", settings(`<handlerSetting name="a" value="1"/><clear/><handlerSetting name="enableShadowCpy" value="true"/>`, ""))
	if err != nil || len(config.Settings) != 1 || !slices.ContainsFunc(config.Notes, func(n Note) bool {
		return strings.Contains(n.Text, "enableShadowCpy is not known and has no effect: enableShadowCopy is meant?")
	}) {
		t.Errorf("%+v, %v", config, err)
	}
}

// A52: out of process there is no version of the handler to choose; in-process nobody asks for one.
func TestHandlerVersion(t *testing.T) {
	_, err := Parse("web.config", settings(`<handlerSetting name="handlerVersion" value="88.93"/>`, `hostingModel="outofprocess"`))
	if all, ok := err.(Errors); !ok || all.Code() != "500.0" || !strings.Contains(err.Error(), `handlerVersion="88.93": there are no versions`) {
		t.Errorf("%v", err)
	}
	config, err := Parse("web.config", settings(`<handlerSetting name="handlerVersion" value="88.93"/>`, `hostingModel="inprocess"`))
	if err != nil || !slices.ContainsFunc(config.Notes, func(n Note) bool { return strings.Contains(n.Text, "has no effect in-process") }) {
		t.Errorf("%+v, %v", config, err)
	}
}

// A name that does not exist gets the one that likely is meant, and only that.
func TestMeant(t *testing.T) {
	known := []string{"processPath", "arguments", "stdoutLogFile"}
	for name, want := range map[string]string{
		"ProcessPath": "processPath is meant", "procesPath": "processPath is meant?", "stdoutLogFiles": "stdoutLogFile is meant?", "argumnets": "arguments is meant?",
		"workingDirectory": "processPath, arguments, stdoutLogFile", "x": "processPath, arguments, stdoutLogFile", strings.Repeat("a", 1000): "processPath, arguments, stdoutLogFile",
	} {
		if got := meant(name, known); got != want {
			t.Errorf("%.30s: %q, want %q", name, got, want)
		}
	}
	if got := meant("a", nil); got != "it has none" {
		t.Error(got)
	}
}

// All that is wrong is told at once, and what is enormous at once as well.
func TestBad(t *testing.T) {
	many := "<configuration>" + strings.Repeat(`<a b="`+strings.Repeat("x", 20)+`"/>`, 20_000) + "</configuration>"
	if _, err := Parse("web.config", []byte(many)); err != nil {
		t.Error(err)
	}
	wrong := strings.Repeat(`<environmentVariable nam="x" value="1"/>`, 50)
	_, err := Parse("web.config", in(`<aspNetCore processPath="a"><environmentVariables>`+wrong+`</environmentVariables></aspNetCore>`))
	if all, ok := err.(Errors); !ok || len(all) != 100 || strings.Contains(err.Error(), "more") {
		t.Errorf("%d problems", len(all))
	}
	_, err = Parse("web.config", in(`<aspNetCore processPath="a" x="`+strings.Repeat("y", 100_000)+`"><environmentVariables>`+strings.Repeat(wrong, 100)+`</environmentVariables></aspNetCore>`))
	if text := err.Error(); len(text) > 20_000 || !strings.HasSuffix(text, "and 9901 more") {
		t.Errorf("%d characters, ...%.100q", len(text), text[max(0, len(text)-100):])
	}
}
