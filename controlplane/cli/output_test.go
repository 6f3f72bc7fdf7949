package cli

import (
	"bytes"
	"encoding/json"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"

	controlv1 "github.com/ancora-fleet/ancora/proto/ancora/control/v1"
	typesv1 "github.com/ancora-fleet/ancora/proto/ancora/types/v1"
)

// tokens is a listing as `get tokens` makes one.
func tokens() *listing {
	a := &controlv1.Token{Id: "a1", Host: "web1", Labels: map[string]string{"role": "no", "x": "1e3"}, MaxUses: 1}
	b := &controlv1.Token{Id: "b \x1b\u009b: #"}
	return &listing{
		noun: "token", names: []string{"a1", "b\x1b"}, message: &controlv1.ListTokensResponse{Tokens: []*controlv1.Token{a, b}}, items: []proto.Message{a, b},
		table: func(bool) *table { t := newTable("TOKEN"); t.row("a1"); return t },
	}
}

func printed(t *testing.T, l *listing, format string, single bool) (out, notes string) {
	t.Helper()
	var o, e bytes.Buffer
	p := &program{Env: Env{Out: &o, Err: &e}}
	if err := p.print(l, format, single); err != nil {
		t.Fatal(err)
	}
	return o.String(), e.String()
}

func TestPrint(t *testing.T) {
	if out, _ := printed(t, tokens(), formatName, false); out != "token/a1\ntoken/b\\x1b\n" {
		t.Errorf("name: %q", out)
	}
	if out, _ := printed(t, tokens(), formatTable, false); out != "TOKEN\na1\n" {
		t.Errorf("table: %q", out)
	}
	if out, notes := printed(t, &listing{noun: "token"}, formatWide, false); out != "" || notes != "no tokens\n" {
		t.Errorf("none: %q %q", out, notes)
	}
	one := tokens()
	one.items = one.items[:1]
	out, _ := printed(t, one, formatJSON, true)
	var v map[string]any
	if err := json.Unmarshal([]byte(out), &v); err != nil || v["id"] != "a1" || v["uses"] != 0.0 {
		t.Errorf("one as json: %v\n%s", err, out)
	}
}

// YAML and JSON say the same, and neither can act on a terminal.
func TestYAMLAndJSON(t *testing.T) {
	asJSON, _ := printed(t, tokens(), formatJSON, false)
	asYAML, _ := printed(t, tokens(), formatYAML, false)
	var a, b any
	if err := json.Unmarshal([]byte(asJSON), &a); err != nil {
		t.Fatal(err)
	}
	if err := yaml.Unmarshal([]byte(asYAML), &b); err != nil {
		t.Fatalf("%v\n%s", err, asYAML)
	}
	again, err := json.Marshal(b)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(again, &b); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(a, b); diff != "" {
		t.Errorf("%s\n%s", diff, asYAML)
	}
	for _, text := range []string{asJSON, asYAML} {
		if unsafeIndex(text, true) >= 0 {
			t.Errorf("%q", text)
		}
	}
}

// A site in YAML is a site file: what apply reads.
func TestSiteAsFile(t *testing.T) {
	p := &program{Env: Env{In: bytes.NewBufferString(shopFile)}}
	sites, err := p.readSites([]string{"-"})
	if err != nil || len(sites) != 1 {
		t.Fatal(err)
	}
	text, err := siteFiles([]*controlv1.SiteOverview{
		{Site: &typesv1.Site{Name: "a", Placement: &typesv1.Placement{Hosts: &typesv1.Selector{Expression: "all"}}, Bindings: []*typesv1.Binding{{Listener: "http"}}, Applications: []*typesv1.Application{{Path: "/", Root: "/srv"}}}},
		{Site: &typesv1.Site{Name: "b", Placement: &typesv1.Placement{Hosts: &typesv1.Selector{Expression: "all"}}, Bindings: []*typesv1.Binding{{Listener: "http"}}, Applications: []*typesv1.Application{{Path: "/", Root: "/srv"}}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	p.In = bytes.NewReader(text)
	if sites, err = p.readSites([]string{"-"}); err != nil || len(sites) != 2 || sites[1].Name != "b" {
		t.Errorf("%v, %v\n%s", sites, err, text)
	}
}

// Words that some reader of YAML takes for something else than text are quoted.
func TestYAMLString(t *testing.T) {
	for in, want := range map[string]string{"web": "web", "a/b-c.d": "a/b-c.d", "no": `"no"`, "True": `"True"`, "1e3": `"1e3"`, "": `""`, "a: b": `"a: b"`, "~": `"~"`, "\x1b": `"\u001b"`} {
		if got := yamlString(in); got != want {
			t.Errorf("%q: %s, want %s", in, got, want)
		}
	}
}
