package api

import (
	"fmt"
	"slices"
	"strings"

	"google.golang.org/genproto/googleapis/rpc/errdetails"

	"github.com/ancora-fleet/ancora/controlplane/store"
)

// guard is the controller's half of a promise: no host loses most of its sites unless an operator was told how many and
// said yes. A host has the other half: it refuses such a manifest unless the operator's word comes with it. Both must
// judge alike, so this half counts what the host holds, not only what the store meant for it before.
type guard struct {
	services
	view      *store.View
	confirmed bool
	tripped   []trip
}

// trip is one host a change would trip the guard on.
type trip struct {
	host       string
	lost, held int
	foreign    bool
}

// host looks at what a change does to one host: the names of sites that are placed on it before and after. It notes the
// host when the change needs an operator's word, and what is left on it when that was given.
func (g *guard) host(tx *store.Tx, name string, before, after []string) {
	status := g.observed.Host(name)
	held := g.held(name, status, before)
	lost := missing(held, after)
	t := trip{host: name, lost: lost, held: len(held), foreign: g.foreign(status)}
	takes := missing(before, after) > 0 && lost > 1 && 2*lost > len(held)
	switch {
	case g.confirmed && (takes || status.Refusal != ""):
		tx.Confirm(name, after)
	case g.confirmed:
	case takes || t.foreign:
		g.tripped = append(g.tripped, t)
	}
}

// foreign says whether the host refuses us because it follows another store.
func (g *guard) foreign(status store.HostStatus) bool {
	return status.Refusal != "" && status.FollowedStoreID != "" && status.FollowedStoreID != g.view.StoreID
}

// held names what the host has as far as we know: what was placed there when its session ended, for one that is away;
// what it speaks of, for one that refuses our manifests.
func (g *guard) held(name string, status store.HostStatus, before []string) []string {
	held := slices.Clone(before)
	if !status.Connected {
		held = append(held, status.Held...)
	}
	if status.Refusal != "" {
		for _, s := range g.observed.SiteStatuses(name) {
			held = append(held, s.GetSite())
		}
	}
	slices.Sort(held)
	return slices.Compact(held)
}

// missing counts the names that are in a and not in b.
func missing(a, b []string) int {
	n := 0
	for _, name := range a {
		if !slices.Contains(b, name) {
			n++
		}
	}
	return n
}

// err is nil when no host trips the guard.
func (g *guard) err() error {
	if len(g.tripped) == 0 {
		return nil
	}
	slices.SortFunc(g.tripped, func(a, b trip) int { return strings.Compare(a.host, b.host) })
	return &guardError{g.tripped}
}

// guardError says what a change would take away.
type guardError struct{ trips []trip }

func (t trip) String() string {
	if t.foreign {
		return fmt.Sprintf("host %s follows another store and would be taken over", t.host)
	}
	return fmt.Sprintf("host %s would lose %d of its %d sites", t.host, t.lost, t.held)
}

// Error names every host, with counts.
func (e *guardError) Error() string {
	lines := make([]string, len(e.trips))
	for i, t := range e.trips {
		lines[i] = t.String()
	}
	return "not done without confirmation: " + strings.Join(lines, "; ")
}

func (e *guardError) details() *errdetails.PreconditionFailure {
	details := &errdetails.PreconditionFailure{}
	for _, t := range e.trips {
		details.Violations = append(details.Violations, &errdetails.PreconditionFailure_Violation{
			Type:        "CONFIRMATION",
			Subject:     "hosts/" + t.host,
			Description: t.String(),
		})
	}
	return details
}

// siteNames names sites in order.
func siteNames(sites []*store.Site) []string {
	names := make([]string, len(sites))
	for i, s := range sites {
		names[i] = s.Name()
	}
	return names
}

// site looks at all hosts that a change of one site reaches. after says whether the site is placed on a host then.
func (g *guard) site(tx *store.Tx, name string, after func(*store.Host) bool) {
	earlier := g.view.Sites[name]
	for _, h := range g.view.Hosts {
		was := earlier != nil && earlier.Placement.Matches(h.Labels())
		will := after(h)
		if !was && !will {
			continue
		}
		before := siteNames(g.view.SitesOn(h.Name()))
		left := slices.DeleteFunc(slices.Clone(before), func(s string) bool { return s == name })
		if will {
			left = append(left, name)
		}
		g.host(tx, h.Name(), before, left)
	}
}
