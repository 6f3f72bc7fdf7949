package identity

import (
	"context"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/status"

	"github.com/ancora-fleet/ancora/dataplane/atomicfile"
	agentv1 "github.com/ancora-fleet/ancora/proto/ancora/agent/v1"
	"github.com/ancora-fleet/ancora/proto/transport"
)

const (
	// tokenPrefix begins every join token; secret and digest of the CA follow, with dots between.
	tokenPrefix = "ancora-join."
	// pendingKey is the key of a join that has not been answered yet: the same token with the same key is answered again.
	pendingKey = "joining-key.pem"
	joinLimit  = 30 * time.Second
)

// Join is for Enroll.
type Join struct {
	// Address is the controller's for agents, host:port.
	Address string
	Token   string
	// Name is the wanted name; a token that names a host overrides it.
	Name string
	// Dir is where the identity goes.
	Dir string
}

// Enroll makes a key, shows the token to the controller whose CA it pins, and keeps the certificate that comes back. Called
// again after a lost answer it asks with the same key, which costs no further use of the token.
func Enroll(ctx context.Context, j Join) (*Identity, error) {
	secret, digest, err := parseToken(j.Token)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(j.Dir, 0o700); err != nil {
		return nil, err
	}
	key, text, err := keyFor(j.Dir)
	if err != nil {
		return nil, fmt.Errorf("key: %w", err)
	}
	request, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{Subject: pkix.Name{CommonName: j.Name}}, key)
	if err != nil {
		return nil, err
	}
	answer, err := ask(ctx, j.Address, digest, &agentv1.EnrollRequest{JoinToken: secret, Csr: request, Host: j.Name})
	if err != nil {
		return nil, err
	}
	if err := verify(answer, key, digest); err != nil {
		return nil, fmt.Errorf("the controller's answer: %w", err)
	}
	if err := save(j.Dir, text, answer.GetCertificate(), answer.GetCaRoots(), host{answer.GetHost(), []string{j.Address}}); err != nil {
		return nil, err
	}
	if err := os.Remove(filepath.Join(j.Dir, pendingKey)); err != nil {
		return nil, err
	}
	return Load(j.Dir)
}

func parseToken(token string) (secret string, digest []byte, err error) {
	rest, ok := strings.CutPrefix(strings.TrimSpace(token), tokenPrefix)
	secret, pin, two := strings.Cut(rest, ".")
	digest, err = hex.DecodeString(pin)
	if !ok || !two || secret == "" || err != nil || len(digest) != sha256.Size {
		return "", nil, errors.New("this is no join token: `ancora token create` gives one that begins with " + strings.TrimSuffix(tokenPrefix, "."))
	}
	return secret, digest, nil
}

// keyFor gives the key of a join that was not answered, or a new one.
func keyFor(dir string) (*ecdsa.PrivateKey, []byte, error) {
	path := filepath.Join(dir, pendingKey)
	key, err := readKey(path)
	if err == nil {
		text, err := os.ReadFile(path)
		return key, text, err
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return nil, nil, err
	}
	key, text, err := newKey()
	if err != nil {
		return nil, nil, err
	}
	return key, text, atomicfile.Write(path, text, 0o600)
}

func ask(ctx context.Context, address string, digest []byte, request *agentv1.EnrollRequest) (*agentv1.EnrollResponse, error) {
	ctx, cancel := context.WithTimeout(ctx, joinLimit)
	defer cancel()
	conn, err := grpc.NewClient("passthrough:///"+address, transport.DialOptions(transport.Pinned(digest))...)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	answer, err := agentv1.NewEnrollmentServiceClient(conn).Enroll(ctx, request)
	if err == nil {
		return answer, nil
	}
	message := status.Convert(err).Message()
	if strings.Contains(message, transport.ErrWrongCA.Error()) {
		return nil, fmt.Errorf("%s is not the controller that made this token: %w", address, transport.ErrWrongCA)
	}
	return nil, fmt.Errorf("controller %s: %s", address, message)
}

// verify checks that the certificate is for our key and comes from the CA that the token pins.
func verify(answer *agentv1.EnrollResponse, key *ecdsa.PrivateKey, digest []byte) error {
	certificate, err := x509.ParseCertificate(answer.GetCertificate())
	if err != nil {
		return err
	}
	if !key.PublicKey.Equal(certificate.PublicKey) {
		return errors.New("the certificate is for another key")
	}
	roots, pinned := x509.NewCertPool(), false
	for _, der := range answer.GetCaRoots() {
		root, err := x509.ParseCertificate(der)
		if err != nil {
			return err
		}
		sum := sha256.Sum256(der)
		pinned = pinned || string(sum[:]) == string(digest)
		roots.AddCert(root)
	}
	if !pinned {
		return transport.ErrWrongCA
	}
	_, err = certificate.Verify(x509.VerifyOptions{Roots: roots, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}})
	return err
}
