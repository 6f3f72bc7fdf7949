// Package filter says whether a request may pass, and what is added to its answer, by the rules that a web.config has for
// its place: security/requestFiltering, security/ipSecurity, security/access, httpProtocol, httpErrors and webSocket. It
// holds plain rules and one pure function; it reads no file and knows no connection.
package filter

import (
	"net/netip"
	"strings"

	"github.com/ancora-fleet/ancora/dataplane/h1"
)

// Rules is what holds at one place of an application, what the place inherits included. The zero value forbids nothing and
// adds nothing: where a file says nothing, nothing is filtered.
type Rules struct {
	// Path is the place below the application, as location names it; empty: all of the application.
	Path string
	// Body is how many bytes a body may have, URL how many the path, Query how many the query without its question mark.
	// Nil: no limit of the file.
	Body, URL, Query *uint32
	Headers          []HeaderLimit
	Verbs            List
	// Extensions begin with a dot; a dot alone is a name without one.
	Extensions List
	// Segments are whole parts of a path, the others parts of any of path and query, or all of it where they allow; without
	// regard to case.
	Segments, DenyURL, DenyQuery, AllowURL, AllowQuery []string
	// NoDoubleEscaping refuses what decodes twice, or holds a plus; NoHighBit what is not ASCII.
	NoDoubleEscaping, NoHighBit bool
	// RawQuery looks at a query only as it is spelled, not at what it decodes to.
	RawQuery bool
	Clients  Clients
	// TLS refuses connections without it, Certificate those whose client has shown none.
	TLS, Certificate bool
	NoWebSockets     bool
	// Add are the fields that every answer gets; NoServer takes Server out of it.
	Add      []Header
	NoServer bool
	// Pages stand in for our error pages, unless NoPages is set.
	Pages   []Page
	NoPages bool
	// Sources are where what may refuse a request comes from, as far as it is known; see Owe.
	Sources map[Rule]Source
}

// Source is where a section of a web.config stands. Line and Column count from 1.
type Source struct {
	Section, File string
	Line, Column  int
}

// List allows and denies names; those it does not hold are denied when DenyUnlisted is set.
type List struct {
	DenyUnlisted bool
	Names        []Listed
}

// Listed is a name and what is said of it.
type Listed struct {
	Name    string
	Allowed bool
}

// HeaderLimit is how many bytes the value of a field may have.
type HeaderLimit struct {
	Name string
	Most uint32
}

// Header is a field of an answer.
type Header struct{ Name, Value string }

// Clients allows and denies by address: the first range that holds it decides.
type Clients struct {
	DenyUnlisted bool
	Ranges       []Range
	// Status is what a client that is denied gets: 0 for 403.6, else 401, 403 or 404, or Abort for no answer at all.
	Status int
}

// Abort as a Status cuts the connection.
const Abort = -1

// Range is a network and what is said of it.
type Range struct {
	Network netip.Prefix
	Allowed bool
}

// Page stands in for one of our own error pages.
type Page struct {
	// Substatus is -1 for every one of its status.
	Status, Substatus int
	// File is a path below the application's root, slashes in it; else Location is where visitors are sent with 302.
	File, Location string
}

// Request is what of a request is looked at.
type Request struct {
	// Path is normalised (route.Normalise); its first Base bytes are the application's own path. Query has its '?'.
	Method, Path, Query []byte
	Base                int
	Fields              []h1.Field
	// Length is that of the body in bytes, -1 when only its end will tell.
	Length int64
	Client netip.Addr
	// Certificate says that the client has shown one that was verified.
	Secure, Certificate bool
}

// Verdict is what becomes of a request.
type Verdict struct {
	// Status is 0 when the request may pass, else that of the answer or Abort.
	Status, Substatus int
	// Body is how many bytes the body may have; -1: the rules do not say.
	Body int64
	// Place has what holds for the answer. It is never nil.
	Place *Place
}

// Check says whether a request may pass. A path with an encoded slash is looked at twice, with a separator in its place and
// without: who reads it later may do either.
func (s *Set) Check(q *Request) Verdict {
	var room [512]byte
	path := decode(room[:0], q.Path, q.Base, true)
	v := s.check(q, path)
	if !path.slashes || v.Status != 0 {
		return v
	}
	other := s.check(q, decode(nil, q.Path, q.Base, false))
	if other.Body < 0 || v.Body >= 0 && v.Body < other.Body {
		other.Body = v.Body
	}
	return other
}

func (s *Set) check(q *Request, path decoded) Verdict {
	p := s.at(path.text[path.base:])
	v := Verdict{Place: p, Body: p.body}
	v.Status, v.Substatus = p.check(q, path)
	return v
}

// check gives status and substatus as IIS has them; 0: the request may pass.
func (p *Place) check(q *Request, path decoded) (status, substatus int) {
	switch {
	case !p.clients.allows(q.Client):
		return p.denied()
	case p.tls && !q.Secure:
		return 403, 4
	case p.certificate && !q.Certificate:
		return 403, 7
	case !p.verbs.allowsVerb(q.Method):
		return 404, 6
	case p.tooLong(q.Fields):
		return 404, 10
	case p.url >= 0 && int64(len(q.Path)) > p.url:
		return 404, 14
	case p.query >= 0 && int64(len(q.Query))-1 > p.query:
		return 404, 15
	case p.body >= 0 && q.Length > p.body:
		return 413, 0
	}
	if n := p.path(path); n != 0 {
		return 404, n
	}
	if len(p.denyQuery) > 0 && len(q.Query) > 1 && p.queryDenied(q.Query[1:]) {
		return 404, 18
	}
	return 0, 0
}

func (p *Place) denied() (status, substatus int) {
	if p.clients.Status != 0 {
		return p.clients.Status, 0
	}
	return 403, 6
}

// tooLong reports whether a field is longer than there is a limit for.
func (p *Place) tooLong(fields []h1.Field) bool {
	for _, limit := range p.headers {
		for _, f := range fields {
			if int64(len(f.Value)) > int64(limit.Most) && h1.EqualFold(f.Name, limit.Name) {
				return true
			}
		}
	}
	return false
}

func (c *Clients) allows(client netip.Addr) bool {
	if len(c.Ranges) == 0 && !c.DenyUnlisted {
		return true
	}
	client = client.Unmap().WithZone("")
	for _, r := range c.Ranges {
		if r.Network.Contains(client) {
			return r.Allowed
		}
	}
	return !c.DenyUnlisted
}

// allowsVerb compares with case, as HTTP does, but never lets through by another case what is denied.
func (l *List) allowsVerb(method []byte) bool {
	for _, n := range l.Names {
		if n.Name == string(method) {
			return n.Allowed
		}
	}
	for _, n := range l.Names {
		if !n.Allowed && strings.EqualFold(n.Name, string(method)) {
			return false
		}
	}
	return !l.DenyUnlisted
}
