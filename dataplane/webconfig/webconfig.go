// Package webconfig reads web.config as ASP.NET Core applications are published with it: the sections aspNetCore and
// httpPlatform, strictly, every problem with its place; of the rest it says what has no effect here.
package webconfig

import (
	"cmp"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/ancora-fleet/ancora/dataplane/site"
)

// Config is what a file says, and what it has from those of applications above. What is nil or empty stands in none.
type Config struct {
	// File is the path as it was given; empty: the application has none, and this is inherited.
	File string
	// Section is aspNetCore or httpPlatform; empty when the file has neither.
	Section string
	// ProcessPath and Arguments are as written: not expanded, in the spelling of Windows.
	ProcessPath, Arguments string

	StartupTimeLimit, ShutdownTimeLimit, RequestTimeout *time.Duration
	RapidFailsPerMinute                                 *uint32
	DisableStartUpErrorPage                             *bool
	// HostingModel is in lower case; InProcess what it comes to, in-process when it is absent (D10).
	HostingModel string
	InProcess    bool
	// Processes is processesPerApplication, StartupRetryCount of httpPlatform alone.
	Processes, StartupRetryCount *uint32
	// StdoutLogEnabled and StdoutLogFile are as written; an empty file is the section's default.
	StdoutLogEnabled bool
	StdoutLogFile    string
	// Settings is handlerSettings, names in lower case.
	Settings map[string]string
	// Env is environmentVariables in their order, values as written.
	Env []site.Variable
	// Handlers are those that send requests to the application, in their order; nil: nothing is said about it.
	Handlers []Handler
	// Places has where the attributes of the section stand by their names, and variables by `name=` in lower case.
	Places map[string]Place
	// Edits are what the file changes of what requests and answers are asked; Rules makes rules of them.
	Edits []Edit
	// Initialization is nil when there is none.
	Initialization *Initialization
	// Named says that the section is this application's own although it stands in a file above: in a location of its path.
	Named bool
	// Notes is what operators should know of how the file is read.
	Notes []Note
}

// Note is a remark about a place in the file.
type Note struct {
	Kind         Kind
	Line, Column int
	Text         string
}

// Kind says what a note means for an operator.
type Kind string

const (
	// Honoured is a section that has the effect it has in IIS.
	Honoured Kind = "honoured"
	// Ignored has no effect.
	Ignored Kind = "ignored"
	// Warning is what likely is not as its author meant it.
	Warning Kind = "warning"
)

// Error is one problem of a file. Line and Column count from 1, columns in characters; 0 means the file as a whole.
type Error struct {
	File         string
	Line, Column int
	// Field names an attribute or element, Value what it holds; either may be empty.
	Field, Value string
	Message      string
	// Code is what visitors are answered with while nothing runs; empty is 500.19, which IIS's own reader gives (SCH-1).
	Code string
	// Closes says that the file keeps visitors out in a way that is not enforced.
	Closes bool
}

func (e Error) Error() string {
	text := e.File
	if e.Line > 0 {
		text = fmt.Sprintf("%s:%d:%d", e.File, e.Line, e.Column)
	}
	switch {
	case e.Field != "" && e.Value != "":
		text += fmt.Sprintf(": %.100s=\"%.400s\"", e.Field, e.Value)
	case e.Field != "":
		text += fmt.Sprintf(": %.100s", e.Field)
	}
	return text + ": " + e.Message
}

// Errors is everything that is wrong with a file, in its order.
type Errors []Error

// mostShown bounds what is said of a file that is wrong throughout: it travels with every status of the site.
const mostShown = 100

func (e Errors) Error() string {
	lines := make([]string, 0, min(len(e), mostShown)+1)
	for _, one := range e[:min(len(e), mostShown)] {
		lines = append(lines, one.Error())
	}
	if more := len(e) - len(lines); more > 0 {
		lines = append(lines, fmt.Sprintf("and %d more", more))
	}
	return strings.Join(lines, "\n")
}

// Code is what visitors are answered with while nothing runs: what IIS's reader finds comes before what the module does.
func (e Errors) Code() string {
	code := ""
	for _, one := range e {
		if one.Code == "" {
			return "500.19"
		}
		code = cmp.Or(code, one.Code)
	}
	return code
}

// Closes says that the file keeps visitors out in a way that is not enforced, whatever else is wrong.
func (e Errors) Closes() bool {
	return slices.ContainsFunc(e, func(one Error) bool { return one.Closes })
}

// Unusable is what somebody says who cannot use what is well written; what names it as Places does. In-process that is
// 500.0, as for what the module itself finds wrong, else a failed start.
func (c *Config) Unusable(what, message string) error {
	at, code := c.Places[what], "502.5"
	if c.InProcess || c.Section == "" {
		code = unusable
	}
	return Errors{{File: cmp.Or(at.File, c.File), Line: at.Line, Column: at.Column, Message: message, Code: code}}
}

// unusable is the code of a section that is read well and cannot be used (SCH-2).
const unusable = "500.0"

// Place is where something stands.
type Place struct {
	File         string
	Line, Column int
}

// Find gives the web.config of a folder in whatever case it is spelled; the exact spelling wins. The error is
// fs.ErrNotExist when there is none.
func Find(folder string) (string, error) {
	entries, err := os.ReadDir(folder)
	if err != nil {
		return "", err
	}
	found := ""
	for _, e := range entries {
		if strings.EqualFold(e.Name(), "web.config") && (found == "" || e.Name() == "web.config") {
			found = e.Name()
		}
	}
	if found == "" {
		return "", fmt.Errorf("%s: no web.config: %w", folder, fs.ErrNotExist)
	}
	return filepath.Join(folder, found), nil
}

// Parse reads a file. Its error is an Errors with everything that is wrong; nothing is returned beside it. What keeps visitors
// out and is not enforced is wrong, unless open names it (site.Restrictions).
func Parse(file string, content []byte, open ...string) (*Config, error) {
	return ParseBelow(nil, file, content, open...)
}

func parse(r *reader, content []byte) (*Config, error) {
	root, problem := readTree(r.file, content)
	if problem != nil {
		return nil, Errors{*problem}
	}
	r.configuration(root)
	if len(r.problems) > 0 {
		r.sort()
		return nil, r.problems
	}
	return r.config, nil
}
