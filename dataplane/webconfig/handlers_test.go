package webconfig

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

func handlers(inner string) []byte {
	return []byte("<configuration><system.webServer><handlers>\n" + inner + "\n</handlers><aspNetCore processPath=\"a\"/></system.webServer></configuration>")
}

// What a file sends to the application: the union of its handlers of ours, after remove and clear.
func TestHandlers(t *testing.T) {
	const ours = `modules="AspNetCoreModuleV2"`
	for inner, want := range map[string]string{
		`<add name="a" path="*" verb="*" ` + ours + `/>`:                                                           "all",
		`<add name="a" path="*" ` + ours + `/>`:                                                                    "all",
		`<add name="a" path="api/*" verb="get, POST" ` + ours + `/>`:                                               `[path="api/*" verb="GET,POST"]`,
		`<add name="a" path="api/*" verb="GET,*" ` + ours + `/>`:                                                   `[path="api/*"]`,
		`<add name="a" path="x" ` + ours + `/><add name="b" path="*.y" modules="httpplatformhandler"/>`:            `[path="x" path="*.y"]`,
		`<add name="a" path="x" ` + ours + `/><add name="b" path="*" ` + ours + `/>`:                               "all",
		`<add name="a" path="x" ` + ours + `/><remove name="A"/><add name="a" path="y" ` + ours + `/>`:             `[path="y"]`,
		`<add name="a" path="*" ` + ours + `/><clear/><add name="a" path="y" ` + ours + `/>`:                       `[path="y"]`,
		`<add name="a" path="*" ` + ours + `/><remove name="a"/>`:                                                  "[]",
		`<clear/><add name="files" path="*" modules="StaticFileModule"/>`:                                          "[]",
		`<remove name="WebDAV"/><add name="files" path="*.html" modules="StaticFileModule"/>`:                      "all",
		`<add name="f" path="*.html" modules="StaticFileModule"/><add name="a" path="b" verb="PUT" ` + ours + `/>`: `[path="b" verb="PUT"]`,
	} {
		config, err := Parse("web.config", handlers(inner))
		if err != nil {
			t.Errorf("%s: %v", inner, err)
			continue
		}
		got := fmt.Sprint(config.Mapping())
		if config.Mapping() == nil {
			got = "all"
		}
		if got != want {
			t.Errorf("%s: %s, want %s", inner, got, want)
		}
		told := slices.ContainsFunc(config.Notes, func(n Note) bool { return strings.Contains(n.Text, "answered with 404") })
		if told != (want != "all") {
			t.Errorf("%s: notes %v", inner, config.Notes)
		}
	}
}

// Mistakes in handlers, each with its place.
func TestHandlerProblems(t *testing.T) {
	const ours = `modules="AspNetCoreModuleV2"`
	for inner, want := range map[string]string{
		`<add name="a" path="x" ` + ours + `/><add name="A" path="y" ` + ours + `/>`: `2:54: handlers="A": stands twice: line 2`,
		`<add name="a" path="" ` + ours + `/>`:                                       `2:1: path: is missing`,
		`<add name="a" path="*" verb=" ," ` + ours + `/>`:                            `2:24: verb=" ,": names no method`,
		`<remove/>`:           `2:1: name: is missing`,
		`<remove key="a"/>`:   `2:9: key="a": is no attribute of remove`,
		`<clear a="b"/>`:      `2:8: a="b": is no attribute of clear`,
		`<clear><a/></clear>`: `2:8: <a>: is no element of clear`,
		`<handler/>`:          `2:1: <handler>: is no element of handlers`,
	} {
		if _, err := Parse("web.config", handlers(inner)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", inner, err, want)
		}
	}
}
