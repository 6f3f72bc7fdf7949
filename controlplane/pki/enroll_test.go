package pki_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/ancora-fleet/ancora/controlplane/pki"
	"github.com/ancora-fleet/ancora/controlplane/store"
	"github.com/ancora-fleet/ancora/controlplane/store/storetest"
	agentv1 "github.com/ancora-fleet/ancora/proto/ancora/agent/v1"
	controlv1 "github.com/ancora-fleet/ancora/proto/ancora/control/v1"
)

type lab struct {
	testing.TB
	store      *store.Store
	authority  *pki.Authority
	enrollment *pki.Enrollment
}

func newLab(t testing.TB) *lab {
	s, authority := storetest.New(t), storetest.Authority(t)
	return &lab{t, s, authority, pki.NewEnrollment(authority, s, nil)}
}

// token stores a token and gives its secret.
func (l *lab) token(token *controlv1.Token) string {
	l.Helper()
	if token.ExpireTime == nil {
		token.ExpireTime = timestamppb.New(time.Now().Add(time.Hour))
	}
	secret := pki.NewSecret()
	_, err := l.store.Update(l.Context(), func(tx *store.Tx) error {
		tx.PutToken(store.Digest([]byte(secret)), token)
		return nil
	})
	if err != nil {
		l.Fatal(err)
	}
	return secret
}

// csr makes a key and a signing request for it.
func csr(t testing.TB, curve elliptic.Curve) []byte {
	t.Helper()
	key, err := ecdsa.GenerateKey(curve, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{}, key)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

func (l *lab) enroll(secret, host string, csr []byte) (*agentv1.EnrollResponse, error) {
	return l.enrollment.Enroll(l.Context(), &agentv1.EnrollRequest{JoinToken: secret, Host: host, Csr: csr})
}

func (l *lab) refused(err error, code codes.Code, reason string) {
	l.Helper()
	if status.Code(err) != code || !strings.Contains(err.Error(), reason) {
		l.Errorf("%v, want %s and %q", err, code, reason)
	}
}

func TestJoin(t *testing.T) {
	l := newLab(t)
	secret := l.token(&controlv1.Token{MaxUses: 1, Labels: map[string]string{"role": "web"}})
	answer, err := l.enroll(secret, "web1", csr(t, elliptic.P256()))
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := x509.ParseCertificate(answer.GetCertificate())
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	ca, err := x509.ParseCertificate(answer.GetCaRoots()[0])
	if err != nil {
		t.Fatal(err)
	}
	roots.AddCert(ca)
	if _, err := certificate.Verify(x509.VerifyOptions{Roots: roots, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}); err != nil {
		t.Error(err)
	}
	if _, err := certificate.Verify(x509.VerifyOptions{Roots: roots}); err == nil {
		t.Error("a host's certificate is good for a server")
	}
	life := time.Until(certificate.NotAfter)
	if certificate.Subject.CommonName != "web1" || answer.GetHost() != "web1" || life < 89*24*time.Hour || life > 90*24*time.Hour {
		t.Errorf("subject %q, host %q, good for %s", certificate.Subject.CommonName, answer.GetHost(), life)
	}
	if got := l.store.View().Hosts["web1"].Labels()["role"]; got != "web" {
		t.Errorf("label of the token is %q on the host", got)
	}
}

func TestOneTokenOneHost(t *testing.T) {
	l := newLab(t)
	secret := l.token(&controlv1.Token{MaxUses: 1})
	const joins = 200
	var mu sync.Mutex
	certificates := make(map[string]bool)
	var callers sync.WaitGroup
	for range joins {
		request := csr(t, elliptic.P256())
		callers.Go(func() {
			answer, err := l.enroll(secret, "web1", request)
			if err != nil {
				l.refused(err, codes.Unauthenticated, "used up: 1 of 1")
				return
			}
			mu.Lock()
			defer mu.Unlock()
			certificates[string(answer.GetCertificate())] = true
		})
	}
	callers.Wait()
	view := l.store.View()
	if len(certificates) != 1 || len(view.Hosts) != 1 || len(view.Identities) != 1 {
		t.Errorf("%d certificates, %d hosts, %d identities; want one of each", len(certificates), len(view.Hosts), len(view.Identities))
	}
}

func TestALostAnswerBurnsNothing(t *testing.T) {
	l := newLab(t)
	secret, request := l.token(&controlv1.Token{MaxUses: 1}), csr(t, elliptic.P384())
	first, err := l.enroll(secret, "web1", request)
	if err != nil {
		t.Fatal(err)
	}
	// Another enrolment service, as after a restart of the controller.
	l.enrollment = pki.NewEnrollment(l.authority, l.store, nil)
	again, err := l.enroll(secret, "another-name", request)
	if err != nil {
		t.Fatal(err)
	}
	if string(first.GetCertificate()) != string(again.GetCertificate()) || again.GetHost() != "web1" {
		t.Errorf("the same token and key gave %s something else", again.GetHost())
	}
	for _, token := range l.store.View().Tokens {
		if token.Message.GetUses() != 1 {
			t.Errorf("%d uses were counted", token.Message.GetUses())
		}
	}
}

func TestReasons(t *testing.T) {
	l := newLab(t)
	if _, err := l.enroll(l.token(&controlv1.Token{MaxUses: 1}), "web1", csr(t, elliptic.P256())); err != nil {
		t.Fatal(err)
	}
	good := csr(t, elliptic.P256())
	expired := l.token(&controlv1.Token{MaxUses: 1, ExpireTime: timestamppb.New(time.Now().Add(-time.Minute))})
	for _, c := range []struct {
		name, secret, host string
		csr                []byte
		code               codes.Code
		reason             string
	}{
		{"unknown token", pki.NewSecret(), "web2", good, codes.Unauthenticated, "unknown"},
		{"no token", "", "web2", good, codes.Unauthenticated, "unknown"},
		{"expired token", expired, "web2", good, codes.Unauthenticated, "expired"},
		{"name taken", l.token(&controlv1.Token{MaxUses: 1}), "web1", good, codes.AlreadyExists, "taken"},
		{"no name", l.token(&controlv1.Token{MaxUses: 1}), "", good, codes.InvalidArgument, "host name"},
		{"bad name", l.token(&controlv1.Token{MaxUses: 1}), "member.ancora.internal", good, codes.InvalidArgument, "host name"},
		{"no request", l.token(&controlv1.Token{MaxUses: 1}), "web2", nil, codes.InvalidArgument, "signing request"},
		{"huge request", l.token(&controlv1.Token{MaxUses: 1}), "web2", make([]byte, 1<<20), codes.InvalidArgument, "longer than"},
		{"weak curve", l.token(&controlv1.Token{MaxUses: 1}), "web2", csr(t, elliptic.P224()), codes.InvalidArgument, "curve"},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := &lab{t, l.store, l.authority, l.enrollment}
			_, err := l.enroll(c.secret, c.host, c.csr)
			l.refused(err, c.code, c.reason)
		})
	}
	if len(l.store.View().Hosts) != 1 {
		t.Errorf("hosts: %v", l.store.View().Hosts)
	}
}

func TestATokenForAHostTakesItOver(t *testing.T) {
	l := newLab(t)
	first := csr(t, elliptic.P256())
	old := l.token(&controlv1.Token{MaxUses: 2})
	if _, err := l.enroll(old, "web1", first); err != nil {
		t.Fatal(err)
	}
	before := l.store.View().Identities["web1"].Key
	answer, err := l.enroll(l.token(&controlv1.Token{Host: "web1", MaxUses: 1}), "some-hostname", csr(t, elliptic.P256()))
	if err != nil {
		t.Fatal(err)
	}
	view := l.store.View()
	if answer.GetHost() != "web1" || !view.IsRevoked("web1", before) || view.IsRevoked("web1", view.Identities["web1"].Key) {
		t.Errorf("host %q; the key before is revoked: %t", answer.GetHost(), view.IsRevoked("web1", before))
	}
	_, err = l.enroll(old, "web1", first)
	l.refused(err, codes.Unauthenticated, "revoked")
}

func TestAWholeTokenIsTakenForItsSecret(t *testing.T) {
	l := newLab(t)
	secret := l.token(&controlv1.Token{MaxUses: 1})
	if _, err := l.enroll(l.authority.JoinToken(secret), "web1", csr(t, elliptic.P256())); err != nil {
		t.Error(err)
	}
}

func TestGuessingIsSlowedDown(t *testing.T) {
	l := newLab(t)
	request := csr(t, elliptic.P256())
	var err error
	for range 11 {
		_, err = l.enroll(pki.NewSecret(), "web1", request)
	}
	l.refused(err, codes.ResourceExhausted, "too many")
}
