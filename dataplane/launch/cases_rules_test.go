package launch

import (
	"slices"
	"strings"

	"github.com/ancora-fleet/ancora/dataplane/filter"
)

// placeLimits are requestLimits at one place.
type placeLimits struct {
	Path                                    string
	MaxAllowedContentLength, MaxQueryString *uint32
	MaxURL                                  *uint32 `yaml:"maxUrl"`
}

// rules compares what requests and answers are asked.
func (c *caseFile) rules(plan *Plan, wrong *problems) {
	places := map[string]filter.Rules{}
	for _, r := range plan.Rules {
		places["/"+r.Path] = r
	}
	for _, want := range c.Expect.Limits {
		is := places[want.Path]
		for _, n := range [][2]*uint32{{is.Body, want.MaxAllowedContentLength}, {is.Query, want.MaxQueryString}, {is.URL, want.MaxURL}} {
			if n[1] != nil && (n[0] == nil || *n[0] != *n[1]) {
				wrong.add("limits", "%s: %v, want %d", want.Path, n[0], *n[1])
			}
		}
	}
	if c.Expect.Headers != nil {
		for name, value := range c.Expect.Headers.Add {
			if !slices.Contains(places["/"].Add, filter.Header{Name: name, Value: value}) {
				wrong.add("headers", "%s is not added: %v", name, places["/"].Add)
			}
		}
	}
	if len(c.Expect.ErrorPages) == 0 {
		return
	}
	set := filter.Compile(plan.Rules)
	for code, file := range c.Expect.ErrorPages {
		substatus := map[string]int{"502.3": 3, "502.5": 5}[code]
		if page, _ := set.Application().Page(502, substatus, plan.PlainErrors); page.File != strings.TrimPrefix(file, "{root}/") {
			wrong.add("error_pages", "%s: %q, want %s", code, page.File, file)
		}
	}
}
