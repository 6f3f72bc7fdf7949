// Package pki is the fleet's certificate authority: it makes the CA, the controller's certificates, and those of hosts,
// and lets hosts join by token.
package pki

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"os"
	"path/filepath"
	"time"
)

const (
	// caLife is how long a CA is good for. It is pinned in tokens and credentials, so it outlives them all.
	caLife = 20 * 365 * 24 * time.Hour
	// HostLife is how long a host's certificate is good for; it is renewed at half life.
	HostLife = 90 * 24 * time.Hour
	// serverLife is that of the controller's own certificates, whose keys never leave its memory.
	serverLife = 90 * 24 * time.Hour
	// backdate is how far the clock of who verifies may be behind ours.
	backdate = time.Hour

	caKeyFile  = "ca.key"
	caFile     = "ca.crt"
	pemKey     = "PRIVATE KEY"
	pemCert    = "CERTIFICATE"
	serialBits = 127
)

// Authority signs. It holds the CA's key, which lives in a file beside the store and never in it.
type Authority struct {
	dir         string
	key         crypto.Signer
	certificate *x509.Certificate
}

// Open reads the CA from a directory, or makes one there. A directory that has only half of it is an error: making a new
// CA would lock out every host and operator.
func Open(dir string) (*Authority, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	keyPath, certPath := filepath.Join(dir, caKeyFile), filepath.Join(dir, caFile)
	key, keyErr := readKey(keyPath)
	certificate, certErr := readCertificate(certPath)
	switch {
	case keyErr == nil && certErr == nil:
		if !key.Public().(*ecdsa.PublicKey).Equal(certificate.PublicKey) {
			return nil, fmt.Errorf("%s is not the key of %s", keyPath, certPath)
		}
		return &Authority{dir, key, certificate}, nil
	case errors.Is(certErr, fs.ErrNotExist) && (keyErr == nil || errors.Is(keyErr, fs.ErrNotExist)):
		return create(dir, key)
	default:
		return nil, fmt.Errorf("CA: %w", errors.Join(keyErr, certErr))
	}
}

// create makes a CA. A key without certificate is of a start that was cut short, so nobody trusts it yet; it is used.
func create(dir string, key *ecdsa.PrivateKey) (*Authority, error) {
	if key == nil {
		var err error
		if key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
			return nil, err
		}
		if err := writeKey(filepath.Join(dir, caKeyFile), key); err != nil {
			return nil, err
		}
	}
	now := time.Now()
	template, err := newTemplate("ancora CA", now, caLife)
	if err != nil {
		return nil, err
	}
	template.IsCA = true
	template.BasicConstraintsValid = true
	template.MaxPathLenZero = true
	template.KeyUsage = x509.KeyUsageCertSign | x509.KeyUsageCRLSign
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, err
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, err
	}
	content := pem.EncodeToMemory(&pem.Block{Type: pemCert, Bytes: der})
	if err := WriteFile(filepath.Join(dir, caFile), content, 0o644); err != nil {
		return nil, err
	}
	return &Authority{dir, key, certificate}, nil
}

// Certificate is the CA's own.
func (a *Authority) Certificate() *x509.Certificate { return a.certificate }

// Digest is the SHA-256 of the CA's DER: what tokens and credentials pin.
func (a *Authority) Digest() []byte {
	sum := sha256.Sum256(a.certificate.Raw)
	return sum[:]
}

// Pool is what verifies certificates of hosts.
func (a *Authority) Pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(a.certificate)
	return pool
}

// Sign gives a host a certificate for its public key, DER. The host's name is its subject, and it is good only for
// clients, so that no host can pose as a controller.
func (a *Authority) Sign(host string, public crypto.PublicKey, now time.Time) ([]byte, error) {
	template, err := newTemplate(host, now, HostLife)
	if err != nil {
		return nil, err
	}
	template.KeyUsage = x509.KeyUsageDigitalSignature
	template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	return x509.CreateCertificate(rand.Reader, template, a.certificate, public, a.key)
}

func newTemplate(name string, now time.Time, life time.Duration) (*x509.Certificate, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), serialBits))
	if err != nil {
		return nil, err
	}
	return &x509.Certificate{
		SerialNumber: serial,
		Subject:      pkix.Name{CommonName: name},
		NotBefore:    now.Add(-backdate),
		NotAfter:     now.Add(life),
	}, nil
}

func readKey(path string) (*ecdsa.PrivateKey, error) {
	der, err := readPEM(path, pemKey)
	if err != nil {
		return nil, err
	}
	key, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	ec, ok := key.(*ecdsa.PrivateKey)
	if !ok {
		return nil, fmt.Errorf("%s: not an ECDSA key", path)
	}
	return ec, nil
}

func readCertificate(path string) (*x509.Certificate, error) {
	der, err := readPEM(path, pemCert)
	if err != nil {
		return nil, err
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return certificate, nil
}

func readPEM(path, kind string) ([]byte, error) {
	content, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(content)
	if block == nil || block.Type != kind {
		return nil, fmt.Errorf("%s: no PEM block %q", path, kind)
	}
	return block.Bytes, nil
}

func writeKey(path string, key *ecdsa.PrivateKey) error {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	return WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: pemKey, Bytes: der}), 0o600)
}
