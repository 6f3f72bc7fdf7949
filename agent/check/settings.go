package check

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/ancora-fleet/ancora/dataplane/launch"
	"github.com/ancora-fleet/ancora/dataplane/regular"
)

// settingsTrouble says which of the files that the standard builders of .NET read from the content root is no JSON: such an
// application does not start.
func settingsTrouble(dir, environment string) (all []Trouble) {
	names := []string{"appsettings.json"}
	if environment != "" && !strings.Contains(environment, "/") {
		names = append(names, "appsettings."+environment+".json")
	}
	for _, name := range names {
		file := filepath.Join(dir, name)
		content, err := regular.Read(file, settingsLimit)
		if err != nil || bytes.HasPrefix(content, []byte("\xff\xfe")) || bytes.HasPrefix(content, []byte("\xfe\xff")) {
			continue
		}
		text := strict(content)
		var any json.RawMessage
		var syntax *json.SyntaxError
		if err := json.Unmarshal(text, &any); errors.As(err, &syntax) {
			before := text[:min(max(int(syntax.Offset)-1, 0), len(text))]
			line, column := bytes.Count(before, []byte("\n"))+1, len(before)-bytes.LastIndexByte(before, '\n')
			all = append(all, Trouble{place(file, line, column), syntax.Error()})
		}
	}
	return all
}

// strict makes of the JSON that .NET reads, with comments and commas before an end, one that encoding/json reads. Places stay.
func strict(content []byte) []byte {
	text := bytes.Clone(bytes.TrimPrefix(content, []byte("\ufeff")))
	comma := -1 // the place of a comma after which nothing has come yet
	blank := func(from, to int) {
		for i := from; i < to; i++ {
			if text[i] != '\n' {
				text[i] = ' '
			}
		}
	}
	for i := 0; i < len(text); i++ {
		switch rest := text[i:]; {
		case bytes.HasPrefix(rest, []byte("//")):
			end := bytes.IndexByte(rest, '\n')
			if end < 0 {
				end = len(rest)
			}
			blank(i, i+end)
			i += end - 1
		case bytes.HasPrefix(rest, []byte("/*")):
			end := bytes.Index(rest[2:], []byte("*/"))
			if end < 0 {
				return text // it does not end: no JSON for .NET either
			}
			blank(i, i+end+4)
			i += end + 3
		case text[i] == '"':
			comma = -1
			for i++; i < len(text) && text[i] != '"'; i++ {
				if text[i] == '\\' {
					i++
				}
			}
		case text[i] == ',':
			comma = i
		case text[i] == '}' || text[i] == ']':
			if comma >= 0 {
				text[comma] = ' '
			}
			comma = -1
		case !strings.ContainsRune(" \t\r\n", rune(text[i])):
			comma = -1
		}
	}
	return text
}

// absent is the file that a program of another kind would be given to run, if it is not there; empty: it is, or nobody knows.
func absent(p *launch.Plan) string {
	name := ""
	switch kind := strings.TrimRight(filepath.Base(p.Program), "0123456789."); {
	case kind == "java":
		for i, a := range p.Args {
			if a == "-jar" && i+1 < len(p.Args) {
				name = p.Args[i+1]
				break
			}
		}
	case kind == "node" && len(p.Args) > 0 && strings.HasPrefix(filepath.Ext(p.Args[0]), "."): // node finds other names by its own rules
		name = p.Args[0]
	case (kind == "python" || kind == "php" || kind == "ruby") && len(p.Args) > 0:
		name = p.Args[0]
	}
	if name == "" || strings.HasPrefix(name, "-") || strings.ContainsAny(name, "%$") {
		return ""
	}
	file := name
	if !filepath.IsAbs(file) {
		file = filepath.Join(p.Dir, file)
	}
	if there(file) {
		return ""
	}
	return fmt.Sprintf("%q", name)
}
