package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/ancora-fleet/ancora/controlplane/iisconfig"
)

// reportJSON is the report for programs; it is stable.
type reportJSON struct {
	File string `json:"file"`
	// NotRead are the files beside it in a shared configuration.
	NotRead []string   `json:"notRead"`
	Sites   []siteJSON `json:"sites"`
	// Server is what concerns no single site.
	Server []lineJSON `json:"server"`
}

type siteJSON struct {
	// Name is empty for a site that is not written, NameInIIS for one that comes from a web.config.
	Name      string     `json:"name"`
	NameInIIS string     `json:"nameInIIS"`
	Line      int        `json:"line"`
	Lines     []lineJSON `json:"lines"`
}

type lineJSON struct {
	Line int            `json:"line"`
	Kind iisconfig.Kind `json:"kind"`
	Text string         `json:"text"`
}

func (o *importOptions) reportOf(s *source, result *iisconfig.Import) ([]byte, error) {
	r := reportJSON{File: s.file, NotRead: append([]string{}, s.beside...), Sites: []siteJSON{}, Server: linesOf(result.Server)}
	for _, made := range result.Sites {
		one := siteJSON{NameInIIS: made.Name, Line: made.Line, Lines: linesOf(made.Lines)}
		if made.Site != nil {
			one.Name = made.Site.Name
		}
		r.Sites = append(r.Sites, one)
	}
	if o.format == "json" {
		var b bytes.Buffer
		e := json.NewEncoder(&b)
		e.SetEscapeHTML(false)
		e.SetIndent("", "  ")
		err := e.Encode(r)
		return []byte(escapeJSON(b.String())), err
	}
	return []byte(r.text()), nil
}

func linesOf(lines []iisconfig.Line) []lineJSON {
	all := make([]lineJSON, len(lines))
	for i, l := range lines {
		all[i] = lineJSON(l)
	}
	return all
}

// kinds are in the order of what asks most of an operator.
func kinds() []iisconfig.Kind {
	return []iisconfig.Kind{iisconfig.ToDo, iisconfig.NoEquivalent, iisconfig.Carried, iisconfig.NotNeeded}
}

// text is the report for people: a group a site, a line a thing, its place first so that editors find it.
func (r *reportJSON) text() string {
	var b strings.Builder
	line := func(format string, args ...any) { b.WriteString(escapeLine(fmt.Sprintf(format, args...)) + "\n") }
	group := func(lines []lineJSON) {
		for _, kind := range kinds() {
			for _, l := range lines {
				if l.Kind == kind {
					line("  %s:%d: %s: %s", r.File, l.Line, l.Kind, l.Text)
				}
			}
		}
	}
	for _, s := range r.Sites {
		name := s.Name
		if name == "" {
			name = "(not written)"
		}
		if s.NameInIIS != "" {
			name += fmt.Sprintf(", %q in IIS", s.NameInIIS)
		}
		line("site %s: %s", name, counts(s.Lines))
		group(s.Lines)
	}
	if len(r.Server) > 0 {
		line("the server: %s", counts(r.Server))
		group(r.Server)
	}
	if len(r.NotRead) > 0 {
		line("not read, and not needed: %s", strings.Join(r.NotRead, ", "))
	}
	return b.String()
}

func counts(lines []lineJSON) string {
	n := map[iisconfig.Kind]int{}
	for _, l := range lines {
		n[l.Kind]++
	}
	var all []string
	for _, kind := range kinds() {
		if n[kind] > 0 {
			all = append(all, fmt.Sprintf("%d %s", n[kind], kind))
		}
	}
	return strings.Join(all, ", ")
}
