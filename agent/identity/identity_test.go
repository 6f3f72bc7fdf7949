package identity_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/ancora-fleet/ancora/agent/identity"
	"github.com/ancora-fleet/ancora/agent/scripted"
	agentv1 "github.com/ancora-fleet/ancora/proto/ancora/agent/v1"
	"github.com/ancora-fleet/ancora/proto/transport"
)

type enroll = func(context.Context, *agentv1.EnrollRequest) (*agentv1.EnrollResponse, error)

// asked notes what was sent to Enroll.
type asked struct {
	requests []*agentv1.EnrollRequest
	keys     []*ecdsa.PublicKey
}

func (a *asked) note(t *testing.T, m *agentv1.EnrollRequest) {
	t.Helper()
	csr, err := x509.ParseCertificateRequest(m.GetCsr())
	if err != nil {
		t.Error(err)
		return
	}
	if err := csr.CheckSignature(); err != nil {
		t.Error(err)
	}
	a.requests = append(a.requests, m)
	a.keys = append(a.keys, csr.PublicKey.(*ecdsa.PublicKey))
}

// gives makes a controller that certifies who asks, under a name of its own choice.
func gives(t *testing.T, c *scripted.Controller, name string) *asked {
	a := &asked{}
	c.OnEnroll(func(_ context.Context, m *agentv1.EnrollRequest) (*agentv1.EnrollResponse, error) {
		a.note(t, m)
		der, err := c.Sign(m.GetCsr(), name)
		return &agentv1.EnrollResponse{Certificate: der, CaRoots: [][]byte{c.CA()}, Host: name}, err
	})
	return a
}

// Joining keeps key, certificate and CA, and with them a session can be opened; only the secret of the token is sent.
func TestEnroll(t *testing.T) {
	c := scripted.New(t)
	a := gives(t, c, "web-given")
	dir := filepath.Join(t.TempDir(), "identity")
	if _, err := identity.Load(dir); !errors.Is(err, identity.ErrNotJoined) {
		t.Errorf("before: %v", err)
	}
	id, err := identity.Enroll(t.Context(), identity.Join{Address: c.Address, Token: c.Token("secret") + "\n", Name: "web1", Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	if id.Host != "web-given" || len(id.Controllers) != 1 || id.Controllers[0] != c.Address || id.Ends.IsZero() {
		t.Errorf("%+v", id)
	}
	if m := a.requests[0]; m.GetJoinToken() != "secret" || m.GetHost() != "web1" {
		t.Errorf("%v", m)
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 4 {
		t.Errorf("%v %v", entries, err)
	}
	for _, e := range entries {
		if info, err := e.Info(); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v %v", e.Name(), info.Mode(), err)
		}
	}
	if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("%v %v", info.Mode(), err)
	}
	if id, err = identity.Load(dir); err != nil {
		t.Fatal(err)
	}
	if host := introduces(t, c, id.TLS()); host != "web-given" {
		t.Errorf("%q", host)
	}
}

// introduces opens a session with a TLS config and says whether the controller got it.
func introduces(t *testing.T, c *scripted.Controller, config *tls.Config) string {
	t.Helper()
	conn, err := grpc.NewClient("passthrough:///"+c.Address, transport.DialOptions(config)...)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	stream, err := agentv1.NewAgentServiceClient(conn).Session(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	own, err := config.GetClientCertificate(nil)
	if err != nil {
		t.Fatal(err)
	}
	name := own.Leaf.Subject.CommonName
	if err := stream.Send(&agentv1.SessionRequest{Message: &agentv1.SessionRequest_Hello{Hello: &agentv1.Hello{Host: name}}}); err != nil {
		t.Fatal(err)
	}
	return c.Session(t).Hello.GetHost()
}

// A lost answer burns nothing: the next attempt asks with the same key. After success a new join has a new key.
func TestEnrollAgain(t *testing.T) {
	c := scripted.New(t)
	a := gives(t, c, "web1")
	answer := c.Enroller()
	c.OnEnroll(func(ctx context.Context, m *agentv1.EnrollRequest) (*agentv1.EnrollResponse, error) {
		_, _ = answer(ctx, m)
		return nil, status.Error(codes.Unavailable, "the answer is lost")
	})
	j := identity.Join{Address: c.Address, Token: c.Token("secret"), Name: "web1", Dir: t.TempDir()}
	if _, err := identity.Enroll(t.Context(), j); err == nil || !strings.Contains(err.Error(), "the answer is lost") {
		t.Fatal(err)
	}
	if _, err := identity.Load(j.Dir); !errors.Is(err, identity.ErrNotJoined) {
		t.Errorf("half a join is an identity: %v", err)
	}
	c.OnEnroll(answer)
	for range 2 {
		if _, err := identity.Enroll(t.Context(), j); err != nil {
			t.Fatal(err)
		}
	}
	if !a.keys[0].Equal(a.keys[1]) {
		t.Error("the retry asks with another key")
	}
	if a.keys[1].Equal(a.keys[2]) {
		t.Error("a new join asks with the key of the one before")
	}
}

// What a join refuses, and that it leaves no identity.
func TestEnrollRefused(t *testing.T) {
	c, other := scripted.New(t), scripted.New(t)
	signed := func(by *scripted.Controller, m *agentv1.EnrollRequest) []byte {
		der, err := by.Sign(m.GetCsr(), "web1")
		if err != nil {
			t.Error(err)
		}
		return der
	}
	good := c.Token("secret")
	answer := func(certificate func(*agentv1.EnrollRequest) []byte, roots ...[]byte) enroll {
		return func(_ context.Context, m *agentv1.EnrollRequest) (*agentv1.EnrollResponse, error) {
			return &agentv1.EnrollResponse{Certificate: certificate(m), CaRoots: roots, Host: "web1"}, nil
		}
	}
	byOther := func(m *agentv1.EnrollRequest) []byte { return signed(other, m) }
	for name, s := range map[string]struct {
		token  string
		enroll enroll
		want   string
	}{
		"no token":    {"secret", nil, "is no join token"},
		"a short pin": {"ancora-join.secret.abcd", nil, "is no join token"},
		"another CA":  {other.Token("secret"), nil, "is not the controller that made this token"},
		"a used-up token": {good, func(context.Context, *agentv1.EnrollRequest) (*agentv1.EnrollResponse, error) {
			return nil, status.Error(codes.Unauthenticated, "this token is used up")
		}, "this token is used up"},
		"another's roots":     {good, answer(byOther, other.CA()), "not the one that was pinned"},
		"another's signature": {good, answer(byOther, c.CA()), "the controller's answer: "},
		"another key":         {good, answer(func(*agentv1.EnrollRequest) []byte { return c.CA() }, c.CA()), "is for another key"},
		"no certificate":      {good, answer(func(*agentv1.EnrollRequest) []byte { return nil }, c.CA()), "the controller's answer: "},
	} {
		t.Run(name, func(t *testing.T) {
			called := false
			c.OnEnroll(func(ctx context.Context, m *agentv1.EnrollRequest) (*agentv1.EnrollResponse, error) {
				called = true
				if s.enroll == nil {
					return nil, errors.New("it must not be asked")
				}
				return s.enroll(ctx, m)
			})
			dir := t.TempDir()
			_, err := identity.Enroll(t.Context(), identity.Join{Address: c.Address, Token: s.token, Name: "web1", Dir: dir})
			if err == nil || !strings.Contains(err.Error(), s.want) {
				t.Errorf("%v, not %q", err, s.want)
			}
			if err != nil && strings.Contains(err.Error(), "secret") {
				t.Errorf("the token is in the error: %v", err)
			}
			if called != (s.enroll != nil) {
				t.Errorf("called: %v", called)
			}
			if _, err := identity.Load(dir); !errors.Is(err, identity.ErrNotJoined) {
				t.Errorf("an identity is left: %v", err)
			}
		})
	}
}

// A damaged identity is an error that names it, never a host that has not joined.
func TestLoadDamaged(t *testing.T) {
	c := scripted.New(t)
	gives(t, c, "web1")
	for _, file := range []string{"key.pem", "certificate.pem", "ca.pem", "host.json"} {
		t.Run(file, func(t *testing.T) {
			dir := t.TempDir()
			if _, err := identity.Enroll(t.Context(), identity.Join{Address: c.Address, Token: c.Token("s"), Name: "web1", Dir: dir}); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(dir, file), []byte("torn"), 0o600); err != nil {
				t.Fatal(err)
			}
			if _, err := identity.Load(dir); err == nil || errors.Is(err, identity.ErrNotJoined) || errors.Is(err, fs.ErrNotExist) {
				t.Errorf("%v", err)
			}
		})
	}
}
