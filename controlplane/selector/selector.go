// Package selector says which hosts a selector means.
package selector

import (
	"slices"

	"github.com/ancora-fleet/ancora/controlplane/store"
	"github.com/ancora-fleet/ancora/dataplane/site"
	typesv1 "github.com/ancora-fleet/ancora/proto/ancora/types/v1"
)

// Parse reads a selector of a request, where an unset one means all. An error is what ParseSelector says of the text.
func Parse(s *typesv1.Selector) (site.Selector, error) {
	if s == nil {
		return site.ParseSelector("all")
	}
	return site.ParseSelector(s.GetExpression())
}

// Hosts names the hosts whose labels a selector matches, in order.
func Hosts(view *store.View, s site.Selector) []string { return names(view.HostsWith(s)) }

// Placed names the hosts a site is placed on that a selector matches too, in order.
func Placed(view *store.View, s *store.Site, among site.Selector) []string {
	return names(slices.DeleteFunc(view.HostsWith(s.Placement), func(h *store.Host) bool {
		return !among.Matches(h.Labels())
	}))
}

// Targets names the hosts a notice takes anything out of service on: those it means that have one of its sites placed
// on them, in order.
func Targets(view *store.View, n *store.Notice) []string {
	return names(slices.DeleteFunc(view.HostsMeant(n), func(h *store.Host) bool {
		return !affected(view, n, h)
	}))
}

func affected(view *store.View, n *store.Notice, h *store.Host) bool {
	wanted := n.Message.GetSites()
	if len(wanted) == 0 {
		return len(view.SitesOn(h.Name())) > 0
	}
	return slices.ContainsFunc(wanted, func(name string) bool {
		s := view.Sites[name]
		return s != nil && s.Placement.Matches(h.Labels())
	})
}

func names(hosts []*store.Host) []string {
	names := make([]string, len(hosts))
	for i, h := range hosts {
		names[i] = h.Name()
	}
	return names
}
