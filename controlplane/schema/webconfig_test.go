package schema

import (
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

// Both ends of every range, and every word in several cases, are accepted by schema and reader; one beyond is refused by both, as
// are attributes and elements that are not known, and elements that miss what they need.
func TestWebConfigRanges(t *testing.T) {
	tries := &tries{t: t, x: readXSD(t, WebConfig())}
	groups := map[string]string{"requestFiltering": "security", "ipSecurity": "security", "access": "security", "customHeaders": "httpProtocol"}
	for _, s := range webconfig.Sections() {
		before, behind := "<configuration><system.webServer>", "</system.webServer></configuration>"
		if group := groups[s.Name]; group != "" {
			before, behind = before+"<"+group+">", "</"+group+">"+behind
		}
		tries.section(s, before, behind)
	}
	if tries.count < 400 {
		t.Errorf("only %d files were tried", tries.count)
	}
}

// tries are files that schema and reader must agree about.
type tries struct {
	t     *testing.T
	x     *xsd
	count int
}

func (t *tries) file(text string, want bool) {
	t.t.Helper()
	t.count++
	root, problem := xmltree.Read([]byte(text))
	if problem != nil {
		t.t.Fatalf("%s: %v", text, problem)
	}
	bySchema := t.x.validate(root, t.x.elements["configuration"])
	_, byReader := webconfig.Parse("f", []byte(text))
	if (len(bySchema) == 0) != want || (byReader == nil) != want {
		t.t.Errorf("%s: schema: %q, reader: %v, want %v", text, bySchema, byReader, want)
	}
}

// section tries an element between two texts, and those in it.
func (t *tries) section(s webconfig.Section, before, behind string) {
	if s.Any {
		t.file(before+"<"+s.Name+` some="thing"><more/></`+s.Name+">"+behind, true)
		return
	}
	// with gives the element with all that it needs, but for one attribute, and with what is given.
	with := func(but, more, inner string) string {
		text := before + "<" + s.Name
		for _, a := range s.Attributes {
			if a.Required && a.Name != but {
				text += fmt.Sprintf(" %s=%q", a.Name, usual(a))
			}
		}
		return text + more + ">" + inner + "</" + s.Name + ">" + behind
	}
	t.file(with("", "", ""), true)
	t.file(with("", ` neverHeardOf="1"`, ""), false)
	t.file(with("", "", "<other/>"), false)
	for _, a := range s.Attributes {
		if a.Required {
			t.file(with(a.Name, "", ""), false)
		}
		for value, want := range values(a) {
			t.file(with(a.Name, fmt.Sprintf(" %s=%q", a.Name, html.EscapeString(value)), ""), want)
		}
	}
	open, end, _ := strings.Cut(with("", "", "|"), "|")
	for _, child := range s.Elements {
		t.section(child, open, end)
	}
}

// usual is a value that is good for an attribute.
func usual(a webconfig.Attribute) string {
	switch a.Kind {
	case webconfig.Number:
		return fmt.Sprint(a.Limit.Max)
	case webconfig.Flag:
		return "true"
	case webconfig.Address:
		return "10.0.0.0"
	}
	return "x"
}

func values(a webconfig.Attribute) map[string]bool {
	l := a.Limit
	switch a.Kind {
	case webconfig.Flag:
		return map[string]bool{"true": true, "False": true, "TRUE": true, "1": false, "yes": false, "": false}
	case webconfig.Number, webconfig.Seconds:
		all := map[string]bool{fmt.Sprint(l.Min): true, fmt.Sprint(l.Max): true, fmt.Sprint(l.Max + 1): false, fmt.Sprint(l.Min - 1): false, "x": false, "1.5": false}
		if a.Default != "" {
			all[a.Default] = true
		}
		return all
	case webconfig.Span:
		most := l.Max / (24 * 60 * 60)
		return map[string]bool{
			"00:00:00": true, clock(l.Default): true, clock(l.Max): true, fmt.Sprintf("%d.00:00:00", most): true, fmt.Sprintf("%d.23:59:59", most-1): true, "1:2:3": true,
			fmt.Sprintf("%d.00:00:01", most): false, clock(l.Max + 1): false, "00:60:00": false, "00:00:60": false, "1.24:00:00": false, "20": false, "00:20": false, "-00:01:00": false,
		}
	case webconfig.Word:
		all := map[string]bool{"nonsense": false}
		for _, word := range a.Choices {
			all[word], all[strings.ToUpper(word)] = true, true
		}
		return all
	case webconfig.Words:
		all := map[string]bool{"nonsense": false, "": true, strings.Join(a.Choices, " , "): true, strings.Join(a.Choices, ";"): false}
		for _, word := range a.Choices {
			all[word], all[strings.ToLower(word)] = true, true
		}
		return all
	case webconfig.Filled:
		return map[string]bool{"x": true, "": false, " ": false}
	case webconfig.Address:
		return map[string]bool{"255.255.0.0": true, "": !a.Required, "host.example": false, "10.0.0.0/8": false}
	case webconfig.Nothing:
		return map[string]bool{"": true, "x": false}
	}
	return map[string]bool{"xy": true}
}
