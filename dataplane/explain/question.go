package explain

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
)

// Limits of a question, in bytes. A method or a target that is longer than a request may have is answered as the request would be.
const (
	maxAuthority = 300
	maxTarget    = 32 << 10
	maxMethod    = 64
)

// Question is a request that has not come.
type Question struct {
	// Site is whose answer is expected; empty: whichever site answers.
	Site string
	// Scheme is http or https. Authority is host and port as a URL has them, Target path and query as a request has them.
	Scheme, Authority, Target string
	Method                    string
	// Listener is the one that it is to come in by; empty: the one that the URL means on this host.
	Listener string
	// Client is where it comes from; the zero value: not known, and no rule about clients is asked.
	Client netip.Addr
}

// ParseURL takes scheme, authority and target from a URL as people write it: what a client would encode is encoded, and a fragment
// left out. Its errors never show the query.
func ParseURL(text string) (q Question, err error) {
	scheme, rest, ok := strings.Cut(text, "://")
	if q.Scheme = strings.ToLower(scheme); !ok || q.Scheme != "http" && q.Scheme != "https" {
		return Question{}, errors.New("the URL begins with neither http:// nor https://")
	}
	rest, _, _ = strings.Cut(rest, "#")
	end := strings.IndexAny(rest, "/?")
	if end < 0 {
		end = len(rest)
	}
	q.Authority = rest[:end]
	var target strings.Builder
	if !strings.HasPrefix(rest[end:], "/") {
		target.WriteByte('/')
	}
	for _, c := range []byte(rest[end:]) {
		if c <= ' ' || c >= 0x7f {
			fmt.Fprintf(&target, "%%%02X", c)
		} else {
			target.WriteByte(c)
		}
	}
	q.Target = target.String()
	return q, q.Check()
}

// Check says everything that makes a question none. What a client may send is no such thing.
func (q *Question) Check() error {
	var problems []error
	wrong := func(format string, args ...any) { problems = append(problems, fmt.Errorf(format, args...)) }
	if q.Scheme != "http" && q.Scheme != "https" {
		wrong("scheme %.20q is neither http nor https", q.Scheme)
	}
	switch a := q.Authority; {
	case a == "":
		wrong("the URL names no host")
	case strings.Contains(a, "@"):
		wrong("the URL holds a user name or a password: leave them out")
	case len(a) > maxAuthority:
		wrong("the host of the URL has %d bytes, more than %d", len(a), maxAuthority)
	case strings.ContainsFunc(a, func(r rune) bool { return r <= ' ' || r >= 0x7f || strings.ContainsRune(`/\?#"<>`, r) }):
		wrong("the host of the URL, %.100q, has characters that no host name has; others than ASCII are written as xn--", a)
	}
	switch {
	case !strings.HasPrefix(q.Target, "/"):
		wrong("the path of the URL does not begin with a slash")
	case len(q.Target) > maxTarget:
		wrong("path and query of the URL have %d bytes, more than %d", len(q.Target), maxTarget)
	}
	if len(q.Method) > maxMethod {
		wrong("the method has %d bytes, more than %d", len(q.Method), maxMethod)
	}
	return errors.Join(problems...)
}
