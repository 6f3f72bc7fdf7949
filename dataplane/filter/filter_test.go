package filter

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/ancora-fleet/ancora/dataplane/h1"
)

func pointer[T any](v T) *T { return &v }

// ask is a request without anything special.
func ask(method, target string) *Request {
	path, query := target, ""
	if i := strings.IndexByte(target, '?'); i >= 0 {
		path, query = target[:i], target[i:]
	}
	return &Request{Method: []byte(method), Path: []byte(path), Query: []byte(query), Client: netip.MustParseAddr("192.0.2.7")}
}

func with(q *Request, change func(*Request)) *Request {
	change(q)
	return q
}

// Each rule, what it refuses and what it lets through.
func TestCheck(t *testing.T) {
	net := func(s string, allowed bool) Range { return Range{netip.MustParsePrefix(s), allowed} }
	from := func(client string) *Request {
		return with(ask("GET", "/"), func(q *Request) { q.Client = netip.MustParseAddr(client) })
	}
	long := func(n int64) *Request { return with(ask("POST", "/"), func(q *Request) { q.Length = n }) }
	header := func(name, value string) *Request {
		return with(ask("GET", "/"), func(q *Request) { q.Fields = []h1.Field{{Name: []byte(name), Value: []byte(value)}} })
	}
	vault := Rules{Clients: Clients{DenyUnlisted: true, Ranges: []Range{net("10.20.9.0/24", false), net("10.20.0.0/16", true), net("2001:db8::/32", true)}}}
	for name, c := range map[string]struct {
		rules  Rules
		q      *Request
		status int
		sub    int
	}{
		"nothing":                 {Rules{}, ask("TRACE", "/private/a.bak?x"), 0, 0},
		"body within":             {Rules{Body: pointer(uint32(10))}, long(10), 0, 0},
		"body over":               {Rules{Body: pointer(uint32(10))}, long(11), 413, 0},
		"body of no length":       {Rules{Body: pointer(uint32(10))}, long(-1), 0, 0},
		"no body":                 {Rules{Body: pointer(uint32(0))}, long(1), 413, 0},
		"largest limit":           {Rules{Body: pointer(uint32(4294967295))}, long(4294967295), 0, 0},
		"over the largest limit":  {Rules{Body: pointer(uint32(4294967295))}, long(4294967296), 413, 0},
		"url within":              {Rules{URL: pointer(uint32(4))}, ask("GET", "/abc?defg"), 0, 0},
		"url over":                {Rules{URL: pointer(uint32(4))}, ask("GET", "/abcd"), 404, 14},
		"query within":            {Rules{Query: pointer(uint32(3))}, ask("GET", "/?abc"), 0, 0},
		"query over":              {Rules{Query: pointer(uint32(3))}, ask("GET", "/?abcd"), 404, 15},
		"no query allowed":        {Rules{Query: pointer(uint32(0))}, ask("GET", "/"), 0, 0},
		"header within":           {Rules{Headers: []HeaderLimit{{"X-A", 3}}}, header("x-a", "abc"), 0, 0},
		"header over":             {Rules{Headers: []HeaderLimit{{"X-A", 3}}}, header("x-a", "abcd"), 404, 10},
		"other header":            {Rules{Headers: []HeaderLimit{{"X-A", 3}}}, header("x-b", "abcd"), 0, 0},
		"verb denied":             {Rules{Verbs: List{Names: []Listed{{"TRACE", false}}}}, ask("TRACE", "/"), 404, 6},
		"verb denied, other case": {Rules{Verbs: List{Names: []Listed{{"TRACE", false}}}}, ask("trace", "/"), 404, 6},
		"verb unlisted":           {Rules{Verbs: List{Names: []Listed{{"TRACE", false}}}}, ask("GET", "/"), 0, 0},
		"verb listed":             {Rules{Verbs: List{true, []Listed{{"GET", true}}}}, ask("GET", "/"), 0, 0},
		"verb not listed":         {Rules{Verbs: List{true, []Listed{{"GET", true}}}}, ask("HEAD", "/"), 404, 6},
		"allowed in another case": {Rules{Verbs: List{true, []Listed{{"GET", true}}}}, ask("get", "/"), 404, 6},
		"ending denied":           {Rules{Extensions: List{Names: []Listed{{".bak", false}}}}, ask("GET", "/a/b.BAK"), 404, 7},
		"ending encoded":          {Rules{Extensions: List{Names: []Listed{{".bak", false}}}}, ask("GET", "/a/b.%62ak"), 404, 7},
		"ending of a folder":      {Rules{Extensions: List{Names: []Listed{{".bak", false}}}}, ask("GET", "/a.bak/b"), 0, 0},
		"ending of the query":     {Rules{Extensions: List{Names: []Listed{{".bak", false}}}}, ask("GET", "/a?b.bak"), 0, 0},
		"last ending":             {Rules{Extensions: List{Names: []Listed{{".bak", false}}}}, ask("GET", "/a.bak.txt"), 0, 0},
		"ending not listed":       {Rules{Extensions: List{true, []Listed{{".css", true}}}}, ask("GET", "/a.js"), 404, 7},
		"no ending not listed":    {Rules{Extensions: List{true, []Listed{{".css", true}}}}, ask("GET", "/"), 404, 7},
		"no ending listed":        {Rules{Extensions: List{true, []Listed{{".", true}}}}, ask("GET", "/a/b"), 0, 0},
		"no ending allowed":       {Rules{Extensions: List{DenyUnlisted: true}}, ask("GET", "/a.js"), 404, 7},
		"segment":                 {Rules{Segments: []string{"Private"}}, ask("GET", "/a/PRIVATE/b"), 404, 8},
		"segment at the end":      {Rules{Segments: []string{"private"}}, ask("GET", "/private"), 404, 8},
		"part of a segment":       {Rules{Segments: []string{"private"}}, ask("GET", "/privateer/b"), 0, 0},
		"segment encoded":         {Rules{Segments: []string{"my files"}}, ask("GET", "/my%20files/b"), 404, 8},
		"behind an encoded slash": {Rules{Segments: []string{"private"}}, ask("GET", "/a%2Fprivate%2Fb"), 404, 8},
		"holding a slash":         {Rules{Segments: []string{"a%2fb"}}, ask("GET", "/a%2Fb"), 404, 8},
		"not ASCII":               {Rules{Segments: []string{"ÄRGER"}}, ask("GET", "/%C3%A4rger"), 404, 8},
		"sequence":                {Rules{DenyURL: []string{"/OLD/"}}, ask("GET", "/x/old/y"), 404, 5},
		"sequence not there":      {Rules{DenyURL: []string{"/old/"}}, ask("GET", "/old"), 0, 0},
		"sequence in the query":   {Rules{DenyURL: []string{"/old/"}}, ask("GET", "/?/old/"), 0, 0},
		"sequence but allowed":    {Rules{DenyURL: []string{"/old/"}, AllowURL: []string{"/Old/Welcome"}}, ask("GET", "/old/welcome"), 0, 0},
		"more than is allowed":    {Rules{DenyURL: []string{"/old/"}, AllowURL: []string{"/old/welcome"}}, ask("GET", "/old/welcome2"), 404, 5},
		"allowed, but hidden":     {Rules{Segments: []string{"old"}, AllowURL: []string{"/old/a"}}, ask("GET", "/old/a"), 404, 8},
		"query sequence":          {Rules{DenyQuery: []string{"--"}}, ask("GET", "/?a=1--"), 404, 18},
		"query encoded":           {Rules{DenyQuery: []string{"<Script"}}, ask("GET", "/?a=%3Cscript"), 404, 18},
		"query as spelled":        {Rules{DenyQuery: []string{"<script"}, RawQuery: true}, ask("GET", "/?a=%3Cscript"), 0, 0},
		"query spelled":           {Rules{DenyQuery: []string{"%3C"}}, ask("GET", "/?a=%3cscript"), 404, 18},
		"query but allowed":       {Rules{DenyQuery: []string{"--"}, AllowQuery: []string{"a=--"}}, ask("GET", "/?A=--"), 0, 0},
		"decodes twice":           {Rules{NoDoubleEscaping: true}, ask("GET", "/a%2562"), 404, 11},
		"plus":                    {Rules{NoDoubleEscaping: true}, ask("GET", "/a+b"), 404, 11},
		"decodes once":            {Rules{NoDoubleEscaping: true}, ask("GET", "/a%20b%2Fc"), 0, 0},
		"high bit":                {Rules{NoHighBit: true}, ask("GET", "/%C3%A4"), 404, 12},
		"low bits":                {Rules{NoHighBit: true}, ask("GET", "/a%20b"), 0, 0},
		"without TLS":             {Rules{TLS: true}, ask("GET", "/"), 403, 4},
		"with TLS":                {Rules{TLS: true}, with(ask("GET", "/"), func(q *Request) { q.Secure = true }), 0, 0},
		"without certificate":     {Rules{TLS: true, Certificate: true}, with(ask("GET", "/"), func(q *Request) { q.Secure = true }), 403, 7},
		"with certificate":        {Rules{TLS: true, Certificate: true}, with(ask("GET", "/"), func(q *Request) { q.Secure, q.Certificate = true, true }), 0, 0},
		"client listed":           {vault, from("10.20.1.2"), 0, 0},
		"client not listed":       {vault, from("10.21.1.2"), 403, 6},
		"first range decides":     {vault, from("10.20.9.2"), 403, 6},
		"mapped":                  {vault, from("::ffff:10.20.1.2"), 0, 0},
		"mapped, not listed":      {vault, from("::ffff:10.21.1.2"), 403, 6},
		"IPv6":                    {vault, from("2001:db8::1"), 0, 0},
		"IPv6, not listed":        {vault, from("2001:db9::1"), 403, 6},
		"IPv6 with a zone":        {Rules{Clients: Clients{Ranges: []Range{net("fe80::/10", false)}}}, from("fe80::1%eth0"), 403, 6},
		"client denied":           {Rules{Clients: Clients{Ranges: []Range{net("192.0.2.0/24", false)}}}, ask("GET", "/"), 403, 6},
		"nobody allowed":          {Rules{Clients: Clients{DenyUnlisted: true}}, ask("GET", "/"), 403, 6},
		"denied with 404":         {Rules{Clients: Clients{DenyUnlisted: true, Status: 404}}, ask("GET", "/"), 404, 0},
		"denied by a cut":         {Rules{Clients: Clients{DenyUnlisted: true, Status: Abort}}, ask("GET", "/"), Abort, 0},
	} {
		t.Run(name, func(t *testing.T) {
			s := Compile([]Rules{c.rules})
			if s == nil {
				if name != "nothing" {
					t.Fatal("no rules")
				}
				return
			}
			v := s.Check(c.q)
			if v.Status != c.status || v.Substatus != c.sub || v.Place == nil {
				t.Errorf("%d.%d (place %v), want %d.%d", v.Status, v.Substatus, v.Place, c.status, c.sub)
			}
			if again, why, unasked := s.Explain(c.q); again != v || (why.Text != "") != (v.Status != 0) || unasked {
				t.Errorf("explained: %+v, %+v, %v, want %+v", again, why, unasked, v)
			}
		})
	}
}

// The longest place decides, below the application's own path, at the end of a segment, without regard to case.
func TestPlaces(t *testing.T) {
	s := Compile([]Rules{
		{Body: pointer(uint32(100))}, {Path: "files/upload", Body: pointer(uint32(50))}, {Path: "files", Body: pointer(uint32(200))}, {Path: "My Files"},
	})
	for target, c := range map[string]struct {
		base int
		body int64
	}{
		"/":                        {0, 100},
		"/files":                   {0, 200},
		"/files/x":                 {0, 200},
		"/filesystem":              {0, 100},
		"/FILES/Upload/x":          {0, 50},
		"/files/uploads":           {0, 200},
		"/shop/files/upload":       {5, 50},
		"/files/upload/x":          {6, 100},
		"/sh%20op/files/upload":    {8, 50},
		"/my%20files/x":            {0, -1},
		"/files%2Fupload":          {0, 50},
		"/%66iles/upload":          {0, 50},
		"/x%2F..%2Ffiles/upload/y": {0, 100},
	} {
		v := s.Check(with(ask("POST", target), func(q *Request) { q.Base = c.base }))
		if v.Body != c.body || v.Status != 0 {
			t.Errorf("%s: %d bytes, want %d; %d", target, v.Body, c.body, v.Status)
		}
	}
}

// An encoded slash is read both ways: neither reading lets through what the other does not.
func TestEncodedSlash(t *testing.T) {
	s := Compile([]Rules{{DenyURL: []string{"open"}}, {Path: "admin", DenyURL: []string{"/"}}, {Path: "open"}})
	for target, status := range map[string]int{"/admin%2Fx": 404, "/open%2Fa": 404, "/open/a": 0, "/b%2Fc": 0} {
		if v := s.Check(ask("GET", target)); v.Status != status {
			t.Errorf("%s: %d, want %d", target, v.Status, status)
		}
	}
}

func TestCompileOfNothing(t *testing.T) {
	if s := Compile(nil); s != nil {
		t.Error("no rules are a set")
	}
	if s := Compile([]Rules{{}, {Path: "a"}, {NoPages: true, Pages: []Page{{Status: 404}}}}); s != nil {
		t.Error("rules that ask nothing are a set")
	}
	if s := Compile([]Rules{{Path: "a", NoServer: true}}); s == nil || s.Application().NoServer || !s.Check(ask("GET", "/a")).Place.NoServer {
		t.Error("the application has the rules of a place in it")
	}
}

// The very substatus, then 502.3 when the page of a failed start is off, then the status.
func TestPage(t *testing.T) {
	all := Compile([]Rules{{Pages: []Page{{502, -1, "any", ""}, {502, 5, "five", ""}, {502, 3, "three", ""}}}}).Application()
	few := Compile([]Rules{{Pages: []Page{{502, -1, "any", ""}, {502, 3, "three", ""}}}}).Application()
	for _, c := range []struct {
		place       *Place
		status, sub int
		plain       bool
		want        string
	}{
		{all, 502, 5, false, "five"}, {all, 502, 5, true, "five"}, {all, 502, 3, false, "three"}, {all, 502, 0, false, "any"},
		{few, 502, 5, false, "any"}, {few, 502, 5, true, "three"}, {few, 404, 8, false, ""}, {few, 503, 0, false, ""},
	} {
		if page, ok := c.place.Page(c.status, c.sub, c.plain); page.File != c.want || ok != (c.want != "") {
			t.Errorf("%d.%d plain=%v: %q, want %q", c.status, c.sub, c.plain, page.File, c.want)
		}
	}
}

// A request that may pass costs no allocation.
func TestNoAllocation(t *testing.T) {
	s := Compile([]Rules{{
		Body: pointer(uint32(100)), Query: pointer(uint32(100)), Verbs: List{Names: []Listed{{"TRACE", false}}}, Extensions: List{Names: []Listed{{".bak", false}}},
		Segments: []string{"private"}, DenyURL: []string{"/old/"}, Headers: []HeaderLimit{{"Cookie", 100}},
		Clients: Clients{Ranges: []Range{{netip.MustParsePrefix("10.0.0.0/8"), false}}},
	}, {Path: "files"}})
	q := ask("GET", "/files/some/where%20else.css?a=1")
	q.Fields = []h1.Field{{Name: []byte("Cookie"), Value: []byte("a")}}
	if n := testing.AllocsPerRun(100, func() {
		if s.Check(q).Status != 0 {
			t.Error("refused")
		}
	}); n != 0 {
		t.Errorf("%v allocations a request", n)
	}
}

// Whatever a client sends, a hidden segment that stands in its path decoded is found, and nothing panics.
func FuzzCheck(f *testing.F) {
	for _, path := range []string{"/", "/private", "/a%2Fprivate", "/%", "/%2", "/%zz", "/%C3%84", "/private%2F", "/a//b", "/%E0%A4%A"} {
		f.Add(path, "?a=%3c", uint8(0))
	}
	s := Compile([]Rules{{
		Segments: []string{"private"}, DenyURL: []string{"/old/", "ä"}, DenyQuery: []string{"<"}, AllowQuery: []string{"a"}, Extensions: List{Names: []Listed{{".bak", false}}},
		NoDoubleEscaping: true, NoHighBit: true,
	}, {Path: "files", Segments: []string{"private"}}})
	f.Fuzz(func(t *testing.T, path, query string, base uint8) {
		if !strings.HasPrefix(path, "/") || query != "" && query[0] != '?' {
			return
		}
		q := ask("GET", "/")
		q.Path, q.Query, q.Base = []byte(path), []byte(query), min(int(base), len(path))
		v := s.Check(q)
		if strings.Contains(strings.ToLower(path)+"/", "/private/") && !strings.Contains(path[:q.Base], "%") && !strings.Contains(path, "%") && v.Status == 0 {
			t.Errorf("%q passes", path)
		}
		if v.Place == nil || v.Status != 0 && v.Status != 404 {
			t.Errorf("%q: %+v", path, v)
		}
	})
}
