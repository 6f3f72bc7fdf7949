package route

import (
	"maps"
	"slices"
)

// Sight is what a look-up sees on its way, for people.
type Sight struct {
	// Hostname is the entry that the host name leads to: its own, a pattern, or empty for the default; Known says that there is one.
	Hostname string
	Known    bool
	// Hostnames are all that the listener has entries for, in order.
	Hostnames []string
	// Paths are those of the applications of that entry, the longest first, "/" for the root.
	Paths []string
}

// Explain looks a host name up as Lookup does.
func (t *Table) Explain(listener string, host []byte) Sight {
	if t == nil {
		return Sight{}
	}
	names := t.listeners[listener]
	s := Sight{Hostnames: slices.Sorted(maps.Keys(names))}
	if s.Hostname, s.Known = names.Key(host); !s.Known {
		return s
	}
	for _, a := range names[s.Hostname] {
		if a.path == "" {
			a.path = "/"
		}
		s.Paths = append(s.Paths, a.path)
	}
	return s
}
