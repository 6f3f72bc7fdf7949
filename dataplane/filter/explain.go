package filter

import (
	"bytes"
	"fmt"
	"maps"
	"reflect"
	"slices"
)

// Rule is one of those that may refuse a request.
type Rule int

const (
	// RuleClients is ipSecurity, RuleTLS and RuleCertificate are sslFlags of access; the others are of requestFiltering.
	RuleClients Rule = iota + 1
	RuleTLS
	RuleCertificate
	RuleVerbs
	RuleHeaders
	RuleURL
	RuleQuery
	RuleBody
	RuleDenyURL
	RuleExtensions
	RuleSegments
	RuleDoubleEscaping
	RuleHighBit
	RuleDenyQuery
)

// parts gives what of the rules each rule reads.
func (r *Rules) parts() map[Rule]any {
	return map[Rule]any{
		RuleClients: r.Clients, RuleTLS: r.TLS, RuleCertificate: r.Certificate, RuleVerbs: r.Verbs, RuleHeaders: r.Headers,
		RuleURL: r.URL, RuleQuery: r.Query, RuleBody: r.Body, RuleDenyURL: r.DenyURL, RuleExtensions: r.Extensions,
		RuleSegments: r.Segments, RuleDoubleEscaping: r.NoDoubleEscaping, RuleHighBit: r.NoHighBit, RuleDenyQuery: r.DenyQuery,
	}
}

// Owe notes that all that differs from before comes from a section.
func (r *Rules) Owe(before *Rules, to Source) {
	own := maps.Clone(r.Sources)
	if own == nil {
		own = map[Rule]Source{}
	}
	was := before.parts()
	for rule, is := range r.parts() {
		if !reflect.DeepEqual(is, was[rule]) {
			own[rule] = to
		}
	}
	r.Sources = own
}

// Reason says why a request may not pass, and which section of web.config says so.
type Reason struct {
	Text string
	// Source is empty where it is not known.
	Source Source
}

// Explain is Check for a request that has not come: it says why as well. A request that has come has a client; the rules about
// clients are left out where this one has none, and unasked says that there are any.
func (s *Set) Explain(q *Request) (v Verdict, why Reason, unasked bool) {
	of := s
	if !q.Client.IsValid() {
		unasked = s.asksClient(q)
		of = &Set{places: slices.Clone(s.places)}
		for i := range of.places {
			of.places[i].clients = Clients{}
		}
	}
	v = of.Check(q)
	if v.Status != 0 {
		why = v.Place.reason(q, v)
	}
	return v, why, unasked
}

// asksClient says whether the place of a request has rules about clients; an encoded slash may mean two places.
func (s *Set) asksClient(q *Request) bool {
	for _, slashes := range []bool{true, false} {
		path := decode(nil, q.Path, q.Base, slashes)
		if c := &s.at(path.text[path.base:]).clients; len(c.Ranges) > 0 || c.DenyUnlisted {
			return true
		}
	}
	return false
}

// reason finds the words for a verdict, by the same looks as check.
func (p *Place) reason(q *Request, v Verdict) Reason {
	path := decode(nil, q.Path, q.Base, true)
	if p.path(path) == 0 {
		path = decode(nil, q.Path, q.Base, false)
	}
	rule, text := RuleClients, fmt.Sprintf("client %v is not allowed", q.Client)
	switch {
	case v.Status == 413:
		rule, text = RuleBody, fmt.Sprintf("the body has more than %d bytes", p.body)
	case v.Substatus == 0:
	case v.Status == 403 && v.Substatus == 4:
		rule, text = RuleTLS, "sslFlags asks for TLS"
	case v.Status == 403 && v.Substatus == 7:
		rule, text = RuleCertificate, "sslFlags asks for a client certificate"
	case v.Status == 404:
		rule, text = p.reason404(q, path, v.Substatus)
	}
	return Reason{text, p.sources[rule]}
}

func (p *Place) reason404(q *Request, path decoded, substatus int) (Rule, string) {
	switch substatus {
	case 5:
		return RuleDenyURL, fmt.Sprintf("the path holds %q, which is denied", held(path.text, p.denyURL))
	case 6:
		return RuleVerbs, fmt.Sprintf("method %s is not allowed", q.Method)
	case 7:
		last := path.text[bytes.LastIndexByte(path.text, '/')+1:]
		if i := bytes.LastIndexByte(last, '.'); i >= 0 {
			return RuleExtensions, fmt.Sprintf("extension %q is not allowed", last[i:])
		}
		return RuleExtensions, "a path without an extension is not allowed"
	case 8:
		for segment := range bytes.SplitSeq(path.text, []byte("/")) {
			if isAny(segment, p.segments) {
				return RuleSegments, fmt.Sprintf("segment %q of the path is hidden", segment)
			}
		}
	case 10:
		return RuleHeaders, "a header is longer than headerLimits says"
	case 11:
		return RuleDoubleEscaping, "the path can be decoded twice, which allowDoubleEscaping forbids"
	case 12:
		return RuleHighBit, "the path is not all ASCII, which allowHighBitCharacters forbids"
	case 14:
		return RuleURL, fmt.Sprintf("the path has %d bytes, maxUrl is %d", len(q.Path), p.url)
	case 15:
		return RuleQuery, fmt.Sprintf("the query has %d bytes, maxQueryString is %d", len(q.Query)-1, p.query)
	}
	return RuleDenyQuery, "the query holds a sequence that is denied" // not which one: queries hold secrets
}

func held(text []byte, parts []string) string {
	for _, part := range parts {
		if bytes.Contains(text, []byte(part)) {
			return part
		}
	}
	return ""
}
