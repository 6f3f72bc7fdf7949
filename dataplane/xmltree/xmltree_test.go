package xmltree

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestRead(t *testing.T) {
	root, problem := Read([]byte("\ufeff<?xml version=\"1.0\"?>\n<a>\n  <!-- é --><b x='1 &amp; 2'\n\ty = \"ü\" z=\"3\"/>\n  lost\n</a>\n"))
	if problem != nil {
		t.Fatal(problem)
	}
	want := &Element{Name: "a", At: Place{2, 1}, Text: &Attribute{Value: "lost", At: Place{5, 3}}, Children: []*Element{{
		Name: "b", At: Place{3, 13}, Attributes: []Attribute{{"x", "1 & 2", Place{3, 16}}, {"y", "ü", Place{4, 2}}, {"z", "3", Place{4, 10}}},
	}}}
	if diff := cmp.Diff(want, root); diff != "" {
		t.Error(diff)
	}
}

func TestProblems(t *testing.T) {
	for name, c := range map[string]struct {
		text string
		want Problem
	}{
		"document type": {"<!DOCTYPE a>\n<a/>", Problem{Place{1, 1}, "", "", "a document type declaration is refused"}},
		"text behind":   {"<a/>\n >\n", Problem{Place{2, 2}, "", "", "is not XML: \">\" stands outside of the root element"}},
		"text before":   {"x<a/>", Problem{Place{1, 1}, "", "", "is not XML: \"x\" stands outside of the root element"}},
		"second root":   {"<a/>\n <b/>", Problem{Place{2, 2}, "", "", "<b> is a second root element"}},
		"twice":         {"<a b='1' b='2'/>", Problem{Place{1, 10}, "b", "2", "stands twice in <a>"}},
		"empty":         {"", Problem{Place{1, 1}, "", "", "is not XML: there is no element"}},
		"bytes":         {"<a b='\xff'/>", Problem{Place{}, "", "", "is neither UTF-8 nor UTF-16 with a byte order mark: save it as UTF-8"}},
	} {
		if _, got := Read([]byte(c.text)); got == nil || *got != c.want {
			t.Errorf("%s: %+v", name, got)
		}
	}
	if _, got := Read([]byte(strings.Repeat("<a>", 201))); got == nil || got.At.Column != 601 || !strings.Contains(got.Message, "more than 200 deep") {
		t.Errorf("deep: %+v", got)
	}
}

func FuzzRead(f *testing.F) {
	for _, seed := range []string{"<a b='c'><d/>e</a>", "<a>&lt;", "\xff\xfe<\x00a\x00/\x00>\x00", "<a b=“c”/>", "<a b='1' b='2'/>"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, content []byte) {
		root, problem := Read(content)
		if (root == nil) == (problem == nil) {
			t.Errorf("%v beside %v", root, problem)
		}
	})
}
