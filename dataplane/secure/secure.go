// Package secure says how connections are secured: which certificates stand behind a name, what is asked of clients, and
// to which binding a connection belongs. A table never changes; a new configuration, or a certificate that was renewed, is
// a new table.
package secure

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"

	"github.com/ancora-fleet/ancora/dataplane/route"
)

// ErrNoName ends the handshake of a client that names nobody, or somebody who is not here (RFC 6066 3).
var ErrNoName = errors.New("secure: no certificate for this name")

// Binding is what connections to some names are secured with. It is for one reading of its files: whoever reads them again
// makes another one, whose session tickets are others.
type Binding struct {
	// Identity says which certificates and which demands these are. Connections may be used for the names of every binding
	// with an equal one.
	Identity string
	probe    []byte // see Config
	config   *tls.Config
}

// Config is for NewBinding.
type Config struct {
	Identity string
	// Certificates has at least one; the first that a client can verify is used.
	Certificates []tls.Certificate
	// ClientAuth and ClientCAs are what is asked of clients.
	ClientAuth tls.ClientAuthType
	ClientCAs  *x509.CertPool
	// Probe is the DER of a client certificate that ClientCAs lets in and no application is told of.
	Probe []byte
}

// NewBinding makes a binding: TLS 1.2 and 1.3, with the cipher suites that HTTP/2 allows (RFC 9113 9.2.2), HTTP/2 and
// HTTP/1.1. Session tickets have keys of the binding, which crypto/tls makes anew every day.
func NewBinding(c Config) *Binding {
	config := &tls.Config{
		MinVersion:   tls.VersionTLS12,
		Certificates: c.Certificates,
		ClientAuth:   c.ClientAuth,
		ClientCAs:    c.ClientCAs,
		NextProtos:   []string{"h2", "http/1.1"},
		CipherSuites: []uint16{
			tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
			tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
			tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256, tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
		},
	}
	// The keys of a Config that GetConfigForClient returns are those of the one that it was called on, so a session of one
	// binding could go on in another that asks more of its clients. These two use the Config's own.
	config.WrapSession = config.EncryptTicket
	config.UnwrapSession = config.DecryptTicket
	return &Binding{Identity: c.Identity, probe: c.Probe, config: config}
}

// Table has the bindings of one listener.
type Table struct {
	names  route.Names[*Binding]
	config *tls.Config
}

// Entry is one hostname of a binding, as sites spell it; "" is for clients that name nobody else.
type Entry struct {
	Hostname string
	Binding  *Binding
}

// New makes a table. Of two entries for one name the first is in it.
func New(entries []Entry) *Table {
	t := &Table{names: route.Names[*Binding]{}}
	for _, e := range entries {
		if name := route.Fold(e.Hostname); t.names[name] == nil {
			t.names[name] = e.Binding
		}
	}
	refusal := &tls.Config{MinVersion: tls.VersionTLS12} // one without certificates is answered with unrecognized_name
	t.config = &tls.Config{MinVersion: tls.VersionTLS12, GetConfigForClient: func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		if b, ok := t.names.Lookup([]byte(hello.ServerName)); ok {
			return b.config, nil
		}
		return refusal, nil
	}}
	return t
}

// Config is what a connection's handshake begins with.
func (t *Table) Config() *tls.Config { return t.config }

// Session is what a handshake has settled, for as long as its connection lives.
type Session struct {
	name     string
	identity string
	// HTTP2 is set when client and listener agreed on it.
	HTTP2 bool
	// ClientCertificate is the client's, verified: its DER in base64. Empty without one.
	ClientCertificate []byte
}

// Session says what was settled. The table is the one whose Config the handshake began with.
func (t *Table) Session(state tls.ConnectionState) (*Session, error) {
	b, ok := t.names.Lookup([]byte(state.ServerName))
	if !ok {
		return nil, ErrNoName
	}
	s := &Session{name: state.ServerName, identity: b.Identity, HTTP2: state.NegotiatedProtocol == "h2"}
	if len(state.VerifiedChains) > 0 {
		if leaf := state.PeerCertificates[0].Raw; string(leaf) != string(b.probe) {
			s.ClientCertificate = base64.StdEncoding.AppendEncode(nil, leaf)
		}
	}
	return s, nil
}

// Asks gives what is asked of clients that name somebody.
func (t *Table) Asks(name string) tls.ClientAuthType {
	b, ok := t.names.Lookup([]byte(name))
	if !ok {
		return tls.NoClientCert
	}
	return b.config.ClientAuth
}

// Serves reports whether a connection may be asked for a host: by TLS, for one that has the same certificates and asks
// the same of clients as the one it was made for. A nil Table is that of a listener without TLS, a nil Session of a
// connection without it. It does not allocate.
func (t *Table) Serves(s *Session, host []byte) bool {
	if t == nil {
		return true
	}
	b, ok := t.names.Lookup(host)
	switch {
	case s == nil:
		return false
	case !ok:
		return true // there is nobody: not found
	}
	return b.Identity == s.identity
}

// Outdated reports whether a connection would be made otherwise now, so that another one is of use for the same name.
func (t *Table) Outdated(s *Session) bool { return s == nil || !t.Serves(s, []byte(s.name)) }
