package pki

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"net"
	"path/filepath"
	"sync"
	"time"

	"github.com/ancora-fleet/ancora/proto/transport"
)

// Server hands out the controller's certificate, and a new one with a new key before the old one is half through.
type Server struct {
	authority *Authority

	mu      sync.Mutex
	current *tls.Certificate
	renew   time.Time
}

// NewServer makes a Server; certificates are made when asked for.
func NewServer(authority *Authority) *Server { return &Server{authority: authority} }

// Certificate is a tls.Config's GetCertificate. The chain has the CA in it, because clients know only its digest.
func (s *Server) Certificate(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	if s.current != nil && now.Before(s.renew) {
		return s.current, nil
	}
	key, der, err := s.authority.issue(transport.ServerName, now, nil, x509.ExtKeyUsageServerAuth)
	if err != nil {
		return nil, err
	}
	s.current = &tls.Certificate{Certificate: [][]byte{der, s.authority.certificate.Raw}, PrivateKey: key}
	s.renew = now.Add(serverLife / 2)
	return s.current, nil
}

// MemberName is the subject of certificates of members of the store. It has dots, so no host can have it.
const MemberName = "member.ancora.internal"

// Member is where the files of a member's certificate are.
type Member struct{ Certificate, Key, CA string }

// Member makes a certificate by which members of the store know each other, in files, as etcd reads them from there.
func (a *Authority) Member() (Member, error) {
	m := Member{
		Certificate: filepath.Join(a.dir, "member.crt"),
		Key:         filepath.Join(a.dir, "member.key"),
		CA:          filepath.Join(a.dir, caFile),
	}
	loopback := []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback}
	key, der, err := a.issue(MemberName, time.Now(), loopback, x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth)
	if err != nil {
		return Member{}, err
	}
	if err := writeKey(m.Key, key); err != nil {
		return Member{}, err
	}
	content := pem.EncodeToMemory(&pem.Block{Type: pemCert, Bytes: der})
	return m, WriteFile(m.Certificate, content, 0o600)
}

// issue makes a key and a certificate for it.
func (a *Authority) issue(name string, now time.Time, ips []net.IP, usage ...x509.ExtKeyUsage) (*ecdsa.PrivateKey, []byte, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	template, err := newTemplate(name, now, serverLife)
	if err != nil {
		return nil, nil, err
	}
	template.DNSNames = []string{name}
	template.IPAddresses = ips
	template.KeyUsage = x509.KeyUsageDigitalSignature
	template.ExtKeyUsage = usage
	der, err := x509.CreateCertificate(rand.Reader, template, a.certificate, key.Public(), a.key)
	return key, der, err
}
