package dataplane

import (
	"context"
	"os"
	"time"

	"github.com/ancora-fleet/ancora/dataplane/accesslog"
	"github.com/ancora-fleet/ancora/dataplane/capture"
	"github.com/ancora-fleet/ancora/dataplane/forward"
	"github.com/ancora-fleet/ancora/dataplane/h1"
	"github.com/ancora-fleet/ancora/dataplane/site"
)

// runningLog is the access log of a site.
type runningLog struct {
	*accesslog.Log
	cancel context.CancelFunc
}

// logAccess makes a site's access log what the site asks for; the lock is held. A log that was once begun stays until the
// server ends: a site that goes and comes again must not be written to twice at a time, and one that is off costs nothing.
func (s *Server) logAccess(r *runningSite, form site.AccessLog) {
	if form == "" || form == site.AccessLogOff {
		r.observer.log.Store(nil)
		return
	}
	l := s.logs[r.name]
	if l == nil {
		computer, err := os.Hostname()
		if err != nil {
			s.log.Warn("host name not known to the access log", "site", r.name, "error", err)
		}
		ctx, cancel := context.WithCancel(context.Background())
		l = &runningLog{cancel: cancel, Log: accesslog.New(accesslog.Config{
			Origin:  accesslog.Origin{Site: r.name, Computer: computer, Software: "ancora"},
			Dir:     capture.AppDir(Captures(s.config.DataDir), r.name, capture.AccessLog),
			NextRun: func() (uint64, error) { return s.config.Journal.NextRun(r.name, capture.AccessLog) },
			Logger:  s.log,
		})}
		s.logs[r.name] = l
		s.logging.Go(func() { l.Run(ctx) })
	}
	l.SetForm(form)
	r.observer.log.Store(l.Log)
}

// endLogs writes what is left, once there are no more requests.
func (s *Server) endLogs() {
	s.mu.Lock()
	for _, l := range s.logs {
		l.cancel()
	}
	s.mu.Unlock()
	s.logging.Wait()
}

// entryOf gathers what a line may show of an exchange that ends now. Of a field that came several times it is the first.
func entryOf(x *forward.Exchange, now time.Time) accesslog.Entry {
	r := x.Request
	e := accesslog.Entry{
		Begin: now.Add(-x.Duration), Duration: x.Duration, Client: r.Client, Method: r.Method, Host: r.Host, Path: r.Path, Query: r.Query,
		Protocol: x.Protocol, Status: x.Status, Substatus: x.Substatus, Received: x.Received, Sent: x.Sent, Payload: x.Payload, Aborted: x.Aborted,
		Local: x.Conn.Local(),
	}
	for i := range r.Fields {
		f := &r.Fields[i]
		var to *[]byte
		switch {
		case h1.EqualFold(f.Name, "user-agent"):
			to = &e.UserAgent
		case h1.EqualFold(f.Name, "referer"):
			to = &e.Referer
		case h1.EqualFold(f.Name, "traceparent"):
			to = &e.TraceParent
		default:
			continue
		}
		if len(*to) == 0 {
			*to = f.Value
		}
	}
	return e
}
