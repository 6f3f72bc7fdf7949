// Package check says what is wrong with a folder before it is served. Its core, Judge, is pure: it makes findings of what was
// found out about an application and the machine; Look finds that out, as the user whom the application would run as, and
// changes nothing.
package check

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
)

// Level says what a finding means.
type Level string

const (
	// Error keeps the application from starting, or from working.
	Error Level = "error"
	// Warning is what likely is not as somebody meant it.
	Warning Level = "warning"
	// Note says how something is read.
	Note Level = "note"
)

func (l Level) rank() int { return slices.Index([]Level{Error, Warning, Note}, l) }

// Finding is one thing that was found.
type Finding struct {
	Level Level `json:"level"`
	// Application is site and path; empty: it concerns the site as a whole, or the machine.
	Application string `json:"application,omitempty"`
	// Place is a file, with :line:column where they are known, or empty.
	Place string `json:"place,omitempty"`
	// Text is one line.
	Text string `json:"text"`
}

// Report is everything that was found; errors come first, then warnings, then notes.
type Report struct {
	// Folder is what was looked at, as it was asked for.
	Folder   string    `json:"folder"`
	Errors   int       `json:"errors"`
	Warnings int       `json:"warnings"`
	Findings []Finding `json:"findings"`
}

// NewReport puts findings in order and counts them. What was found of several applications alike is told once.
func NewReport(folder string, all []Finding) *Report {
	r := &Report{Folder: folder, Findings: []Finding{}}
	met := map[Finding]bool{}
	for _, f := range all {
		if f.Place, f.Text = oneLine(f.Place), oneLine(f.Text); met[f] {
			continue
		}
		met[f] = true
		r.Findings = append(r.Findings, f)
		switch f.Level {
		case Error:
			r.Errors++
		case Warning:
			r.Warnings++
		}
	}
	slices.SortStableFunc(r.Findings, func(a, b Finding) int { return cmp.Compare(a.Level.rank(), b.Level.rank()) })
	return r
}

// JSON writes the report as one object.
func (r *Report) JSON(out io.Writer) error {
	e := json.NewEncoder(out)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(r)
}

// Text writes one line a finding, with places below root relative to it, and a sum.
func (r *Report) Text(out io.Writer, root string) error {
	applications := map[string]bool{}
	for _, f := range r.Findings {
		if strings.Contains(f.Application, "/") { // else it is a site's
			applications[f.Application] = true
		}
	}
	several := len(applications) > 1
	for _, f := range r.Findings {
		words := []string{string(f.Level)}
		if several && f.Application != "" {
			words = append(words, f.Application)
		}
		if f.Place != "" {
			words = append(words, shorter(f.Place, root))
		}
		if _, err := fmt.Fprintln(out, strings.Join(append(words, f.Text), " ")); err != nil {
			return err
		}
	}
	_, err := fmt.Fprintf(out, "%s: %s, %s\n", r.Folder, plural(r.Errors, "error"), plural(r.Warnings, "warning"))
	return err
}

func shorter(place, root string) string {
	if rest, below := strings.CutPrefix(place, strings.TrimSuffix(root, "/")+"/"); below && filepath.IsAbs(root) {
		return rest
	}
	return place
}

func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// oneLine keeps what others wrote on the line of its finding, and control bytes from the terminal.
func oneLine(text string) string {
	text = strings.Join(strings.FieldsFunc(text, func(r rune) bool { return r == '\n' || r == '\r' }), "; ")
	return strings.Map(func(r rune) rune {
		if r < ' ' || r >= 0x7f && r < 0xa0 {
			return '·'
		}
		return r
	}, text)
}
