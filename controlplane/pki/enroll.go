package pki

import (
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/x509"
	"errors"
	"fmt"
	"maps"
	"time"

	"github.com/hashicorp/go-hclog"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/ancora-fleet/ancora/controlplane/store"
	"github.com/ancora-fleet/ancora/dataplane/site"
	agentv1 "github.com/ancora-fleet/ancora/proto/ancora/agent/v1"
	controlv1 "github.com/ancora-fleet/ancora/proto/ancora/control/v1"
	typesv1 "github.com/ancora-fleet/ancora/proto/ancora/types/v1"
)

// maxRequest bounds a certificate signing request, in bytes.
const maxRequest = 8 << 10

// updater is what enrolment needs of the store.
type updater interface {
	Update(context.Context, func(*store.Tx) error) (*store.View, error)
}

// Enrollment lets hosts join: it exchanges a join token for a certificate.
type Enrollment struct {
	agentv1.UnimplementedEnrollmentServiceServer

	authority *Authority
	store     updater
	logger    hclog.Logger
	guesses   guesses
}

// NewEnrollment makes the service. logger may be nil.
func NewEnrollment(authority *Authority, store updater, logger hclog.Logger) *Enrollment {
	if logger == nil {
		logger = hclog.NewNullLogger()
	}
	return &Enrollment{authority: authority, store: store, logger: logger.Named("pki")}
}

// Enroll counts a use of the token, creates the host and keeps its certificate in one transaction, before the certificate
// goes out: of any number of calls with a single-use token one gets through, also across a crash in between.
func (e *Enrollment) Enroll(ctx context.Context, request *agentv1.EnrollRequest) (*agentv1.EnrollResponse, error) {
	if !e.guesses.allowed(source(ctx), time.Now()) {
		return nil, status.Error(codes.ResourceExhausted, "too many unknown join tokens from this address: try again in a minute")
	}
	public, err := publicKey(request.GetCsr())
	if err != nil {
		return nil, status.Errorf(codes.InvalidArgument, "certificate signing request: %v", err)
	}
	join := store.Join{Token: secretDigest(request.GetJoinToken()), Key: store.Digest(public.spki)}
	var answer *agentv1.EnrollResponse
	_, err = e.store.Update(ctx, func(tx *store.Tx) (err error) {
		answer, err = e.enroll(tx, join, public, request.GetHost(), time.Now())
		return err
	})
	if err != nil {
		return nil, e.refused(ctx, request.GetHost(), err)
	}
	e.logger.Info("host joined", "host", answer.GetHost())
	return answer, nil
}

// refused maps an error and notes it.
func (e *Enrollment) refused(ctx context.Context, host string, err error) error {
	if errors.Is(err, errUnknownToken) {
		e.guesses.count(source(ctx), time.Now())
		err = status.Error(codes.Unauthenticated, err.Error())
	}
	if _, ok := status.FromError(err); !ok {
		e.logger.Error("could not enrol", "host", host, "error", err)
		return status.Error(codes.Unavailable, "the store could not be written: try again")
	}
	e.logger.Warn("enrolment refused", "host", host, "error", err)
	return err
}

var errUnknownToken = errors.New("join token is unknown: it was never made here, or was deleted")

// enroll decides one attempt and adds its writes.
func (e *Enrollment) enroll(tx *store.Tx, join store.Join, public *public, wanted string, now time.Time) (*agentv1.EnrollResponse, error) {
	token := tx.View.Tokens[join.Token]
	if token == nil {
		return nil, errUnknownToken
	}
	if expire := token.Message.GetExpireTime().AsTime(); !now.Before(expire) {
		return nil, status.Errorf(codes.Unauthenticated, "join token has expired at %s", expire.Format(time.RFC3339))
	}
	if _, revoked := tx.View.Revoked[join.Key]; revoked {
		return nil, status.Error(codes.Unauthenticated, "the key is revoked: join with a new one")
	}
	if host, again := tx.View.Joins[join]; again {
		return e.answer(host, tx.View.Identities[host].Certificate), nil
	}
	if token.Message.GetUses() >= token.Message.GetMaxUses() {
		return nil, status.Errorf(codes.Unauthenticated, "join token is used up: %d of %d uses", token.Message.GetUses(), token.Message.GetMaxUses())
	}
	host, err := place(tx, token.Message, wanted, now)
	if err != nil {
		return nil, err
	}
	certificate, err := e.authority.Sign(host.GetName(), public.key, now)
	if err != nil {
		return nil, fmt.Errorf("sign: %w", err)
	}
	if earlier, has := tx.View.Identities[host.GetName()]; has && earlier.Key != join.Key {
		tx.Revoke(earlier.Key, host.GetName())
	}
	used := proto.CloneOf(token.Message)
	used.Uses++
	tx.PutToken(join.Token, used)
	tx.PutJoin(join, host.GetName())
	tx.PutHost(host)
	tx.PutIdentity(host.GetName(), certificate)
	return e.answer(host.GetName(), certificate), nil
}

// place says which host joins: a new one, or the one the token was made for, which may be there already, for example
// because its machine was installed anew.
func place(tx *store.Tx, token *controlv1.Token, wanted string, now time.Time) (*typesv1.Host, error) {
	name := token.GetHost()
	if name == "" {
		name = wanted
	}
	if err := site.ValidLabel(name); err != nil {
		return nil, status.Errorf(codes.InvalidArgument, "host name: %v", err)
	}
	known := tx.View.Hosts[name]
	if known == nil {
		return &typesv1.Host{Name: name, Labels: token.GetLabels(), CreateTime: timestamppb.New(now)}, nil
	}
	if token.GetHost() != name {
		return nil, status.Errorf(codes.AlreadyExists, "host name %q is taken: choose another with --name, or use a token made for this host", name)
	}
	host := proto.CloneOf(known.Message)
	if len(token.GetLabels()) > 0 {
		if host.Labels == nil {
			host.Labels = make(map[string]string)
		}
		maps.Copy(host.Labels, token.GetLabels())
		tx.GuardPlacement()
	}
	return host, nil
}

func (e *Enrollment) answer(host string, certificate []byte) *agentv1.EnrollResponse {
	return &agentv1.EnrollResponse{
		Certificate: certificate,
		CaRoots:     [][]byte{e.authority.certificate.Raw},
		Host:        host,
	}
}

type public struct {
	key  any
	spki []byte
}

// publicKey takes the key out of a signing request, which proves that the caller has its private half. Nothing else of
// the request is used.
func publicKey(csr []byte) (*public, error) {
	if len(csr) > maxRequest {
		return nil, fmt.Errorf("longer than %d bytes", maxRequest)
	}
	request, err := x509.ParseCertificateRequest(csr)
	if err != nil {
		return nil, err
	}
	switch key := request.PublicKey.(type) {
	case *ecdsa.PublicKey:
		if key.Curve != elliptic.P256() && key.Curve != elliptic.P384() {
			return nil, errors.New("the curve of an ECDSA key must be P-256 or P-384")
		}
	case ed25519.PublicKey:
	default:
		return nil, errors.New("the key must be ECDSA or Ed25519")
	}
	if err := request.CheckSignature(); err != nil {
		return nil, err
	}
	return &public{request.PublicKey, request.RawSubjectPublicKeyInfo}, nil
}
