package webconfig

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

// group is a web.config; what is in it stands in the location of a path, or in none.
func group(parts ...string) string {
	var text strings.Builder
	for i := 0; i < len(parts); i += 2 {
		if parts[i] == "" {
			fmt.Fprintf(&text, "<system.webServer>%s</system.webServer>", parts[i+1])
			continue
		}
		fmt.Fprintf(&text, "<location path=%q><system.webServer>%s</system.webServer></location>", parts[i], parts[i+1])
	}
	return "<configuration>" + text.String() + "</configuration>"
}

// starts is a section that names a program and sets variables to it.
func starts(program string, variables ...string) string {
	text := fmt.Sprintf(`<aspNetCore processPath=%q hostingModel="outofprocess"><environmentVariables>`, program)
	for _, name := range variables {
		text += fmt.Sprintf("<environmentVariable name=%q value=%q/>", name, program)
	}
	return text + "</environmentVariables></aspNetCore>"
}

func limit(n int) string {
	return fmt.Sprintf(`<security><requestFiltering><requestLimits maxAllowedContentLength="%d"/></requestFiltering></security>`, n)
}

// What a file above has in a location that names an application is that application's, as in IIS: after what is for all, before
// its own file; and it is for those below it.
func TestLocationOfAnApplication(t *testing.T) {
	handler := func(path string) string {
		return fmt.Sprintf(`<handlers><add name="h" path=%q modules="AspNetCoreModuleV2"/></handlers>`, path)
	}
	for name, c := range map[string]struct {
		files []string // path=text; without a text it has none
		want  string   // section, program, variables, handlers, body limit
	}{
		"for another":         {[]string{"/=" + group("other", starts("a", "A")), "/stock="}, `"" "" [] all none`},
		"without a file":      {[]string{"/=" + group("stock", starts("a", "A")), "/stock="}, `"aspNetCore" "a" [A=a] all none`},
		"in other spelling":   {[]string{"/=" + group(`\Stock/`, starts("a", "A")), "/stock="}, `"aspNetCore" "a" [A=a] all none`},
		"after the rest":      {[]string{"/=" + group("stock", starts("a", "A", "B"), "", starts("t", "B", "C")), "/stock="}, `"aspNetCore" "a" [C=t A=a B=a] all none`},
		"before its own":      {[]string{"/=" + group("stock", starts("a", "A", "B")), "/stock=" + group("", starts("o", "B"))}, `"aspNetCore" "o" [A=a B=o] all none`},
		"a file without it":   {[]string{"/=" + group("stock", starts("a", "A")), "/stock=" + group("", "")}, `"aspNetCore" "a" [A=a] all none`},
		"another section":     {[]string{"/=" + group("stock", `<httpPlatform processPath="node"/>`), "/stock=" + group("", starts("o"))}, `"aspNetCore" "o" [] all none`},
		"handlers":            {[]string{"/=" + group("stock", handler("x/*"), "", handler("y/*")), "/stock="}, `"" "" [] x/* none`},
		"what is enforced":    {[]string{"/=" + group("stock", starts("a")+limit(7)), "/stock="}, `"aspNetCore" "a" [] all 7`},
		"two levels":          {[]string{"/=" + group("a", starts("a", "A"), "a/b", starts("b", "B")), "/a/b="}, `"aspNetCore" "b" [A=a B=b] all none`},
		"a level that is one": {[]string{"/=" + group("a", starts("a", "A", "B"), "a/b", starts("b", "B")), "/a=" + group("", starts("m", "A"), "b", starts("n", "N")), "/a/b="}, `"aspNetCore" "n" [A=m B=b N=n] all none`},
		"for the level alone": {[]string{"/=" + group("a", starts("a", "A")), "/a/b="}, `"" "" [A=a] all none`},
		"not from one that is kept": {[]string{"/=" + strings.Replace(group("stock", starts("a", "A")), "<location ", `<location inheritInChildApplications="false" `, 1), "/stock="},
			`"" "" [] all none`},
		"below one": {[]string{"/x=" + group("y", starts("a", "A")), "/x/y="}, `"aspNetCore" "a" [A=a] all none`},
	} {
		t.Run(name, func(t *testing.T) {
			config, err := ParseChain(chainOf(c.files), nil)
			if err != nil {
				t.Fatal(err)
			}
			handlers, body := "all", "none"
			if config.Handlers != nil {
				handlers = config.Handlers[len(config.Handlers)-1].Path
			}
			if all := Rules(config.Edits); len(all) > 0 && all[0].Body != nil {
				body = fmt.Sprint(*all[0].Body)
			}
			variables := []string{}
			for _, v := range config.Env {
				variables = append(variables, v.Name+"="+v.Value)
			}
			if got := fmt.Sprintf("%q %q %v %s %s", config.Section, config.ProcessPath, variables, handlers, body); got != c.want {
				t.Errorf("%s, want %s", got, c.want)
			}
		})
	}
}

// chainOf makes a chain of path=text.
func chainOf(files []string) []Source {
	var chain []Source
	for _, f := range files {
		path, text, _ := strings.Cut(f, "=")
		s := Source{Path: path}
		if text != "" {
			s.File, s.Content = path+":web.config", []byte(text)
		}
		chain = append(chain, s)
	}
	return chain
}

// The application whose file it is has no program there, as ever (SCH-2), but where an application lies below, the location is
// that one's: so are the mistakes in it.
func TestLocationAbove(t *testing.T) {
	file := group("", starts("top"), "stock", strings.Replace(starts("a"), "aspNetCore ", `aspNetCore colour="red" `, 1))
	if _, err := ParseChain(chainOf([]string{"/=" + file}), nil); err == nil || !strings.Contains(err.Error(), `stands in location path="stock"`) {
		t.Errorf("no application is there: %v", err)
	}
	config, err := ParseChain(chainOf([]string{"/=" + file}), []string{"/Stock", "/other"})
	if err != nil || config.ProcessPath != "top" {
		t.Fatalf("%+v, %v", config, err)
	}
	said(t, config, `aspNetCore of location path="stock" is honoured, for the application there`)
	for path, want := range map[string]string{"/stock": `/:web.config:1:`, "/stock/a": `colour="red"`, "/other": ""} {
		_, err := ParseChain(chainOf([]string{"/=" + file, path + "="}), nil)
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", path, err, want)
		}
	}
	twice := group("stock", starts("a"), "stock", starts("b"))
	if _, err := ParseChain(chainOf([]string{"/=" + twice, "/stock="}), nil); err == nil || !strings.Contains(err.Error(), "stands twice") {
		t.Errorf("%v", err)
	}
}

// Whatever stands above and below, a chain is read or refused with the place; without the locations that name it, it is read
// as it would be by itself.
func FuzzChain(f *testing.F) {
	for _, path := range []string{"/", "/stock", "/stock/a/b"} {
		f.Add(group("", starts("t", "A"), "stock", starts("a", "B"), "stock/a", limit(7)), group("", starts("o", "A"), "b", limit(8)), path)
		f.Add(group("stock", "<handlers><clear/></handlers>"), "", path)
	}
	f.Fuzz(func(t *testing.T, above, own, path string) {
		if !strings.HasPrefix(path, "/") {
			path = "/" + path
		}
		chain := []Source{{Path: "/", File: "above", Content: []byte(above)}, {Path: path}}
		if own != "" {
			chain[1].File, chain[1].Content = "own", []byte(own)
		}
		config, err := ParseChain(chain, []string{path + "/x"})
		all, ok := errors.AsType[Errors](err)
		if (config == nil) == (err == nil) || err != nil && (!ok || len(all) == 0 || all[0].File != "above" && all[0].File != "own") {
			t.Fatalf("%v, %v", config, err)
		}
		if err == nil && own == "" && !config.Named && config.ProcessPath != "" {
			t.Errorf("the program of another folder: %+v", config)
		}
	})
}
