package schema

import (
	"errors"
	"fmt"
	"html"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ancora-fleet/ancora/dataplane/webconfig"
	"github.com/ancora-fleet/ancora/dataplane/xmltree"
)

// Every web.config of the collection that is read is good by its schema too.
func TestWebConfigAccepts(t *testing.T) {
	x := readXSD(t, WebConfig())
	files, err := filepath.Glob("../../dataplane/webconfig/testdata/*.config")
	if err != nil {
		t.Fatal(err)
	}
	good := 0
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := webconfig.Parse(file, content); err != nil {
			continue
		}
		good++
		root, problem := xmltree.Read(content)
		if problem != nil {
			t.Fatal(problem)
		}
		if problems := x.validate(root, x.elements["configuration"]); len(problems) > 0 {
			t.Errorf("%s: %q", file, problems)
		}
	}
	if good < 20 {
		t.Errorf("only %d files were read", good)
	}
}

// Both ends of every range, and every word in several cases, are accepted by schema and reader; one beyond is refused by both.
func TestWebConfigRanges(t *testing.T) {
	x := readXSD(t, WebConfig())
	checked := 0
	for _, s := range webconfig.Sections() {
		try := func(inner, name, value string, want bool) {
			t.Helper()
			checked++
			path := `processPath="dotnet" `
			if name == "processPath" {
				path = ""
			}
			text := fmt.Sprintf(`<configuration><system.webServer><%s %s%s="%s">%s</%s></system.webServer></configuration>`, s.Name, path, name, html.EscapeString(value), inner, s.Name)
			root, problem := xmltree.Read([]byte(text))
			if problem != nil {
				t.Fatalf("%s: %v", text, problem)
			}
			bySchema := x.validate(root, x.elements["configuration"])
			_, byReader := webconfig.Parse("f", []byte(text))
			if notYet(byReader) {
				byReader = nil
			}
			if (len(bySchema) == 0) != want || (byReader == nil) != want {
				t.Errorf("%s %s=%q %s: schema: %q, reader: %v", s.Name, name, value, inner, bySchema, byReader)
			}
		}
		for _, a := range s.Attributes {
			for value, want := range values(a) {
				try("", a.Name, value, want)
			}
		}
		try("", "neverHeardOf", "1", false)
		for inner, want := range map[string]bool{
			"<environmentVariables/>": true,
			`<environmentVariables><clear/><environmentVariable name="a" value=""/><environmentVariable name="b" value="c"/></environmentVariables>`: true,
			`<environmentVariables><environmentVariable value="b"/></environmentVariables>`:                                                          false,
			`<environmentVariables><environmentVariable name="a"/></environmentVariables>`:                                                           false,
			`<environmentVariables><environmentVariable name="a" value="b" more="c"/></environmentVariables>`:                                        false,
			`<environmentVariables><add name="a" value="b"/></environmentVariables>`:                                                                 false,
			`<environmentVariables name="a"/>`:                                                    false,
			`<handlerSettings><handlerSetting name="debugLevel" value="file"/></handlerSettings>`: s.Name == "aspNetCore",
			`<handlerSettings><handlerSetting value="x"/></handlerSettings>`:                      false,
			`<other/>`: false,
		} {
			try(inner, "arguments", "x", want)
		}
	}
	if checked < 80 {
		t.Errorf("only %d values were checked", checked)
	}
}

// notYet says whether the reader has nothing against a value but that it has no effect yet.
func notYet(err error) bool {
	var wrong webconfig.Errors
	if !errors.As(err, &wrong) {
		return false
	}
	for _, e := range wrong {
		if !strings.Contains(e.Message, "is not supported yet") {
			return false
		}
	}
	return true
}

func values(a webconfig.Attribute) map[string]bool {
	l := a.Limit
	switch a.Kind {
	case webconfig.Flag:
		return map[string]bool{"true": true, "False": true, "TRUE": true, "1": false, "yes": false, "": false}
	case webconfig.Number, webconfig.Seconds:
		return map[string]bool{fmt.Sprint(l.Min): true, fmt.Sprint(l.Max): true, fmt.Sprint(l.Default): true, fmt.Sprint(l.Max + 1): false, fmt.Sprint(l.Min - 1): false, "x": false, "1.5": false}
	case webconfig.Span:
		return map[string]bool{
			"00:00:00": true, clock(l.Default): true, clock(l.Max): true, "15.00:00:00": true, "14.23:59:59": true, "1:2:3": true,
			"15.00:00:01": false, clock(l.Max + 1): false, "00:60:00": false, "00:00:60": false, "1.24:00:00": false, "20": false, "00:20": false, "-00:01:00": false,
		}
	case webconfig.Word:
		all := map[string]bool{"nonsense": false}
		for _, word := range a.Choices {
			all[word], all[strings.ToUpper(word)] = true, true
		}
		return all
	}
	return map[string]bool{"x y": true}
}
