package filter

import (
	"net/netip"
	"testing"
)

// Why a request is refused, and where it is said; what the query holds is never told.
func TestReasons(t *testing.T) {
	rules := Rules{Verbs: List{Names: []Listed{{"DELETE", false}}}, DenyURL: []string{"/Old/"}, Segments: []string{"bin"},
		Extensions: List{Names: []Listed{{".bak", false}}}, DenyQuery: []string{"secret"}, URL: pointer(uint32(20)), TLS: true}
	rules.Owe(&Rules{}, Source{"requestFiltering", "web.config", 7, 3})
	before := rules
	rules.Verbs.DenyUnlisted = true
	rules.Verbs.Names = append(rules.Verbs.Names, Listed{"GET", true})
	rules.Owe(&before, Source{"verbs", "web.config", 9, 5})
	s := Compile([]Rules{rules})
	for name, c := range map[string]struct {
		q    *Request
		text string
		line int
	}{
		"verb":      {ask("DELETE", "/"), "method DELETE is not allowed", 9},
		"sequence":  {ask("GET", "/a/OLD/b"), `the path holds "/old/", which is denied`, 7},
		"segment":   {ask("GET", "/a/Bin"), `segment "bin" of the path is hidden`, 7},
		"encoded":   {ask("GET", "/a%2Fbin"), `segment "bin" of the path is hidden`, 7},
		"extension": {ask("GET", "/a.BAK"), `extension ".bak" is not allowed`, 7},
		"query":     {ask("GET", "/?secret=1"), "the query holds a sequence that is denied", 7},
		"length":    {ask("GET", "/aaaaaaaaaaaaaaaaaaaa"), "the path has 21 bytes, maxUrl is 20", 7},
		"TLS":       {with(ask("GET", "/"), func(q *Request) { q.Secure = false }), "sslFlags asks for TLS", 7},
	} {
		c.q.Secure = name != "TLS"
		if _, why, _ := s.Explain(c.q); why.Text != c.text || why.Source.Line != c.line {
			t.Errorf("%s: %+v", name, why)
		}
	}
}

// Without a client what is said about clients is left out, and nothing else is.
func TestUnknownClient(t *testing.T) {
	s := Compile([]Rules{{Segments: []string{"bin"}}, {Path: "intern", Clients: Clients{DenyUnlisted: true}, Segments: []string{"bin"}}})
	unknown := func(target string) *Request {
		return with(ask("GET", target), func(q *Request) { q.Client = netip.Addr{} })
	}
	for target, want := range map[string]struct {
		status  int
		unasked bool
	}{"/": {0, false}, "/bin": {404, false}, "/intern": {0, true}, "/intern/bin": {404, true}, "/intern%2Fx": {0, true}} {
		if v, _, unasked := s.Explain(unknown(target)); v.Status != want.status || unasked != want.unasked {
			t.Errorf("%s: %d, %v", target, v.Status, unasked)
		}
	}
	if v := s.Check(unknown("/intern")); v.Status != 403 {
		t.Errorf("a request that has come passes without a client: %d", v.Status)
	}
}
