// Package route finds the application of a request by listener, host name and path. A table never changes: a new
// configuration is a new table, put in place with one atomic store, so a lookup takes no lock.
package route

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/ancora-fleet/ancora/dataplane/forward"
)

// Entry says which door serves a path of a host name on a listener.
type Entry struct {
	Listener string // name of the listener, as sites spell it
	Hostname string // without port, or `*.` and a name; "" is the default of the listener, for every name that nothing else is for
	Path     string // of the application, starts with '/'; a trailing '/' means nothing
	Door     forward.Door
}

// Conflict is two entries for the same listener, host name and path. The first one given is in the table.
type Conflict struct {
	First, Second int // indexes into the entries
	Entry         Entry
}

func (c *Conflict) Error() string {
	return fmt.Sprintf("route: listener %s, host name %q, path %s: entries %d and %d", c.Entry.Listener, c.Entry.Hostname, c.Entry.Path, c.First, c.Second)
}

// Table is an immutable routing table. A nil Table has no routes.
type Table struct {
	listeners map[string]hosts
}

// hosts has the applications of each name, those with longer paths first, those of one length by name.
type hosts = Names[[]application]

type application struct {
	path  string // lower case, without a trailing '/'; "" is the root
	door  forward.Door
	index int
}

// New builds a table. Its error joins one error per bad entry; a Conflict is one of them. The table leaves bad entries
// out and is good to use, so one site cannot take the others with it.
func New(entries []Entry) (*Table, error) {
	t := &Table{listeners: make(map[string]hosts)}
	var problems []error
	for i, e := range entries {
		path, err := prefix(e.Path)
		if err != nil || e.Door == nil {
			problems = append(problems, fmt.Errorf("route: entry %d: path %q: %w", i, e.Path, cmp.Or(err, errNoDoor)))
			continue
		}
		names := t.listeners[e.Listener]
		if names == nil {
			names = make(hosts)
			t.listeners[e.Listener] = names
		}
		name := Fold(e.Hostname)
		if first, taken := find(names[name], path); taken {
			problems = append(problems, &Conflict{First: first, Second: i, Entry: e})
			continue
		}
		names[name] = append(names[name], application{path: path, door: e.Door, index: i})
	}
	for _, names := range t.listeners {
		for _, list := range names {
			slices.SortFunc(list, func(a, b application) int { // of the same length by name: explanations say it the same way each time
				return cmp.Or(cmp.Compare(len(b.path), len(a.path)), cmp.Compare(a.path, b.path))
			})
		}
	}
	return t, errors.Join(problems...)
}

var errNoDoor = errors.New("route: no door")

// prefix is the spelling of an application's path that requests are compared with: normalised like theirs, in lower
// case. A site may write what a client has to encode, such as a space or an umlaut.
func prefix(path string) (string, error) {
	var target []byte
	for _, c := range []byte(path) {
		if c <= ' ' || c >= 0x7f || c == '?' || c == '#' {
			target = fmt.Appendf(target, "%%%02X", c)
		} else {
			target = append(target, c)
		}
	}
	if len(target) == 0 {
		return "", ErrByte
	}
	normal, _, err := Normalise(nil, target)
	for i, c := range normal {
		normal[i] = lower(c)
	}
	return strings.TrimRight(string(normal), "/"), err
}

func find(list []application, path string) (index int, ok bool) {
	for _, a := range list {
		if a.path == path {
			return a.index, true
		}
	}
	return 0, false
}

// Lookup finds the door for a normalised path. The host name is looked up as Names does; a name that has an entry never
// falls back to a pattern or to the default of the listener. Among the applications of a
// name the longest path wins that is equal to the request's or a prefix of it up to a '/', without regard to case. Base
// is that prefix as the request spells it, a view of path, empty for the root.
func (t *Table) Lookup(listener string, host, path []byte) (door forward.Door, base []byte, ok bool) {
	if t == nil {
		return nil, nil, false
	}
	names := t.listeners[listener]
	list, _ := names.Lookup(host)
	for i := range list {
		if n := len(list[i].path); hasPrefix(path, list[i].path) {
			return list[i].door, path[:n], true
		}
	}
	return nil, nil, false
}

func trimPort(host []byte) []byte {
	for i := len(host) - 1; i >= 0 && host[i] != ']'; i-- {
		if host[i] == ':' {
			host = host[:i]
			break
		}
	}
	if n := len(host); n > 0 && host[n-1] == '.' {
		host = host[:n-1]
	}
	return host
}

// hasPrefix compares on the boundary of a segment: /shop is a prefix of /shop and /SHOP/x, not of /shopping.
func hasPrefix(path []byte, prefix string) bool {
	if len(path) < len(prefix) || len(path) > len(prefix) && path[len(prefix)] != '/' {
		return false
	}
	for i := range len(prefix) {
		if lower(path[i]) != prefix[i] {
			return false
		}
	}
	return true
}

func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		c |= 0x20
	}
	return c
}
