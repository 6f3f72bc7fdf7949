package filter

import (
	"cmp"
	"slices"
	"strings"

	"github.com/ancora-fleet/ancora/dataplane/h1"
)

// Set is the rules of an application, ready to be asked. It never changes.
type Set struct {
	places []Place // longest path first; the last one is the application itself
}

// Place is the rules of one place, ready to be asked.
type Place struct {
	below string // in lower case, a slash before it; empty for the application itself

	body, url, query                      int64 // -1: no limit
	headers                               []HeaderLimit
	verbs, extensions                     List
	segments, denyURL, denyQuery          []string
	allowURL, allowQuery                  []string
	noDoubleEscaping, noHighBit, rawQuery bool
	clients                               Clients
	tls, certificate                      bool

	// NoWebSockets drops what asks for an upgrade.
	NoWebSockets bool
	// Add is put behind the fields of every answer, NoServer takes Server out of it.
	Add      []h1.Field
	NoServer bool
	pages    []Page
	sources  map[Rule]Source
}

// Compile makes a set of the rules of an application's places. It is nil when they ask nothing, so that an application
// without rules costs one comparison a request.
func Compile(rules []Rules) *Set {
	s := &Set{}
	asks, top := false, false
	for i := range rules {
		p := compile(&rules[i])
		asks = asks || !p.empty()
		top = top || p.below == ""
		s.places = append(s.places, p)
	}
	if !asks {
		return nil
	}
	if !top {
		s.places = append(s.places, compile(&Rules{}))
	}
	slices.SortStableFunc(s.places, func(a, b Place) int { return cmp.Compare(len(b.below), len(a.below)) })
	return s
}

// Application gives the place that is the application itself.
func (s *Set) Application() *Place { return &s.places[len(s.places)-1] }

// at finds the rules of a path: the longest place that is equal to it or a prefix of it up to a slash.
func (s *Set) at(below []byte) *Place {
	for i := range s.places {
		p := &s.places[i]
		if n := len(p.below); n == 0 || len(below) >= n && string(below[:n]) == p.below && (len(below) == n || below[n] == '/') {
			return p
		}
	}
	return s.Application()
}

func compile(r *Rules) Place {
	p := Place{
		body: limit(r.Body), url: limit(r.URL), query: limit(r.Query),
		verbs: r.Verbs, extensions: List{r.Extensions.DenyUnlisted, nil},
		segments: lowerAll(r.Segments), denyURL: lowerAll(r.DenyURL), denyQuery: lowerAll(r.DenyQuery),
		allowURL: lowerAll(r.AllowURL), allowQuery: lowerAll(r.AllowQuery),
		noDoubleEscaping: r.NoDoubleEscaping, noHighBit: r.NoHighBit, rawQuery: r.RawQuery,
		clients: r.Clients, tls: r.TLS, certificate: r.Certificate,
		NoWebSockets: r.NoWebSockets, NoServer: r.NoServer, sources: r.Sources,
	}
	if !r.NoPages {
		p.pages = r.Pages
	}
	if path := strings.Trim(r.Path, "/"); path != "" {
		p.below = "/" + strings.ToLower(path)
	}
	for _, e := range r.Extensions.Names {
		p.extensions.Names = append(p.extensions.Names, Listed{strings.ToLower(e.Name), e.Allowed})
	}
	for _, h := range r.Headers {
		p.headers = append(p.headers, HeaderLimit{strings.ToLower(h.Name), h.Most})
	}
	for _, h := range r.Add {
		p.Add = append(p.Add, h1.Field{Name: []byte(h.Name), Value: []byte(h.Value)})
	}
	return p
}

// empty reports whether a place asks nothing.
func (p *Place) empty() bool {
	lists := len(p.headers) + len(p.verbs.Names) + len(p.extensions.Names) + len(p.segments) + len(p.denyURL) + len(p.denyQuery) + len(p.clients.Ranges) + len(p.Add) + len(p.pages)
	switches := p.verbs.DenyUnlisted || p.extensions.DenyUnlisted || p.clients.DenyUnlisted || p.noDoubleEscaping || p.noHighBit || p.tls || p.certificate || p.NoWebSockets || p.NoServer
	return lists == 0 && !switches && p.body < 0 && p.url < 0 && p.query < 0
}

func limit(n *uint32) int64 {
	if n == nil {
		return -1
	}
	return int64(*n)
}

func lowerAll(texts []string) []string {
	var all []string
	for _, t := range texts {
		all = append(all, strings.ToLower(t))
	}
	return all
}

// Page gives what stands in for one of our error pages: that of its very substatus, then, where the page of a failed start
// is switched off, that of 502.3 (ERR-4), then that of the status.
func (p *Place) Page(status, substatus int, plainStart bool) (Page, bool) {
	if page, ok := p.page(status, substatus); ok {
		return page, true
	}
	if plainStart {
		if page, ok := p.page(502, 3); ok {
			return page, true
		}
	}
	return p.page(status, -1)
}

func (p *Place) page(status, substatus int) (Page, bool) {
	for _, page := range p.pages {
		if page.Status == status && page.Substatus == substatus {
			return page, true
		}
	}
	return Page{}, false
}
