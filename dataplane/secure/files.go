package secure

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/ancora-fleet/ancora/dataplane/regular"
	"github.com/ancora-fleet/ancora/dataplane/site"
)

// fileLimit is the size of a file that is still read, in bytes.
const fileLimit = 1 << 20

// Files is what the files of a binding held when they were read.
type Files struct {
	Binding *Binding
	// Digest is that of all of them.
	Digest [sha256.Size]byte
	// Certificates are in the order of the site's.
	Certificates []Certificate
	// Exposed are keys that every user of the host can read.
	Exposed []string
}

// Certificate is what operators want to know of one.
type Certificate struct {
	File     string
	NotAfter time.Time
}

// Read reads the files of a binding. All that is wrong with them is told at once; nothing of their content is, since it
// might be anybody's. The probe is let in by bindings that ask for certificates.
func Read(t *site.TLS, probe *tls.Certificate) (*Files, error) {
	identity, err := json.Marshal(t)
	if err != nil {
		return nil, err
	}
	f, config, digest := &Files{}, Config{Identity: string(identity), Probe: probe.Leaf.Raw}, sha256.New()
	var problems []error
	read := func(path string) []byte {
		content, err := regular.Read(path, fileLimit)
		if err != nil {
			problems = append(problems, err)
		}
		fmt.Fprintf(digest, "%q %d ", path, len(content))
		digest.Write(content)
		return content
	}
	for _, c := range t.Certificates {
		chain, key := read(c.Cert), read(c.Key)
		if chain == nil || key == nil {
			continue
		}
		pair, err := tls.X509KeyPair(chain, key)
		if err != nil {
			problems = append(problems, fmt.Errorf("certificate %s with key %s: %w", c.Cert, c.Key, err))
			continue
		}
		config.Certificates = append(config.Certificates, pair)
		f.Certificates = append(f.Certificates, Certificate{c.Cert, pair.Leaf.NotAfter})
		if info, err := os.Stat(c.Key); err == nil && info.Mode().Perm()&0o004 != 0 {
			f.Exposed = append(f.Exposed, c.Key)
		}
	}
	if a := t.ClientCert; a != nil {
		config.ClientAuth = tls.VerifyClientCertIfGiven
		if a.Mode == site.ClientCertRequire {
			config.ClientAuth = tls.RequireAndVerifyClientCert
		}
		if content := read(a.CA); content != nil {
			// What a connection's client has proven is worth as much as the authorities it was proven to. The server's own
			// certificates are known by their paths alone: a renewal is no reason to do a handshake again.
			config.Identity += fmt.Sprintf(" %x", sha256.Sum256(content))
			if config.ClientCAs, err = authorities(content); err != nil {
				problems = append(problems, fmt.Errorf("client certificates' %s: %w", a.CA, err))
			} else {
				config.ClientCAs.AddCert(probe.Leaf)
			}
		}
	}
	if len(problems) > 0 {
		return nil, errors.Join(problems...)
	}
	f.Binding = NewBinding(config)
	digest.Sum(f.Digest[:0])
	return f, nil
}

// authorities reads certificates that others are verified against; one that does not parse is no detail.
func authorities(content []byte) (*x509.CertPool, error) {
	pool, found := x509.NewCertPool(), false
	for {
		var block *pem.Block
		if block, content = pem.Decode(content); block == nil {
			break
		}
		if block.Type != "CERTIFICATE" {
			continue
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, err
		}
		pool.AddCert(c)
		found = true
	}
	if !found {
		return nil, errors.New("holds no certificate in PEM")
	}
	return pool, nil
}
