// Package scripted is the far end for the agent's tests: a listener with mutual TLS and the agent's services, where the test
// itself says every word of the controller, the wrong ones as well.
package scripted

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"math/big"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"

	agentv1 "github.com/ancora-fleet/ancora/proto/ancora/agent/v1"
	"github.com/ancora-fleet/ancora/proto/transport"
)

// Patience is how long a test waits for what must come.
const Patience = 20 * time.Second

// Controller is a listener and its CA.
type Controller struct {
	Address string

	enroll   atomic.Pointer[Enroller]
	key      *ecdsa.PrivateKey
	ca       *x509.Certificate
	sessions chan *Session
	lines    chan *Lines
	sockets  *sockets
}

// Enroller answers those who join.
type Enroller func(context.Context, *agentv1.EnrollRequest) (*agentv1.EnrollResponse, error)

// OnEnroll says who answers those who join; nobody does before.
func (c *Controller) OnEnroll(f Enroller) { c.enroll.Store(&f) }

// Enroller gives who answers now.
func (c *Controller) Enroller() Enroller { return *c.enroll.Load() }

// New serves until the test ends.
func New(t *testing.T) *Controller {
	t.Helper()
	c := &Controller{sessions: make(chan *Session, 64), lines: make(chan *Lines, 64)}
	c.key, c.ca = authority(t)
	key, der := c.certificate(t, "controller", x509.ExtKeyUsageServerAuth)
	own := &tls.Certificate{Certificate: [][]byte{der, c.ca.Raw}, PrivateKey: key}
	config := transport.AgentServer(func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return own, nil }, c.Roots())
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c.Address = listener.Addr().String()
	c.sockets = &sockets{Listener: listener}
	server := grpc.NewServer(transport.AgentServerOptions(config)...)
	agentv1.RegisterAgentServiceServer(server, agentService{controller: c})
	agentv1.RegisterEnrollmentServiceServer(server, enrollmentService{controller: c})
	served := make(chan struct{})
	go func() {
		defer close(served)
		_ = server.Serve(c.sockets)
	}()
	t.Cleanup(func() { server.Stop(); <-served })
	return c
}

// Token is a join token that pins the CA.
func (c *Controller) Token(secret string) string {
	sum := sha256.Sum256(c.ca.Raw)
	return "ancora-join." + secret + "." + hex.EncodeToString(sum[:])
}

// CA is the root, DER.
func (c *Controller) CA() []byte { return c.ca.Raw }

// Roots are those to trust.
func (c *Controller) Roots() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(c.ca)
	return pool
}

// Host is the TLS config of a joined host.
func (c *Controller) Host(t *testing.T, name string) *tls.Config {
	t.Helper()
	key, der := c.certificate(t, name, x509.ExtKeyUsageClientAuth)
	own := &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
	return transport.AgentClient(func() (*tls.Certificate, error) { return own, nil }, c.Roots())
}

// Sign certifies the key of a signing request for a host.
func (c *Controller) Sign(request []byte, name string) ([]byte, error) {
	csr, err := x509.ParseCertificateRequest(request)
	if err != nil {
		return nil, err
	}
	return c.sign(csr.PublicKey, name, x509.ExtKeyUsageClientAuth)
}

// Connections is how many are open now.
func (c *Controller) Connections() int { return int(c.sockets.open.Load()) }

// Connected is how many there were.
func (c *Controller) Connected() int { return int(c.sockets.ever.Load()) }

// Session waits for the next agent that says Hello.
func (c *Controller) Session(t *testing.T) *Session {
	t.Helper()
	return next(t, c.sessions, "session")
}

// Lines waits for the next stream of lines.
func (c *Controller) Lines(t *testing.T) *Lines {
	t.Helper()
	return next(t, c.lines, "stream of lines")
}

func next[T any](t *testing.T, from <-chan T, what string) T {
	t.Helper()
	select {
	case v := <-from:
		return v
	case <-time.After(Patience):
		t.Fatalf("no %s came", what)
		panic("unreachable")
	}
}

func authority(t *testing.T) (*ecdsa.PrivateKey, *x509.Certificate) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "scripted CA"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour), KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return key, certificate
}

func (c *Controller) certificate(t *testing.T, name string, usage x509.ExtKeyUsage) (*ecdsa.PrivateKey, []byte) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := c.sign(key.Public(), name, usage)
	if err != nil {
		t.Fatal(err)
	}
	return key, der
}

func (c *Controller) sign(public any, name string, usage x509.ExtKeyUsage) ([]byte, error) {
	serial, err := rand.Int(rand.Reader, big.NewInt(1<<62))
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: name}, DNSNames: []string{transport.ServerName},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(12 * time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{usage},
	}
	return x509.CreateCertificate(rand.Reader, template, c.ca, public, c.key)
}

// sockets counts connections.
type sockets struct {
	net.Listener
	open, ever atomic.Int64
}

func (s *sockets) Accept() (net.Conn, error) {
	conn, err := s.Listener.Accept()
	if err != nil {
		return nil, err
	}
	s.open.Add(1)
	s.ever.Add(1)
	return &socket{Conn: conn, closed: sync.OnceFunc(func() { s.open.Add(-1) })}, nil
}

type socket struct {
	net.Conn
	closed func()
}

func (s *socket) Close() error {
	s.closed()
	return s.Conn.Close()
}
