package api

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/ancora-fleet/ancora/controlplane/selector"
	"github.com/ancora-fleet/ancora/controlplane/store"
	"github.com/ancora-fleet/ancora/dataplane/site"
	"github.com/ancora-fleet/ancora/dataplane/wire"
	controlv1 "github.com/ancora-fleet/ancora/proto/ancora/control/v1"
	typesv1 "github.com/ancora-fleet/ancora/proto/ancora/types/v1"
)

const (
	// explainLimit bounds an answer; hosts that have not said anything by then are named.
	explainLimit = 10 * time.Second
	// mostAsked is how many hosts are asked at a time.
	mostAsked = 256
)

// explainer asks hosts what they would do with a request.
type explainer interface {
	Explain(ctx context.Context, host string, asked *typesv1.ExplainQuestion) (*typesv1.Explanation, error)
}

type explains struct {
	controlv1.UnimplementedExplainServiceServer
	services
	hosts explainer
}

// Explain asks every host in question at once, and sends on what each says.
func (s *explains) Explain(request *controlv1.ExplainRequest, stream controlv1.ExplainService_ExplainServer) error {
	hosts, err := s.asked(s.store.View(), request)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(stream.Context(), explainLimit)
	defer cancel()
	answers := make(chan *controlv1.HostExplanation)
	var asking sync.WaitGroup
	defer asking.Wait()
	defer cancel()
	queue := make(chan string, len(hosts))
	for _, host := range hosts {
		queue <- host
	}
	close(queue)
	for range min(mostAsked, len(hosts)) {
		asking.Go(func() {
			for host := range queue {
				select {
				case answers <- s.ask(ctx, host, request.GetQuestion()):
				case <-stream.Context().Done():
					return
				}
			}
		})
	}
	for range hosts {
		select {
		case answer := <-answers:
			if err := stream.Send(&controlv1.ExplainResponse{Hosts: []*controlv1.HostExplanation{answer}}); err != nil {
				return err
			}
		case <-stream.Context().Done():
			return stream.Context().Err()
		}
	}
	return nil
}

func (s *explains) ask(ctx context.Context, host string, asked *typesv1.ExplainQuestion) *controlv1.HostExplanation {
	answer := &controlv1.HostExplanation{Host: host}
	var err error
	if answer.Explanation, err = s.hosts.Explain(ctx, host, asked); err != nil {
		answer.Error = err.Error()
		if ctx.Err() != nil {
			answer.Error = "no answer in time"
		}
	}
	return answer
}

// asked checks the question and names the hosts that it is for.
func (s *explains) asked(view *store.View, request *controlv1.ExplainRequest) ([]string, error) {
	var problems site.Problems
	name := request.GetQuestion().GetSite()
	if name == "" {
		problems = append(problems, problem("question.site", "is missing")...)
	}
	if _, err := wire.Question(request.GetQuestion()); err != nil {
		problems = append(problems, problem("question", "%v", err)...)
	}
	if len(problems) > 0 {
		return nil, problems
	}
	w := view.Sites[name]
	if w == nil {
		return nil, notFound("site", name)
	}
	all, err := selector.Parse(nil)
	if err != nil {
		return nil, err
	}
	hosts := selector.Placed(view, w, all)
	if host := request.GetHost(); host != "" {
		if !slices.Contains(hosts, host) {
			return nil, notFound("site "+name+" on host", host)
		}
		return []string{host}, nil
	}
	return hosts, nil
}
