// Package storetest gives tests a real store: an embedded etcd in a directory of the test.
package storetest

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/ancora-fleet/ancora/controlplane/pki"
	"github.com/ancora-fleet/ancora/controlplane/store"
)

// New runs an embedded etcd and a store on it until the test ends.
func New(t testing.TB) *store.Store {
	t.Helper()
	s, _ := Start(t, t.TempDir(), Authority(t))
	return s
}

// Authority makes a CA in a directory of the test.
func Authority(t testing.TB) *pki.Authority {
	t.Helper()
	authority, err := pki.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return authority
}

// Start runs an embedded etcd in dir and a store on it until stop is called or the test ends.
func Start(t testing.TB, dir string, authority *pki.Authority) (s *store.Store, stop func()) {
	t.Helper()
	member, err := authority.Member()
	if err != nil {
		t.Fatal(err)
	}
	embedded, err := store.NewEmbedded(store.EmbeddedConfig{
		Dir:  dir,
		Peer: store.PeerTLS{Certificate: member.Certificate, Key: member.Key, CA: member.CA, Name: pki.MemberName},
	})
	if err != nil {
		t.Fatal(err)
	}
	stopEtcd := run(t, "etcd", embedded.Run, embedded.Ready())
	if s, err = store.New(store.Config{Endpoints: []string{embedded.Endpoint()}}); err != nil {
		t.Fatal(err)
	}
	stopStore := run(t, "store", s.Run, s.Ready())
	stop = sync.OnceFunc(func() {
		stopStore()
		stopEtcd()
	})
	t.Cleanup(stop)
	return s, stop
}

// run starts an actor and waits until it is ready; stop ends it and waits for that.
func run(t testing.TB, name string, actor func(context.Context) error, ready <-chan struct{}) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- actor(ctx) }()
	select {
	case <-ready:
	case err := <-done:
		t.Fatalf("%s: %v", name, err)
	case <-time.After(30 * time.Second):
		t.Fatalf("%s is not ready", name)
	}
	return func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}
