package transport

import (
	"bytes"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
)

// ErrWrongCA says that the server's chain does not end in the CA that was pinned.
var ErrWrongCA = errors.New("the controller's CA is not the one that was pinned")

// AgentServer is the TLS config of the agents' listener: a client certificate is optional, because Enroll is called
// without one, but one that is shown must come from the roots.
func AgentServer(certificate func(*tls.ClientHelloInfo) (*tls.Certificate, error), roots *x509.CertPool) *tls.Config {
	return &tls.Config{
		MinVersion:     tls.VersionTLS13,
		GetCertificate: certificate,
		ClientAuth:     tls.VerifyClientCertIfGiven,
		ClientCAs:      roots,
	}
}

// OperatorServer is the TLS config of the operators' listener.
func OperatorServer(certificate func(*tls.ClientHelloInfo) (*tls.Certificate, error)) *tls.Config {
	return &tls.Config{MinVersion: tls.VersionTLS13, GetCertificate: certificate}
}

// AgentClient is the TLS config of a joined agent. certificate is asked at each handshake, so a renewed one is used
// without a new config.
func AgentClient(certificate func() (*tls.Certificate, error), roots *x509.CertPool) *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS13,
		ServerName: ServerName,
		RootCAs:    roots,
		GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			return certificate()
		},
	}
}

// Pinned is the TLS config of a client that knows the controller's CA only by the SHA-256 of its DER: an agent that joins,
// and the CLI. The CA travels in the handshake; a chain that does not end in it gives ErrWrongCA before a byte of a
// request is sent.
func Pinned(digest []byte) *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS13,
		ServerName: ServerName,
		// The usual check needs roots, which are not known yet; verifyPinned does the same with the one it finds.
		InsecureSkipVerify: true,
		VerifyConnection:   func(state tls.ConnectionState) error { return verifyPinned(state, digest) },
	}
}

func verifyPinned(state tls.ConnectionState, digest []byte) error {
	roots, intermediates := x509.NewCertPool(), x509.NewCertPool()
	found := false
	for _, certificate := range state.PeerCertificates {
		sum := sha256.Sum256(certificate.Raw)
		if certificate.IsCA && bytes.Equal(sum[:], digest) {
			roots.AddCert(certificate)
			found = true
			continue
		}
		intermediates.AddCert(certificate)
	}
	if !found {
		return ErrWrongCA
	}
	_, err := state.PeerCertificates[0].Verify(x509.VerifyOptions{
		DNSName:       ServerName,
		Roots:         roots,
		Intermediates: intermediates,
		KeyUsages:     []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	})
	if err != nil {
		return fmt.Errorf("verify the controller: %w", err)
	}
	return nil
}
