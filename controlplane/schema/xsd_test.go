package schema

import (
	"fmt"
	"math"
	"regexp"
	"strconv"
	"testing"

	"github.com/ancora-fleet/ancora/dataplane/xmltree"
)

// xsd is what this project's own schema uses of XML Schema; anything else in it fails the test.
type xsd struct {
	t        *testing.T
	elements map[string]*xmltree.Element
}

func readXSD(t *testing.T, text []byte) *xsd {
	t.Helper()
	root, problem := xmltree.Read(text)
	if problem != nil {
		t.Fatal(problem)
	}
	x := &xsd{t, map[string]*xmltree.Element{}}
	for _, e := range root.Children {
		if e.Name != "xs:element" {
			t.Fatalf("<%s> at the top", e.Name)
		}
		x.elements[x.get(e, "name")] = e
	}
	return x
}

func (x *xsd) get(e *xmltree.Element, name string) string {
	a, _ := e.Attribute(name)
	return a.Value
}

func (x *xsd) part(e *xmltree.Element, names ...string) *xmltree.Element {
	for _, c := range e.Children {
		for _, name := range names {
			if c.Name == name {
				return c
			}
		}
	}
	return nil
}

// validate gives everything that is against an element, and those in it.
func (x *xsd) validate(e, by *xmltree.Element) (problems []string) {
	kind := x.part(by, "xs:complexType")
	if kind == nil {
		x.t.Fatalf("element %s has no type", x.get(by, "name"))
	}
	known := map[string]*xmltree.Element{}
	for _, c := range kind.Children {
		if c.Name == "xs:attribute" {
			known[x.get(c, "name")] = c
		}
	}
	anything := x.part(kind, "xs:anyAttribute") != nil
	for _, a := range e.Attributes {
		switch declared := known[a.Name]; {
		case declared != nil:
			if !x.fits(a.Value, declared) {
				problems = append(problems, fmt.Sprintf("%s=%q", a.Name, a.Value))
			}
		case !anything:
			problems = append(problems, "attribute "+a.Name)
		}
	}
	for name, declared := range known {
		if _, there := e.Attribute(name); !there && x.get(declared, "use") == "required" {
			problems = append(problems, "no "+name)
		}
	}
	return append(problems, x.children(e, x.part(kind, "xs:sequence", "xs:all", "xs:choice"))...)
}

func (x *xsd) children(e, group *xmltree.Element) (problems []string) {
	seen := map[string]bool{}
	for _, c := range e.Children {
		var by *xmltree.Element
		lax := group != nil && x.part(group, "xs:any") != nil
		if lax {
			if by = x.elements[c.Name]; by == nil && x.get(x.part(group, "xs:any"), "processContents") == "lax" {
				problems = append(problems, x.children(c, group)...) // what is not declared has any content, as far as that is declared
			}
		} else if group != nil {
			for _, declared := range group.Children {
				if x.get(declared, "name") == c.Name {
					by = declared
				}
			}
		}
		switch {
		case by == nil && !lax, group != nil && group.Name == "xs:all" && seen[c.Name]:
			problems = append(problems, "element "+c.Name)
		case by != nil:
			problems = append(problems, x.validate(c, by)...)
		}
		seen[c.Name] = true
	}
	return problems
}

func (x *xsd) fits(value string, attribute *xmltree.Element) bool {
	if x.get(attribute, "type") == "xs:string" {
		return true
	}
	restriction := x.part(x.part(attribute, "xs:simpleType"), "xs:restriction")
	for _, facet := range restriction.Children {
		limit := x.get(facet, "value")
		switch facet.Name {
		case "xs:pattern":
			if !regexp.MustCompile("^(" + limit + ")$").MatchString(value) {
				return false
			}
		case "xs:minInclusive", "xs:maxInclusive":
			n, err := strconv.ParseInt(value, 10, 64)
			bound, wrong := strconv.ParseInt(limit, 10, 64)
			base := x.get(restriction, "base")
			least, most := int64(0), int64(math.MaxUint32)
			if base == "xs:int" {
				least, most = math.MinInt32, math.MaxInt32
			} else if base != "xs:unsignedInt" {
				x.t.Fatalf("a number in %s", base)
			}
			if wrong != nil || bound < least || bound > most {
				x.t.Fatalf("%s=%q of %s", facet.Name, limit, base)
			}
			if err != nil || n < least || n > most || facet.Name == "xs:minInclusive" && n < bound || facet.Name == "xs:maxInclusive" && n > bound {
				return false
			}
		default:
			x.t.Fatalf("<%s> is not known here", facet.Name)
		}
	}
	return true
}
