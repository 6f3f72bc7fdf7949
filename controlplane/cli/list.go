package cli

import (
	"context"
	"strings"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/ancora-fleet/ancora/dataplane/site"
	controlv1 "github.com/ancora-fleet/ancora/proto/ancora/control/v1"
	typesv1 "github.com/ancora-fleet/ancora/proto/ancora/types/v1"
)

// pageSize is how much of a list is asked for at a time.
const pageSize = 500

// selectorOf checks a selector before it travels; an empty text selects all and gives nil.
func selectorOf(flag, text string) (*typesv1.Selector, error) {
	if strings.TrimSpace(text) == "" {
		return nil, nil
	}
	if _, err := site.ParseSelector(text); err != nil {
		return nil, usagef("%s: %w", flag, err)
	}
	return &typesv1.Selector{Expression: text}, nil
}

func (c *client) listSites(ctx context.Context, labels string) ([]*controlv1.SiteOverview, error) {
	selector, err := selectorOf("-l", labels)
	if err != nil {
		return nil, err
	}
	var all []*controlv1.SiteOverview
	for token := ""; ; {
		answer, err := c.sites.ListSites(ctx, &controlv1.ListSitesRequest{Labels: selector, PageSize: pageSize, PageToken: token})
		if err != nil {
			return nil, err
		}
		all = append(all, answer.GetSites()...)
		if token = answer.GetNextPageToken(); token == "" {
			return all, nil
		}
	}
}

func (c *client) listHosts(ctx context.Context, labels string) ([]*typesv1.Host, error) {
	selector, err := selectorOf("host selector", labels)
	if err != nil {
		return nil, err
	}
	var all []*typesv1.Host
	for token := ""; ; {
		answer, err := c.hosts.ListHosts(ctx, &controlv1.ListHostsRequest{Labels: selector, PageSize: pageSize, PageToken: token})
		if err != nil {
			return nil, err
		}
		all = append(all, answer.GetHosts()...)
		if token = answer.GetNextPageToken(); token == "" {
			return all, nil
		}
	}
}

// hostNames gives the hosts a selector means; one that matches none is an error that says so.
func (c *client) hostNames(ctx context.Context, text string) (map[string]bool, error) {
	hosts, err := c.listHosts(ctx, text)
	if err != nil {
		return nil, err
	}
	if len(hosts) == 0 {
		return nil, notFoundf("--hosts %q matches no host", text)
	}
	names := map[string]bool{}
	for _, h := range hosts {
		names[h.GetName()] = true
	}
	return names, nil
}

// guarded calls change, and once more with confirmed when the controller asks for an operator's word and gets it: by --yes
// or on the terminal.
func (p *program) guarded(yes bool, change func(confirmed bool) error) error {
	err := change(yes)
	if status.Code(err) != codes.FailedPrecondition || yes {
		return err
	}
	if err := p.confirm(status.Convert(err).Message()); err != nil {
		return err
	}
	return change(true)
}
