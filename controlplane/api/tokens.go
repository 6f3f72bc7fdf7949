package api

import (
	"context"
	"slices"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/ancora-fleet/ancora/controlplane/pki"
	"github.com/ancora-fleet/ancora/controlplane/store"
	"github.com/ancora-fleet/ancora/dataplane/site"
	controlv1 "github.com/ancora-fleet/ancora/proto/ancora/control/v1"
)

const (
	defaultTTL = time.Hour
	minTTL     = time.Second
	maxTTL     = 30 * 24 * time.Hour
	maxUses    = 10_000
	idLength   = 12 // of 64 digits
)

type tokens struct {
	controlv1.UnimplementedTokenServiceServer
	services
	tokens joinTokens
}

// CreateToken stores only the digest of the secret; the answer is the one place where it is shown.
func (s *tokens) CreateToken(ctx context.Context, request *controlv1.CreateTokenRequest) (*controlv1.CreateTokenResponse, error) {
	now := time.Now()
	token, err := newToken(request, now)
	if err != nil {
		return nil, err
	}
	secret := pki.NewSecret()
	digest := store.Digest([]byte(secret))
	token.Id = digest[:idLength]
	_, err = s.store.Update(ctx, func(tx *store.Tx) error {
		tx.PutToken(digest, token)
		return nil
	})
	if err != nil {
		return nil, err
	}
	s.logger.Info("join token created", "host", token.GetHost(), "token", token.GetId(), "uses", token.GetMaxUses())
	return &controlv1.CreateTokenResponse{Token: token, JoinToken: s.tokens.JoinToken(secret)}, nil
}

func newToken(request *controlv1.CreateTokenRequest, now time.Time) (*controlv1.Token, error) {
	uses, ttl := request.GetMaxUses(), defaultTTL
	if uses == 0 {
		uses = 1
	}
	if request.GetTtl() != nil {
		ttl = request.GetTtl().AsDuration()
	}
	var problems site.Problems
	if request.GetHost() != "" {
		if err := site.ValidLabel(request.GetHost()); err != nil {
			problems = append(problems, problem("host", "%v", err)...)
		}
	}
	problems = append(problems, validLabels("labels", request.GetLabels())...)
	if uses < 1 || uses > maxUses {
		problems = append(problems, problem("max_uses", "%d is not 1 to %d", uses, maxUses)...)
	}
	if ttl < minTTL || ttl > maxTTL {
		problems = append(problems, problem("ttl", "%s is not 1s to 720h", ttl)...)
	}
	if len(problems) > 0 {
		return nil, problems
	}
	return &controlv1.Token{
		Host:       request.GetHost(),
		Labels:     request.GetLabels(),
		MaxUses:    uses,
		CreateTime: timestamppb.New(now),
		ExpireTime: timestamppb.New(now.Add(ttl)),
	}, nil
}

// ListTokens gives them in order of creation, those that have expired too until they are swept.
func (s *tokens) ListTokens(context.Context, *controlv1.ListTokensRequest) (*controlv1.ListTokensResponse, error) {
	answer := &controlv1.ListTokensResponse{}
	for _, t := range s.store.View().Tokens {
		answer.Tokens = append(answer.Tokens, t.Message)
	}
	slices.SortFunc(answer.Tokens, func(a, b *controlv1.Token) int {
		return a.GetCreateTime().AsTime().Compare(b.GetCreateTime().AsTime())
	})
	return answer, nil
}

func (s *tokens) DeleteToken(ctx context.Context, request *controlv1.DeleteTokenRequest) (*controlv1.DeleteTokenResponse, error) {
	_, err := s.store.Update(ctx, func(tx *store.Tx) error {
		for _, t := range tx.View.Tokens {
			if t.Message.GetId() == request.GetId() {
				tx.DeleteToken(t)
				return nil
			}
		}
		return notFound("token", request.GetId())
	})
	if err != nil {
		return nil, err
	}
	s.logger.Info("join token deleted", "token", request.GetId())
	return &controlv1.DeleteTokenResponse{}, nil
}
