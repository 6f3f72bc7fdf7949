package dataplane

import (
	"bufio"
	"cmp"
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/ancora-fleet/ancora/dataplane/app"
	"github.com/ancora-fleet/ancora/dataplane/offline"
	"github.com/ancora-fleet/ancora/dataplane/site"
)

const (
	probeTimeout = 5 * time.Second
	probeEvery   = 200 * time.Millisecond
)

// noticeState is one notice and the proof of it.
type noticeState struct {
	status NoticeStatus
	cancel context.CancelFunc
}

// target is one address at which a notice must be seen.
type target struct {
	listener, hostname, path string
	tls                      bool
}

// applyNotices tells every application and begins to prove what is new. It runs behind publish: the doors are changed
// and retired pools refuse before a probe can see it.
func (s *Server) applyNotices() {
	wanted := map[string]bool{}
	for _, r := range s.sites {
		for _, a := range r.apps {
			a.app.SetNotices(s.desired.Notices)
		}
	}
	for _, n := range s.desired.Notices {
		wanted[n.Name] = true
		targets := s.targets(n)
		if old := s.notices[n.Name]; old != nil {
			if string(old.status.Digest) == string(n.Digest) && old.status.State == NoticeApplied && len(targets) > 0 {
				continue
			}
			old.cancel()
		}
		ctx, cancel := context.WithCancel(context.Background())
		state := &noticeState{NoticeStatus{Notice: n.Name, Digest: n.Digest, State: NoticePending}, cancel}
		s.notices[n.Name] = state
		switch {
		case n.Expired(time.Now()):
			state.status.State = NoticeExpired
			cancel()
		case len(targets) == 0:
			state.status.State = NoticeNothingToDo
			cancel()
		default:
			s.apps.Go(func() { s.prove(ctx, state, n, targets) })
		}
	}
	for name, old := range s.notices {
		if !wanted[name] {
			old.cancel()
			delete(s.notices, name)
		}
	}
}

// targets are the addresses of the sites a notice is about, those that have a route here.
func (s *Server) targets(n offline.Notice) []target {
	var all []target
	for _, r := range s.sites {
		if r.site == nil || r.route != "" || !n.Means(r.name) {
			continue
		}
		for _, b := range r.site.Bindings {
			if s.listeners.problem(b.Listener) != "" || b.Redirect != "" {
				continue // a redirect stays one; what it leads to is looked at
			}
			for _, name := range hostnames(b) {
				for path := range r.apps {
					all = append(all, target{b.Listener, name, path, b.TLS != nil})
				}
			}
		}
	}
	return all
}

func hostnames(b site.Binding) []string {
	if len(b.Hostnames) == 0 {
		return []string{""}
	}
	return b.Hostnames
}

// prove asks the real listeners until each affected address answers 503 with the notice's name (D6).
func (s *Server) prove(ctx context.Context, state *noticeState, n offline.Notice, targets []target) {
	ticker := time.NewTicker(probeEvery)
	defer ticker.Stop()
	for {
		err := s.proveAll(ctx, n.Name, targets)
		if ctx.Err() != nil {
			return
		}
		s.mu.Lock()
		before := state.status
		switch {
		case err == nil:
			state.status.State, state.status.Reason = NoticeApplied, ""
		case n.Expired(time.Now()):
			state.status.State, state.status.Reason = NoticeExpired, ""
		default:
			state.status.Reason = err.Error()
		}
		after := state.status
		s.mu.Unlock()
		if before.State != after.State || before.Reason != after.Reason {
			s.notify()
		}
		if after.State != NoticePending {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

func (s *Server) proveAll(ctx context.Context, notice string, targets []target) error {
	for _, t := range targets {
		if err := s.probe(ctx, notice, t); err != nil {
			return err
		}
	}
	return nil
}

// probe sends one request to a listener as any client would.
func (s *Server) probe(ctx context.Context, notice string, t target) error {
	address := reachable(s.listeners.address(t.listener))
	dialer := net.Dialer{Timeout: probeTimeout}
	socket, err := dialer.DialContext(ctx, "tcp", address)
	if err != nil {
		return err
	}
	defer socket.Close()
	defer context.AfterFunc(ctx, func() { _ = socket.Close() })()
	_ = socket.SetDeadline(time.Now().Add(probeTimeout))
	if _, err := socket.Write(s.listeners.preface(t.listener)); err != nil {
		return err
	}
	conn := socket
	if t.tls {
		// It is our own listener; whether visitors believe its certificate is not what is asked.
		conn = tls.Client(socket, &tls.Config{ServerName: anyHost(t.hostname), InsecureSkipVerify: true, Certificates: []tls.Certificate{*s.probeCertificate}})
	}
	if _, err := fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n", t.path, anyHost(t.hostname)); err != nil {
		return err
	}
	lines := bufio.NewScanner(conn)
	status := ""
	for lines.Scan() && lines.Text() != "" {
		if status == "" {
			status = lines.Text()
			continue
		}
		name, value, _ := strings.Cut(lines.Text(), ":")
		holders := strings.Split(strings.TrimSpace(value), ", ")
		if strings.EqualFold(name, app.OfflineField) && strings.HasPrefix(status, "HTTP/1.1 503") && slices.Contains(holders, notice) {
			return nil
		}
	}
	return fmt.Errorf("%s%s on listener %s answers %q, not this notice", t.hostname, t.path, t.listener, status)
}

// anyHost gives a host name that a binding's hostname is for.
func anyHost(hostname string) string {
	if rest, ok := strings.CutPrefix(hostname, "*."); ok {
		return "ancora-probe." + rest
	}
	return cmp.Or(hostname, "ancora.invalid")
}

// reachable turns an address to listen on into one to dial.
func reachable(address string) string {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return address
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		return net.JoinHostPort("127.0.0.1", port)
	}
	return address
}
