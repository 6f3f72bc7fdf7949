package dataplane

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/ancora-fleet/ancora/dataplane/journal"
	"github.com/ancora-fleet/ancora/dataplane/secure"
	"github.com/ancora-fleet/ancora/dataplane/site"
)

// expiryWarning is how long before its end a certificate is warned of.
const expiryWarning = 21 * 24 * time.Hour

// certificates are those of one binding, as they are in force.
type certificates struct {
	tls   *site.TLS
	files *secure.Files
	// problem is why the files as they are now are not in force; empty: they are.
	problem string
}

// readCertificates reads those of a site's bindings, nil for a binding without TLS. Where a binding of the same files runs
// already, what cannot be read now leaves in force what was read before.
func (s *Server) readCertificates(r *runningSite, w *site.Site) ([]*certificates, error) {
	all := make([]*certificates, len(w.Bindings))
	var problems []error
	for i, b := range w.Bindings {
		if b.TLS == nil {
			continue
		}
		var old *certificates
		if j := slices.IndexFunc(r.certificates, func(c *certificates) bool { return c != nil && reflect.DeepEqual(c.tls, b.TLS) }); j >= 0 {
			old = r.certificates[j]
		}
		files, err := secure.Read(b.TLS, s.probeCertificate)
		switch {
		case err == nil:
			all[i] = &certificates{tls: b.TLS, files: files}
			same := old != nil && files.Digest == old.files.Digest
			if same {
				files.Binding = old.files.Binding // with its session tickets
			}
			if old != nil && (!same || old.problem != "") {
				s.log.Info("certificates read again", "site", w.Name, "listener", b.Listener)
				s.record(r, journal.Event{ID: journal.EventCertificatesRead, Message: "certificates read again", Reason: "listener " + b.Listener + endings(files)})
			}
		case old != nil:
			all[i] = &certificates{b.TLS, old.files, err.Error()}
			if old.problem != err.Error() {
				s.log.Warn("certificates not read, the old ones stay in force", "site", w.Name, "listener", b.Listener, "error", err)
				s.record(r, journal.Event{ID: journal.EventCertificatesKept, Message: "certificates not read, the old ones stay in force", Reason: "listener " + b.Listener + ": " + err.Error()})
			}
		default:
			problems = append(problems, fmt.Errorf("bindings[%d].tls: %w", i, err))
		}
	}
	return all, errors.Join(problems...)
}

// record tells all applications of a site what happened to it. The keeper is waited for without the lock.
func (s *Server) record(r *runningSite, e journal.Event) {
	for _, a := range r.apps {
		s.apps.Go(func() { a.app.Record(e) })
	}
}

// endings tells when the certificates end that were read.
func endings(f *secure.Files) string {
	var all strings.Builder
	for _, c := range f.Certificates {
		fmt.Fprintf(&all, ", %s expires at %s", c.File, c.NotAfter.UTC().Format("2006-01-02 15:04 MST"))
	}
	return all.String()
}

// secureWith puts certificates in force with the next publish, and watches their files.
func (s *Server) secureWith(r *runningSite, all []*certificates) {
	r.certificates = all
	var files []string
	ends := time.Now().Add(100 * 365 * 24 * time.Hour).Unix()
	for _, c := range all {
		if c == nil {
			continue
		}
		for _, pair := range c.tls.Certificates {
			files = append(files, pair.Cert, pair.Key)
		}
		for _, cert := range c.files.Certificates {
			ends = min(ends, cert.NotAfter.Unix())
		}
		if c.tls.ClientCert != nil {
			files = append(files, c.tls.ClientCert.CA)
		}
	}
	r.ends.Store(ends)
	if slices.Equal(files, r.watched) {
		return
	}
	r.unwatch()
	if r.watched = files; len(files) == 0 {
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	r.endWatch = cancel
	var dirs []string
	for _, f := range files {
		if dir := filepath.Dir(f); !slices.Contains(dirs, dir) {
			dirs = append(dirs, dir)
		}
	}
	look := func() string { return certificateStamp(files, time.Unix(r.ends.Load(), 0)) }
	name := r.name
	s.apps.Go(func() {
		watch(ctx, dirs, func(string) bool { return true }, rest{200 * time.Millisecond, 2 * time.Second, false}, look, func() { s.certificatesChanged(name) })
	})
}

// unwatch ends the watch over the files.
func (r *runningSite) unwatch() {
	if r.endWatch != nil {
		r.endWatch()
		r.endWatch, r.watched = nil, nil
	}
}

// certificateStamp changes with the files, and every day once the first of them, at end, is to be warned of.
func certificateStamp(files []string, end time.Time) string {
	var all strings.Builder
	if left := time.Until(end); left <= expiryWarning {
		fmt.Fprint(&all, max(left/(24*time.Hour), -1), " ")
	}
	for _, f := range files {
		if info, err := os.Stat(f); err == nil {
			fmt.Fprintf(&all, "%d %d ", info.Size(), info.ModTime().UnixNano())
		} else {
			all.WriteString("none ")
		}
	}
	return all.String()
}

// certificatesChanged reads the files of a site again.
func (s *Server) certificatesChanged(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.sites[name]
	if r == nil || r.site == nil {
		return
	}
	all, err := s.readCertificates(r, r.site)
	if err != nil { // all of them were read before
		s.log.Error("certificates not read", "site", name, "error", err)
		return
	}
	s.secureWith(r, all)
	s.publish()
	s.notify()
}

// certificateNotes say when the certificates of a site end, and what is wrong with them.
func (r *runningSite) certificateNotes(now time.Time) []string {
	var notes []string
	add := func(format string, args ...any) {
		if note := fmt.Sprintf(format, args...); !slices.Contains(notes, note) {
			notes = append(notes, note)
		}
	}
	for i, c := range r.certificates {
		if c == nil {
			continue
		}
		if c.problem != "" {
			add(WarningPrefix+"certificates not read, the old ones stay in force: %s", c.problem)
		}
		for _, key := range c.files.Exposed {
			add(WarningPrefix+"every user of the host can read the key %s", key)
		}
		names := strings.Join(r.site.Bindings[i].Hostnames, ", ")
		if names == "" {
			names = "every name"
		}
		for _, cert := range c.files.Certificates {
			at := cert.NotAfter.UTC().Format("2006-01-02 15:04 MST")
			switch left := cert.NotAfter.Sub(now); {
			case left <= 0:
				add(WarningPrefix+"the certificate of %s (%s) has expired at %s", names, cert.File, at)
			case left <= expiryWarning:
				add(WarningPrefix+"the certificate of %s (%s) expires at %s, in %d days", names, cert.File, at, int(left/(24*time.Hour)))
			default:
				add("the certificate of %s (%s) expires at %s", names, cert.File, at)
			}
		}
	}
	return notes
}
