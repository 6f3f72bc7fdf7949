// Package identity is who a host is to its controller: a key that never leaves it, the certificate the controller gave for
// it, and the CA that both believe in.
package identity

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/ancora-fleet/ancora/dataplane/atomicfile"
	"github.com/ancora-fleet/ancora/proto/transport"
)

const (
	keyFile         = "key.pem"
	certificateFile = "certificate.pem"
	rootsFile       = "ca.pem"
	hostFile        = "host.json"
)

// ErrNotJoined says that the host has no identity yet.
var ErrNotJoined = errors.New("this host has not joined a controller: ancora-agent join ADDRESS --token TOKEN")

// Identity is what a joined host has.
type Identity struct {
	// Host is the name the controller gave.
	Host string
	// Controllers are host:port.
	Controllers []string
	certificate tls.Certificate
	roots       *x509.CertPool
	// Ends is when the certificate does.
	Ends time.Time
}

type host struct {
	Host        string   `json:"host"`
	Controllers []string `json:"controllers"`
}

// Load reads the identity in a directory.
func Load(dir string) (*Identity, error) {
	var h host
	data, err := os.ReadFile(filepath.Join(dir, hostFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, ErrNotJoined
	}
	if err == nil {
		err = json.Unmarshal(data, &h)
	}
	if err != nil {
		return nil, fmt.Errorf("identity: %w", err)
	}
	certificate, err := tls.LoadX509KeyPair(filepath.Join(dir, certificateFile), filepath.Join(dir, keyFile))
	if err != nil {
		return nil, fmt.Errorf("identity: %w", err)
	}
	text, err := os.ReadFile(filepath.Join(dir, rootsFile))
	if err != nil {
		return nil, fmt.Errorf("identity: %w", err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("identity: %s holds no certificate", rootsFile)
	}
	return &Identity{Host: h.Host, Controllers: h.Controllers, certificate: certificate, roots: roots, Ends: certificate.Leaf.NotAfter}, nil
}

// TLS is the config of connections to the controller.
func (i *Identity) TLS() *tls.Config {
	return transport.AgentClient(func() (*tls.Certificate, error) { return &i.certificate, nil }, i.roots)
}

// newKey makes a key in memory, PEM.
func newKey() (*ecdsa.PrivateKey, []byte, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, nil, err
	}
	return key, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), nil
}

func readKey(path string) (*ecdsa.PrivateKey, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(text)
	if block == nil {
		return nil, fmt.Errorf("%s holds no key", path)
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, err
	}
	own, ok := key.(*ecdsa.PrivateKey)
	if !ok {
		return nil, fmt.Errorf("%s holds another kind of key", path)
	}
	return own, nil
}

// save puts a new identity in place; host.json comes last, because it says that the rest is there.
func save(dir string, key []byte, certificate []byte, roots [][]byte, h host) error {
	var authorities []byte
	for _, der := range roots {
		authorities = append(authorities, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})...)
	}
	about, err := json.Marshal(h)
	if err != nil {
		return err
	}
	for _, f := range []struct {
		name    string
		content []byte
	}{
		{keyFile, key},
		{certificateFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate})},
		{rootsFile, authorities},
		{hostFile, about},
	} {
		if err := atomicfile.Write(filepath.Join(dir, f.name), f.content, 0o600); err != nil {
			return fmt.Errorf("identity: %w", err)
		}
	}
	return nil
}
