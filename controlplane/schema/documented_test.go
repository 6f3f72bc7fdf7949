package schema

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/ancora-fleet/ancora/dataplane/webconfig"
	"github.com/ancora-fleet/ancora/dataplane/xmltree"
)

// attributes gives those of sections and of what is in them, by their paths.
func attributes(above string, sections []webconfig.Section) map[string]webconfig.Attribute {
	all := map[string]webconfig.Attribute{}
	for _, s := range sections {
		for _, a := range s.Attributes {
			all[above+s.Name+"/"+a.Name] = a
		}
		maps.Copy(all, attributes(above+s.Name+"/", s.Elements))
	}
	return all
}

// The documentation's examples are good by the schema, and none of them is any more with one attribute outside its range.
func TestDocumentedExamples(t *testing.T) {
	tries := &tries{t: t, x: readXSD(t, WebConfig())}
	known := attributes("", webconfig.Sections())
	files, err := filepath.Glob("../../dataplane/webconfig/testdata/documented/*.config")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	spoilt := map[string]bool{}
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		tries.file(string(content), true)
		root, problem := xmltree.Read(content)
		if problem != nil {
			t.Fatal(problem)
		}
		var walk func(above string, e *xmltree.Element)
		walk = func(above string, e *xmltree.Element) {
			path := above + e.Name + "/"
			if e.Name == "configuration" || e.Name == "location" || e.Name == "system.webServer" {
				path = ""
			}
			for _, a := range e.Attributes {
				described, ok := known[path+a.Name]
				written := fmt.Sprintf(` %s="%s"`, a.Name, a.Value)
				if !ok || strings.Count(string(content), written) != 1 {
					continue
				}
				for value, good := range values(described) {
					if good {
						continue
					}
					spoilt[path+a.Name] = true
					tries.file(strings.Replace(string(content), written, fmt.Sprintf(` %s="%s"`, a.Name, value), 1), false)
				}
			}
			for _, c := range e.Children {
				walk(path, c)
			}
		}
		walk("", root)
	}
	for name := range documented() {
		if !spoilt[name] {
			t.Errorf("%s stands in no example with a value of its own; these were tried: %v", name, slices.Sorted(maps.Keys(spoilt)))
		}
	}
}

// documented are the ranges and defaults of the documentation, spans in seconds.
func documented() map[string]struct{ min, max, standard int64 } {
	return map[string]struct{ min, max, standard int64 }{
		"aspNetCore/processesPerApplication":   {1, 100, 1},
		"aspNetCore/rapidFailsPerMinute":       {0, 100, 10},
		"aspNetCore/requestTimeout":            {0, 360 * 60 * 60, 120},
		"aspNetCore/shutdownTimeLimit":         {0, 600, 10},
		"aspNetCore/startupTimeLimit":          {0, 3600, 120},
		"httpPlatform/processesPerApplication": {1, 100, 1},
		"httpPlatform/rapidFailsPerMinute":     {0, 100, 10},
		"httpPlatform/requestTimeout":          {0, 2_592_000, 120},
		"httpPlatform/startupRetryCount":       {0, 100, 10},
		"httpPlatform/startupTimeLimit":        {0, 3600, 120}, // documented as 10, with ten attempts more: see docs/decisions/0002
	}
}

// The one table has the documentation's ranges and defaults.
func TestDocumentedRanges(t *testing.T) {
	known := attributes("", webconfig.Sections())
	for name, want := range documented() {
		a := known[name]
		if a.Limit.Min != want.min || a.Limit.Max != want.max || a.Limit.Default != want.standard {
			t.Errorf("%s: %+v (default %q), documented %+v", name, a.Limit, a.Default, want)
		}
	}
}
