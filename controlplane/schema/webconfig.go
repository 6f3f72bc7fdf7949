package schema

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"strings"
	"unicode"

	"github.com/ancora-fleet/ancora/dataplane/webconfig"
)

// seconds writes a number of them as a site file does.
func seconds(n int64) string { return fmt.Sprintf("%ds", n) }

// WebConfig gives the XML Schema of the sections of web.config that are read; what else stands in a file is let pass. An attribute
// that is absent means its default where the schema has one, else nothing.
func WebConfig() []byte {
	w := &writer{}
	w.out.WriteString(xml.Header)
	w.open("xs:schema", "xmlns:xs", "http://www.w3.org/2001/XMLSchema")
	for _, holder := range []string{"configuration", "location", "system.webServer", "security", "httpProtocol"} {
		w.open("xs:element", "name", holder)
		w.open("xs:complexType")
		w.open("xs:sequence")
		w.empty("xs:any", "processContents", "lax", "minOccurs", "0", "maxOccurs", "unbounded")
		w.close("xs:sequence")
		w.empty("xs:anyAttribute", "processContents", "lax")
		w.close("xs:complexType")
		w.close("xs:element")
	}
	for _, s := range webconfig.Sections() {
		w.element(s, true)
	}
	w.close("xs:schema")
	return w.out.Bytes()
}

type writer struct {
	out   bytes.Buffer
	depth int
}

func (w *writer) tag(name, end string, pairs []string) {
	w.out.WriteString(strings.Repeat("  ", w.depth) + "<" + name)
	for i := 0; i < len(pairs); i += 2 {
		w.out.WriteString(" " + pairs[i] + `="`)
		_ = xml.EscapeText(&w.out, []byte(pairs[i+1])) // a buffer takes everything
		w.out.WriteString(`"`)
	}
	w.out.WriteString(end + "\n")
}

func (w *writer) open(name string, pairs ...string) {
	w.tag(name, ">", pairs)
	w.depth++
}

func (w *writer) empty(name string, pairs ...string) { w.tag(name, "/>", pairs) }

func (w *writer) close(name string) {
	w.depth--
	w.tag("/"+name, ">", nil)
}

// element writes an element; one that stands by itself says nothing of how often.
func (w *writer) element(s webconfig.Section, alone bool) {
	pairs := []string{"name", s.Name}
	if !alone {
		pairs = append(pairs, "minOccurs", "0")
	}
	w.open("xs:element", pairs...)
	w.open("xs:complexType")
	switch {
	case s.Any:
		w.open("xs:sequence")
		w.empty("xs:any", "processContents", "skip", "minOccurs", "0", "maxOccurs", "unbounded")
		w.close("xs:sequence")
		w.empty("xs:anyAttribute", "processContents", "skip")
	case len(s.Elements) > 0 && s.Elements[0].Many:
		w.open("xs:choice", "minOccurs", "0", "maxOccurs", "unbounded")
		for _, child := range s.Elements {
			w.element(child, true)
		}
		w.close("xs:choice")
	case len(s.Elements) > 0:
		w.open("xs:all")
		for _, child := range s.Elements {
			w.element(child, false)
		}
		w.close("xs:all")
	}
	for _, a := range s.Attributes {
		w.attribute(a)
	}
	w.close("xs:complexType")
	w.close("xs:element")
}

func (w *writer) attribute(a webconfig.Attribute) {
	pairs := []string{"name", a.Name}
	if a.Required {
		pairs = append(pairs, "use", "required")
	}
	switch {
	case a.Kind == webconfig.Span:
		pairs = append(pairs, "default", clock(a.Limit.Default))
	case a.Default != "":
		pairs = append(pairs, "default", a.Default)
	}
	if a.Kind == webconfig.Text {
		w.empty("xs:attribute", append(pairs, "type", "xs:string")...)
		return
	}
	w.open("xs:attribute", pairs...)
	w.open("xs:simpleType")
	w.restriction(a)
	w.close("xs:simpleType")
	w.close("xs:attribute")
}

func (w *writer) restriction(a webconfig.Attribute) {
	switch a.Kind {
	case webconfig.Number, webconfig.Seconds:
		base := "xs:unsignedInt"
		if a.Limit.Min < 0 {
			base = "xs:int"
		}
		w.open("xs:restriction", "base", base)
		w.empty("xs:minInclusive", "value", fmt.Sprint(a.Limit.Min))
		w.empty("xs:maxInclusive", "value", fmt.Sprint(a.Limit.Max))
	case webconfig.Span:
		w.open("xs:restriction", "base", "xs:string")
		w.empty("xs:pattern", "value", spanPattern(a.Limit))
	case webconfig.Flag:
		w.open("xs:restriction", "base", "xs:string")
		w.empty("xs:pattern", "value", anyCase("true")+"|"+anyCase("false"))
	case webconfig.Word:
		w.open("xs:restriction", "base", "xs:string")
		w.empty("xs:pattern", "value", anyOf(a.Choices))
	case webconfig.Words:
		w.open("xs:restriction", "base", "xs:string")
		one := `\s*(` + anyOf(a.Choices) + `)?\s*`
		w.empty("xs:pattern", "value", one+"(,"+one+")*")
	case webconfig.Filled:
		w.open("xs:restriction", "base", "xs:string")
		w.empty("xs:pattern", "value", `[\s\S]*\S[\s\S]*`)
	case webconfig.Address:
		w.open("xs:restriction", "base", "xs:string")
		count := "*"
		if a.Required {
			count = "+"
		}
		w.empty("xs:pattern", "value", `\s*[0-9A-Fa-f:.]`+count+`\s*`)
	case webconfig.Nothing:
		w.open("xs:restriction", "base", "xs:string")
		w.empty("xs:pattern", "value", "")
	}
	w.close("xs:restriction")
}

// anyOf matches one of the words in every case.
func anyOf(words []string) string {
	all := make([]string, len(words))
	for i, word := range words {
		all[i] = anyCase(word)
	}
	return strings.Join(all, "|")
}

// anyCase matches a word in every case, which XML Schema has no flag for.
func anyCase(word string) string {
	var b strings.Builder
	for _, ch := range word {
		if upper, lower := unicode.ToUpper(ch), unicode.ToLower(ch); upper != lower {
			fmt.Fprintf(&b, "[%c%c]", upper, lower)
		} else {
			b.WriteRune(ch)
		}
	}
	return b.String()
}

// clock writes seconds as hours:minutes:seconds.
func clock(n int64) string {
	return fmt.Sprintf("%02d:%02d:%02d", n/hour, n%hour/minute, n%minute)
}
