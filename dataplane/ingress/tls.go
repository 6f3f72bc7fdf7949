package ingress

import (
	"context"
	"crypto/tls"
	"net"

	"github.com/ancora-fleet/ancora/dataplane/forward"
	"github.com/ancora-fleet/ancora/dataplane/secure"
)

// secured is the table of the listener, nil where it serves without TLS.
func (l *Listener) secured() *secure.Table {
	if l.opt.TLS == nil {
		return nil
	}
	return l.opt.TLS.Load()
}

// handshake puts TLS between the connection and us. It reports false, and closes the connection, when the handshake fails or
// takes longer than a head may.
func (l *Listener) handshake(c *conn, table *secure.Table) bool {
	c.enter(phaseShake) // from now on the sweep keeps the limit
	l.attend()
	var t *tls.Conn
	c.sock.Wrap(l.small, func(nc net.Conn) net.Conn {
		t = tls.Server(nc, table.Config())
		return t
	})
	err := t.HandshakeContext(context.Background()) // the sweep ends it
	if err == nil {
		c.session, err = table.Session(t.ConnectionState())
	}
	if err == nil && !c.enter(phaseIdle) {
		err = errExpired
	}
	if err != nil {
		l.log.Debug("no TLS handshake, connection closed", "client", c.client, "error", err)
		_ = c.sock.Close() // there is nobody to tell
		return false
	}
	return true
}

// misdirected answers requests that came over a connection which was not made for their host (RFC 9110 15.5.20). The
// connection ends where it is of no use for its own name either: not every client tries another one by itself.
type misdirected struct{ last bool }

func (m misdirected) Serve(_ *forward.Request, w forward.ResponseWriter) {
	if ender, ok := w.(interface{ last() }); ok && m.last {
		ender.last()
	}
	const text = "421 Misdirected Request\n"
	if w.Head(421, ours(421), int64(len(text))) == nil {
		w.Write([]byte(text)) // a client that is gone needs no answer
	}
}

// watchedMisdirected tells an observer of them.
type watchedMisdirected struct {
	misdirected
	forward.Observer
}

// misdirected is the door of a request that is the business of no site here, so who is told of those without a door is told of it.
func (l *Listener) misdirected(last bool) forward.Door {
	if o, ok := l.opt.NotFound.(forward.Observer); ok {
		return watchedMisdirected{misdirected{last}, o}
	}
	return misdirected{last}
}

// door finds who answers a request that came over a connection with this session.
func (l *Listener) door(r *forward.Request, session *secure.Session) forward.Door {
	if table := l.secured(); table != nil && !table.Serves(session, r.Host) {
		return l.misdirected(table.Outdated(session))
	}
	door, base, ok := l.table.Load().Lookup(l.name, r.Host, r.Path)
	if !ok {
		door = l.opt.NotFound
	}
	r.Base = base
	return door
}

// connKey is where the context of an HTTP/2 connection's requests has the connection.
type connKey struct{}

// withConn is for http.Server.ConnContext.
func withConn(ctx context.Context, nc net.Conn) context.Context {
	if h, ok := nc.(*handed); ok {
		return context.WithValue(ctx, connKey{}, h.c)
	}
	return ctx
}

// sessionOf gives the session of a connection that withConn has seen.
func sessionOf(ctx context.Context) *secure.Session {
	if c, ok := ctx.Value(connKey{}).(*conn); ok {
		return c.session
	}
	return nil
}
