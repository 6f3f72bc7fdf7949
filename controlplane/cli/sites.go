package cli

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/ancora-fleet/ancora/dataplane/sitefile"
	"github.com/ancora-fleet/ancora/dataplane/wire"
	controlv1 "github.com/ancora-fleet/ancora/proto/ancora/control/v1"
	typesv1 "github.com/ancora-fleet/ancora/proto/ancora/types/v1"
)

func (p *program) getSites(ctx context.Context, c *client, name string, flags *getFlags) (*listing, error) {
	sites, err := c.listSites(ctx, flags.labels)
	if err != nil {
		return nil, err
	}
	var among map[string]bool
	if flags.hosts != "" {
		if among, err = c.hostNames(ctx, flags.hosts); err != nil {
			return nil, err
		}
	}
	sites = slices.DeleteFunc(sites, func(s *controlv1.SiteOverview) bool {
		if among != nil {
			s.Statuses = slices.DeleteFunc(s.Statuses, func(st *typesv1.SiteStatus) bool { return !among[st.GetHost()] })
			s.Hosts, s.Ready = int32(len(s.Statuses)), readyOf(s)
		}
		return name != "" && s.GetSite().GetName() != name || among != nil && len(s.Statuses) == 0
	})
	if name != "" && len(sites) == 0 {
		return nil, notFoundf("site %q does not exist", name)
	}
	l := &listing{noun: "site", message: &controlv1.ListSitesResponse{Sites: sites}}
	for _, s := range sites {
		l.names = append(l.names, s.GetSite().GetName())
		l.items = append(l.items, s)
	}
	var restarts map[string]uint64
	if flags.format == formatTable || flags.format == formatWide {
		answer, err := c.instances.ListInstances(ctx, &controlv1.ListInstancesRequest{Site: name})
		if err != nil {
			return nil, err
		}
		restarts = restartsOf(answer.GetInstances(), among)
	}
	l.table = func(wide bool) *table { return siteTable(sites, restarts, wide) }
	l.yaml = func() ([]byte, error) { return siteFiles(sites) }
	return l, nil
}

func readyOf(s *controlv1.SiteOverview) (ready int32) {
	for _, st := range s.GetStatuses() {
		good := st.GetPhase() == typesv1.Phase_PHASE_SERVING || st.GetPhase() == typesv1.Phase_PHASE_IDLE
		if good && st.GetRevision() == s.GetSite().GetRevision() {
			ready++
		}
	}
	return ready
}

// siteFiles prints sites in the format that apply reads.
func siteFiles(sites []*controlv1.SiteOverview) ([]byte, error) {
	var all []byte
	for i, s := range sites {
		model, err := wire.Site(s.GetSite())
		if err != nil {
			return nil, err
		}
		if i > 0 {
			all = append(all, "---\n"...)
		}
		all = append(all, sitefile.Format(model)...)
	}
	return all, nil
}

// restartsOf counts by site how often applications were started again: every start is a run, and the first is none.
func restartsOf(instances []*typesv1.InstanceStatus, among map[string]bool) map[string]uint64 {
	type application struct{ host, site, path string }
	newest := map[application]uint64{}
	for _, i := range instances {
		if among == nil || among[i.GetHost()] {
			a := application{i.GetHost(), i.GetSite(), i.GetApplication()}
			newest[a] = max(newest[a], i.GetRun())
		}
	}
	restarts := map[string]uint64{}
	for a, run := range newest {
		if run > 1 {
			restarts[a.site] += run - 1
		}
	}
	return restarts
}

func siteTable(sites []*controlv1.SiteOverview, restarts map[string]uint64, wide bool) *table {
	heads := []string{"SITE", "HOSTS", "READY", "STATE", "REVISION", "RESTARTS", "NOTE"}
	if wide {
		heads = append(heads, "PLACEMENT", "BINDINGS", "LABELS", "UPDATED")
	}
	t := newTable(heads...)
	for _, s := range sites {
		m := s.GetSite()
		state, note := siteState(s)
		row := []string{m.GetName(), fmt.Sprint(s.GetHosts()), fmt.Sprintf("%d/%d", s.GetReady(), s.GetHosts()), state, fmt.Sprint(m.GetRevision()), fmt.Sprint(restarts[m.GetName()]), note}
		if wide {
			row = append(row, m.GetPlacement().GetHosts().GetExpression(), bindingsText(m), labelText(m.GetLabels()), ago(m.GetUpdateTime().AsTime()))
		}
		t.row(row...)
	}
	return t
}

// siteState is the one word for a site over all its hosts: the worst that any of them says.
func siteState(s *controlv1.SiteOverview) (state, note string) {
	counts := map[typesv1.Phase]int{}
	offline := 0
	for _, st := range s.GetStatuses() {
		counts[st.GetPhase()]++
		if len(st.GetOffline()) > 0 {
			offline++
		}
		if note == "" && st.GetReason() != "" {
			note = st.GetHost() + ": " + firstLine(st.GetReason())
		}
	}
	if missing := int(s.GetHosts()) - len(s.GetStatuses()); missing > 0 && note == "" {
		note = fmt.Sprintf("%d of %d hosts have not answered", missing, s.GetHosts())
	}
	if offline > 0 {
		if note == "" {
			note = fmt.Sprintf("offline on %d of %d hosts", offline, s.GetHosts())
		}
		return "offline", note
	}
	for _, phase := range []typesv1.Phase{
		typesv1.Phase_PHASE_REJECTED, typesv1.Phase_PHASE_FAILED, typesv1.Phase_PHASE_STARTING,
		typesv1.Phase_PHASE_ACCEPTED, typesv1.Phase_PHASE_SERVING,
	} {
		if counts[phase] > 0 {
			return strings.ToLower(phaseName(phase)), note
		}
	}
	if counts[typesv1.Phase_PHASE_IDLE] > 0 {
		return "idle", cmp.Or(note, "starts on first request")
	}
	if s.GetHosts() == 0 {
		return "unplaced", "its placement matches no host"
	}
	return "pending", note
}

func bindingsText(s *typesv1.Site) string {
	var all []string
	for _, b := range s.GetBindings() {
		if len(b.GetHostnames()) == 0 {
			all = append(all, b.GetListener())
		}
		for _, h := range b.GetHostnames() {
			all = append(all, b.GetListener()+":"+h)
		}
	}
	return strings.Join(all, ",")
}
