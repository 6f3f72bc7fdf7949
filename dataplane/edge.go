package dataplane

import (
	"net/netip"
	"slices"
	"time"

	"github.com/ancora-fleet/ancora/dataplane/ingress"
)

// Edge is how a listener treats those who connect to it. The zero value has the defaults of ingress.Options.
type Edge struct {
	// H2C lets clients speak HTTP/2 with prior knowledge too.
	H2C bool
	// TrustedProxies are the networks that are believed about who the client is.
	TrustedProxies []netip.Prefix
	// ProxyProtocol makes every connection begin with a PROXY header.
	ProxyProtocol bool
	// IdleTimeout is how long a connection may wait for a request; 0 is the default.
	IdleTimeout time.Duration
	// MaxConnections is how many clients may be connected; 0 is the default, which follows from the limit of descriptors.
	MaxConnections int
	// MaxConnectionsPerSource is how many of them may be one client; 0 is no limit.
	MaxConnectionsPerSource int
}

// Same says whether both mean the same: a listener need not be opened again then.
func (e Edge) Same(other Edge) bool {
	return e.H2C == other.H2C && e.ProxyProtocol == other.ProxyProtocol && e.IdleTimeout == other.IdleTimeout &&
		e.MaxConnections == other.MaxConnections && e.MaxConnectionsPerSource == other.MaxConnectionsPerSource &&
		slices.Equal(e.TrustedProxies, other.TrustedProxies)
}

func (e Edge) options() ingress.Options {
	return ingress.Options{
		H2C: e.H2C, TrustedProxies: e.TrustedProxies, ProxyProtocol: e.ProxyProtocol, IdleLimit: e.IdleTimeout,
		MaxConnections: e.MaxConnections, MaxConnectionsPerSource: e.MaxConnectionsPerSource,
	}
}
