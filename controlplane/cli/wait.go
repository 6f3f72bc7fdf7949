package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	controlv1 "github.com/ancora-fleet/ancora/proto/ancora/control/v1"
	typesv1 "github.com/ancora-fleet/ancora/proto/ancora/types/v1"
)

// again is the pause before a controller that went away while somebody waits is asked again.
const again = 500 * time.Millisecond

// waiting is one site whose hosts are waited for.
type waiting struct {
	site     string
	digest   []byte
	revision int64
	// hosts it was placed on when it was applied: what is waited for until the controller says more.
	hosts []string
}

// unheard are the hosts of w before anything is known of them.
func (w waiting) unheard() (hosts []*controlv1.PlacedHost) {
	for _, host := range w.hosts {
		hosts = append(hosts, &controlv1.PlacedHost{Host: host, State: typesv1.HostState_HOST_STATE_CONNECTED})
	}
	return hosts
}

// outcome is what is known of one host.
type outcome int

const (
	outcomeOpen    outcome = iota // has not said the last word
	outcomeGood                   // runs it
	outcomeBad                    // does not
	outcomePending                // has no session; it catches up when it comes back
)

// judge says what one host's newest word means for a digest.
func judge(h *controlv1.PlacedHost, digest []byte) (outcome, string) {
	if h.GetState() != typesv1.HostState_HOST_STATE_CONNECTED {
		return outcomePending, "pending: it has no session and gets this when it comes back"
	}
	if r := h.GetRefusal(); r != "" {
		return outcomeBad, "REFUSED  " + r
	}
	s := h.GetStatus()
	if s == nil || !bytes.Equal(s.GetDigest(), digest) {
		return outcomeOpen, "has not answered"
	}
	switch s.GetPhase() {
	case typesv1.Phase_PHASE_SERVING:
		return outcomeGood, "SERVING"
	case typesv1.Phase_PHASE_IDLE:
		return outcomeGood, "IDLE  applied, not proven: it starts on the first request"
	case typesv1.Phase_PHASE_FAILED, typesv1.Phase_PHASE_REJECTED:
		text := phaseName(s.GetPhase()) + "  " + s.GetReason()
		if s.GetServingRevision() > 0 && s.GetServingRevision() != s.GetRevision() {
			text += fmt.Sprintf(" (revision %d goes on)", s.GetServingRevision())
		}
		return outcomeBad, text
	}
	return outcomeOpen, phaseName(s.GetPhase())
}

// tally counts outcomes.
type tally struct{ good, bad, pending, open int }

func (t *tally) add(o outcome) {
	switch o {
	case outcomeGood:
		t.good++
	case outcomeBad:
		t.bad++
	case outcomePending:
		t.pending++
	default:
		t.open++
	}
}

// code is the exit code of a wait that is over.
func (t tally) code() int {
	switch {
	case t.open > 0:
		return exitTimedOut
	case t.bad == 0 && t.pending == 0:
		return exitOK
	case t.good == 0 && t.pending == 0:
		return exitFailed
	}
	return exitPartial
}

func (t tally) String() string {
	total := t.good + t.bad + t.pending + t.open
	text := fmt.Sprintf("%d of %s good", t.good, plural(total, "host"))
	for _, part := range []struct {
		n    int
		what string
	}{{t.bad, "not"}, {t.pending, "pending"}, {t.open, "not answered in time"}} {
		if part.n > 0 {
			text += fmt.Sprintf(", %d %s", part.n, part.what)
		}
	}
	return text
}

// waitFor prints a line when a host has said its last word, and a sum for each site.
func (p *program) waitFor(ctx context.Context, c *client, sites []waiting, timeout time.Duration) error {
	limited, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	var sum tally
	for _, w := range sites {
		t, err := p.waitOne(limited, c, w)
		if ctx.Err() != nil {
			p.note("detached: what was applied stands; ancora describe site %s says where it is", w.site)
			return said(exitInterrupted)
		}
		if err != nil {
			return err
		}
		p.say("site %s revision %d: %s", w.site, w.revision, t)
		sum.good, sum.bad, sum.pending, sum.open = sum.good+t.good, sum.bad+t.bad, sum.pending+t.pending, sum.open+t.open
	}
	return said(sum.code())
}

func (p *program) waitOne(ctx context.Context, c *client, w waiting) (tally, error) {
	said := map[string]string{}
	last := w.unheard()
	for {
		stream, err := c.sites.WatchSiteStatus(ctx, &controlv1.WatchSiteStatusRequest{Name: w.site})
		for err == nil {
			var m *controlv1.WatchSiteStatusResponse
			if m, err = stream.Recv(); err != nil {
				break
			}
			if !bytes.Equal(m.GetDigest(), w.digest) {
				return tally{}, fmt.Errorf("site %s was changed by somebody else meanwhile: it is at revision %d", w.site, m.GetSite().GetRevision())
			}
			last = m.GetHosts()
			if t := p.progress(last, w, said); t.open == 0 {
				return t, nil
			}
		}
		switch {
		case ctx.Err() != nil:
			return p.timedOut(last, w, said), nil
		case !isUnavailable(err) && !errors.Is(err, io.EOF):
			return tally{}, err
		}
		select {
		case <-time.After(again):
		case <-ctx.Done():
		}
	}
}

// progress prints what is new and gives the sum.
func (p *program) progress(hosts []*controlv1.PlacedHost, w waiting, said map[string]string) tally {
	var t tally
	for _, h := range hosts {
		o, text := judge(h, w.digest)
		t.add(o)
		if o != outcomeOpen && said[h.GetHost()] != text {
			said[h.GetHost()] = text
			p.say("%s  %s", h.GetHost(), text)
			p.warnings(h, said)
		}
	}
	return t
}

// warnings prints what a host warns of and no other has warned of before.
func (p *program) warnings(h *controlv1.PlacedHost, said map[string]string) {
	for _, note := range h.GetStatus().GetNotes() {
		if strings.HasPrefix(note, warningPrefix) && said[note] == "" {
			said[note] = h.GetHost()
			p.say("  %s", note)
		}
	}
}

func (p *program) timedOut(hosts []*controlv1.PlacedHost, w waiting, said map[string]string) tally {
	t := p.progress(hosts, w, said)
	for _, h := range hosts {
		if o, text := judge(h, w.digest); o == outcomeOpen {
			p.say("%s  %s", h.GetHost(), text)
		}
	}
	return t
}
