package site

import (
	"fmt"
	"path"
	"strings"
)

const maxCertificates = 8

// TLS says which certificates a binding has: files of the host, in PEM, which its agent reads.
type TLS struct {
	// Certificates has at least one; a client gets the first that it can verify.
	Certificates []Certificate
	// ClientCert is nil when clients are not asked for a certificate.
	ClientCert *ClientCert
}

// Certificate is the absolute paths of a chain and of the key of its first certificate.
type Certificate struct{ Cert, Key string }

// ClientCert is what is asked of clients. The application gets the certificate as MS-ASPNETCORE-CLIENTCERT (FWD-7).
type ClientCert struct {
	Mode ClientCertMode
	// CA is the absolute path of what certificates are verified against.
	CA string
}

// ClientCertMode says what a client without a certificate gets; one that does not verify always fails.
type ClientCertMode string

const (
	// ClientCertRequest serves it.
	ClientCertRequest ClientCertMode = "request"
	// ClientCertRequire lets its handshake fail.
	ClientCertRequire ClientCertMode = "require"
)

// Redirect sends visitors of a binding elsewhere, to the same host and path.
type Redirect string

// RedirectHTTPS sends them to the site's binding with TLS that has the hostname.
const RedirectHTTPS Redirect = "https"

func (c *check) tls(at string, t *TLS) {
	if t == nil {
		return
	}
	at += ".tls"
	if len(t.Certificates) == 0 {
		c.add(at, "has no certificate: {cert: /file, key: /file}")
	}
	if len(t.Certificates) > maxCertificates {
		c.add(at+".certificates", "%d entries, at most %d are allowed", len(t.Certificates), maxCertificates)
	}
	for i, pair := range t.Certificates {
		where := at
		if len(t.Certificates) > 1 {
			where = fmt.Sprintf("%s.certificates[%d]", at, i)
		}
		c.failed(where+".cert", validFile(pair.Cert))
		c.failed(where+".key", validFile(pair.Key))
	}
	if a := t.ClientCert; a != nil {
		if a.Mode == "" {
			c.add(at+".clientCert.mode", "is missing: request or require")
		}
		c.oneOf(at+".clientCert.mode", string(a.Mode), string(ClientCertRequest), string(ClientCertRequire))
		c.failed(at+".clientCert.ca", validFile(a.CA))
	}
}

// secured says what does not fit together: bindings of one listener with TLS and without, redirects that lead nowhere.
func (c *check) secured(bindings []Binding) {
	first := map[string]int{}
	for i, b := range bindings {
		at := fmt.Sprintf("bindings[%d]", i)
		if j, twice := first[b.Listener]; !twice {
			first[b.Listener] = i
		} else if (b.TLS == nil) != (bindings[j].TLS == nil) {
			c.add(at+".tls", "a listener has TLS or has not: bindings[%d] of %s says otherwise", j, b.Listener)
		}
		c.oneOf(at+".redirect", string(b.Redirect), string(RedirectHTTPS))
		switch {
		case b.Redirect != RedirectHTTPS:
		case b.TLS != nil:
			c.add(at+".redirect", "is for bindings without tls")
		default:
			for _, name := range b.names() {
				if Target(bindings, name) == nil {
					c.add(at+".redirect", "no binding of the site has tls and the hostname %q", name)
				}
			}
		}
	}
}

// Target finds the binding that a redirect of a hostname leads to: one with TLS for that hostname, for a pattern that it
// falls under, or for every name.
func Target(bindings []Binding, hostname string) *Binding {
	hostname = strings.ToLower(hostname)
	wanted := []string{hostname}
	if _, rest, ok := strings.Cut(hostname, "."); ok {
		wanted = append(wanted, "*."+rest)
	}
	for _, want := range append(wanted, "") {
		for i, b := range bindings {
			if b.TLS == nil {
				continue
			}
			for _, name := range b.names() {
				if strings.ToLower(name) == want {
					return &bindings[i]
				}
			}
		}
	}
	return nil
}

// names are the hostnames, "" alone for every name.
func (b *Binding) names() []string {
	if len(b.Hostnames) == 0 {
		return []string{""}
	}
	return b.Hostnames
}

func validFile(file string) error {
	switch {
	case file == "":
		return fmt.Errorf("is missing: a file of the host")
	case !path.IsAbs(file) || path.Clean(file) != file || strings.ContainsRune(file, 0) || len(file) > 4096:
		return fmt.Errorf("%q is no clean absolute path", file)
	}
	return nil
}
