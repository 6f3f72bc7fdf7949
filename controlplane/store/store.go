// Package store keeps what the fleet should be in etcd, and beside it, in memory only, what hosts say it is.
//
// Desired state is changed by guarded transactions (Update) and read from an immutable View that one prefix watch keeps
// current. What agents report lives in Observed and is lost with the process: they say it again. Rooms of the controller
// meet here and nowhere else.
package store

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-hclog"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
)

var (
	// ErrNotExist says that what a change is about is not in the store.
	ErrNotExist = errors.New("does not exist")
	// ErrExist says that a name is taken.
	ErrExist = errors.New("exists already")
	// ErrStale says that somebody else's change came first.
	ErrStale = errors.New("was changed by somebody else")
)

// Config says where the store is.
type Config struct {
	// Endpoints of etcd; for the embedded one its Endpoint.
	Endpoints []string
	// Logger may be nil.
	Logger hclog.Logger
}

// Store is one controller's way to etcd. It works while Run runs.
type Store struct {
	client   *clientv3.Client
	logger   hclog.Logger
	view     atomic.Pointer[View]
	observed *Observed
	ready    chan struct{}

	// writing makes the changes of one controller wait for each other instead of failing each other's guards.
	writing sync.Mutex
}

// New makes a Store; nothing is dialled before Run.
func New(config Config) (*Store, error) {
	if config.Logger == nil {
		config.Logger = hclog.NewNullLogger()
	}
	client, err := clientv3.New(clientv3.Config{
		Endpoints:   config.Endpoints,
		DialTimeout: 5 * time.Second,
		Logger:      zap.NewNop(),
	})
	if err != nil {
		return nil, fmt.Errorf("etcd client: %w", err)
	}
	s := &Store{
		client: client,
		logger: config.Logger.Named("store"),
		ready:  make(chan struct{}),
	}
	s.observed = newObserved(s.View)
	s.view.Store(&View{next: make(chan struct{})})
	return s, nil
}

// Run makes the store's id where there is none, loads the view, closes Ready and follows etcd until ctx ends. A record it
// cannot read is an error: leaving it out would stop what it names on every host.
func (s *Store) Run(ctx context.Context) error {
	defer s.client.Close()
	if err := s.makeID(ctx); err != nil {
		return ended(ctx, fmt.Errorf("store id: %w", err))
	}
	if err := s.load(ctx); err != nil {
		return ended(ctx, err)
	}
	close(s.ready)
	s.logger.Info("store is open", "generation", s.View().Revision)

	ctx, cancel := context.WithCancel(ctx)
	var recorder sync.WaitGroup
	recorder.Go(func() { s.recordSeen(ctx) })
	defer recorder.Wait()
	defer cancel()
	return ended(ctx, s.follow(ctx))
}

// Ready is closed once the view is loaded.
func (s *Store) Ready() <-chan struct{} { return s.ready }

// View gives the desired state as of now; never nil. What it holds must not be changed.
func (s *Store) View() *View { return s.view.Load() }

// Observed is what hosts say.
func (s *Store) Observed() *Observed { return s.observed }

// publish replaces the view and wakes who waits for it.
func (s *Store) publish(v *View) {
	v.next = make(chan struct{})
	old := s.view.Swap(v)
	close(old.next)
}

// await waits until the view has reached an etcd revision, so that who wrote something reads it.
func (s *Store) await(ctx context.Context, revision int64) (*View, error) {
	for {
		v := s.View()
		if v.Revision >= revision {
			return v, nil
		}
		select {
		case <-v.Next():
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// ended gives nil when err is only the end of ctx.
func ended(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return err
}
