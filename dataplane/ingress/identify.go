package ingress

import (
	"crypto/subtle"
	"errors"
	"io"

	"github.com/ancora-fleet/ancora/dataplane/proxyproto"
)

var errNotProxy = errors.New("ingress: not one of the proxies that are trusted")

// identify settles who the client is, before a byte of its own is looked at. It reports false, and closes the
// connection, when that cannot be said or there are too many of that client.
func (l *Listener) identify(c *conn) bool {
	if l.opt.ProxyProtocol {
		if err := l.introduce(c); err != nil {
			if !errors.Is(err, io.EOF) { // somebody who only looks whether the port is open
				l.complain("no PROXY header, connection closed", "client", c.client, "error", err)
			}
			c.sock.Close()
			return false
		}
	}
	c.trusted = l.trusts(c.client.Addr())
	if !l.enrollSource(c) {
		l.complain("too many connections of one source, new ones are closed", "client", c.client, "most", l.opt.MaxConnectionsPerSource)
		c.sock.Close()
		return false
	}
	return true
}

// introduce reads the PROXY header. It has to be there, from somebody who may send one, within the limit of a head.
func (l *Listener) introduce(c *conn) error {
	c.enter(phaseHead) // from now on the sweep keeps the limit
	l.attend()
	buf := l.small.Get()
	defer l.small.Put(buf)
	var header proxyproto.Header
	var parseErr error
	err := c.sock.Peek((*buf)[:proxyproto.MaxSize], func(got []byte) bool {
		header, parseErr = proxyproto.Parse(got)
		return !errors.Is(parseErr, proxyproto.ErrIncomplete)
	})
	if err == nil {
		err = parseErr
	}
	switch {
	case errors.Is(err, io.EOF):
		return err
	case len(l.opt.TrustedProxies) > 0 && !l.trusts(c.client.Addr()) && !l.own(header):
		return errNotProxy
	case err != nil:
		return err
	}
	if _, err := io.ReadFull(c.sock, (*buf)[:header.Size]); err != nil {
		return err
	}
	if header.Client.IsValid() {
		c.client = header.Client
	}
	if !c.enter(phaseIdle) {
		return errExpired
	}
	return nil
}

// own says whether a header is that of a connection which this process makes.
func (l *Listener) own(h proxyproto.Header) bool {
	return l.opt.Own != "" && subtle.ConstantTimeCompare([]byte(h.Own), []byte(l.opt.Own)) == 1
}
