package store_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/ancora-fleet/ancora/controlplane/pki"
	"github.com/ancora-fleet/ancora/controlplane/store"
	"github.com/ancora-fleet/ancora/controlplane/store/storetest"
	"github.com/ancora-fleet/ancora/dataplane/site"
	controlv1 "github.com/ancora-fleet/ancora/proto/ancora/control/v1"
	typesv1 "github.com/ancora-fleet/ancora/proto/ancora/types/v1"
)

func document(t testing.TB, name, selector string) []byte {
	t.Helper()
	content, err := proto.MarshalOptions{Deterministic: true}.Marshal(&typesv1.Site{
		Name:       name,
		Placement:  &typesv1.Placement{Hosts: &typesv1.Selector{Expression: selector}},
		CreateTime: timestamppb.New(time.Unix(1, 0)),
	})
	if err != nil {
		t.Fatal(err)
	}
	return content
}

func update(t testing.TB, s *store.Store, fn func(*store.Tx)) *store.View {
	t.Helper()
	view, err := s.Update(t.Context(), func(tx *store.Tx) error { fn(tx); return nil })
	if err != nil {
		t.Fatal(err)
	}
	return view
}

func TestWhoWritesReadsIt(t *testing.T) {
	s := storetest.New(t)
	before := s.View()
	view := update(t, s, func(tx *store.Tx) { tx.PutSite("demo", document(t, "demo", "role=web"), time.Now()) })
	demo := view.Sites["demo"]
	if demo == nil || demo.Revision != 1 || demo.Message.GetRevision() != 1 || demo.Message.GetUpdateTime() == nil {
		t.Fatalf("site after the first write: %+v", demo)
	}
	if s.View() != view || view.Revision <= before.Revision {
		t.Errorf("view at %d is not the newest, or not newer than %d", view.Revision, before.Revision)
	}
	if before.Sites["demo"] != nil {
		t.Error("an earlier view has changed")
	}
	select {
	case <-before.Next():
	default:
		t.Error("who waits on the earlier view was not woken")
	}
}

func TestRevisionsOnlyGrow(t *testing.T) {
	s := storetest.New(t)
	for want := int64(1); want <= 2; want++ {
		view := update(t, s, func(tx *store.Tx) { tx.PutSite("demo", document(t, "demo", fmt.Sprint("n=", want)), time.Now()) })
		if got := view.Sites["demo"].Revision; got != want {
			t.Fatalf("revision %d, want %d", got, want)
		}
	}
	view := update(t, s, func(tx *store.Tx) { tx.DeleteSite(tx.View.Sites["demo"]) })
	if len(view.Sites) != 0 {
		t.Fatalf("sites after deletion: %v", view.Sites)
	}
	view = update(t, s, func(tx *store.Tx) { tx.PutSite("demo", document(t, "demo", "all"), time.Now()) })
	if got := view.Sites["demo"].Revision; got != 3 {
		t.Errorf("revision of the site made again is %d, want 3", got)
	}
}

func TestAnErrorWritesNothing(t *testing.T) {
	s := storetest.New(t)
	broken := errors.New("broken")
	_, err := s.Update(t.Context(), func(tx *store.Tx) error {
		tx.PutHost(&typesv1.Host{Name: "web1"})
		return broken
	})
	if !errors.Is(err, broken) || len(s.View().Hosts) != 0 {
		t.Errorf("err %v, hosts %v", err, s.View().Hosts)
	}
}

// everything writes a record of each kind, replaces some and deletes some.
func everything(t testing.TB, s *store.Store) {
	t.Helper()
	update(t, s, func(tx *store.Tx) {
		for _, name := range []string{"web1", "web2", "gone"} {
			tx.PutHost(&typesv1.Host{Name: name, Labels: map[string]string{"role": "web"}})
		}
		for _, name := range []string{"shop", "blog", "old"} {
			tx.PutSite(name, document(t, name, "role=web"), time.Unix(5, 0))
		}
		tx.PutOperator(store.Digest([]byte("secret")), "admin")
		tx.PutToken("t1", &controlv1.Token{Id: "t1", MaxUses: 2})
		tx.PutToken("t2", &controlv1.Token{Id: "t2"})
		tx.PutJoin(store.Join{Token: "t1", Key: "k"}, "web1")
		tx.PutJoin(store.Join{Token: "t2", Key: "k"}, "web2")
	})
	update(t, s, func(tx *store.Tx) {
		tx.PutNotice(&typesv1.OfflineNotice{Sites: []string{"shop"}, Content: &typesv1.OfflineNotice_Message{Message: "back soon"}})
	})
	update(t, s, func(tx *store.Tx) {
		tx.Recycle(tx.View.Sites["shop"], "")
		tx.Recycle(tx.View.Sites["old"], "web1")
		tx.Recycle(tx.View.Sites["blog"], "gone")
		tx.Confirm("web1", []string{"blog"})
		tx.Confirm("gone", nil)
	})
	update(t, s, func(tx *store.Tx) {
		tx.DeleteHost(tx.View.Hosts["gone"])
		tx.DeleteSite(tx.View.Sites["old"])
		tx.DeleteToken(tx.View.Tokens["t2"])
		tx.GuardPlacement()
	})
}

// same compares what views show.
func same(a, b *store.View) string {
	return cmp.Diff(a, b, protocmp.Transform(),
		cmp.AllowUnexported(site.Selector{}), cmpopts.IgnoreUnexported(store.View{}, store.Site{}, store.Host{}, store.Token{}, store.Notice{}, store.Identity{}),
		cmp.Comparer(func(a, b site.Selector) bool { return a.String() == b.String() }),
		cmpopts.EquateEmpty(), cmpopts.IgnoreFields(store.View{}, "Revision"))
}

func TestWatchedAndLoadedViewsAreTheSame(t *testing.T) {
	dir, authority := t.TempDir(), storetest.Authority(t)
	s, stop := storetest.Start(t, dir, authority)
	everything(t, s)
	watched := s.View()
	if got := watched.RecycleEpoch("shop", "web1"); got != 1 {
		t.Errorf("epoch of shop on web1 is %d, want 1", got)
	}
	if len(watched.Recycle) != 1 || len(watched.Confirmations) != 1 || len(watched.Joins) != 1 || len(watched.Revoked) != 1 {
		t.Errorf("what was deleted left something behind: %v %v %v %v", watched.Recycle, watched.Confirmations, watched.Joins, watched.Revoked)
	}
	stop()
	again, _ := storetest.Start(t, dir, authority)
	if diff := same(watched, again.View()); diff != "" {
		t.Errorf("after a restart (-watched +loaded):\n%s", diff)
	}
	if again.View().Revision < watched.Revision {
		t.Errorf("generation fell from %d to %d", watched.Revision, again.View().Revision)
	}
}

func TestTwoControllers(t *testing.T) {
	dir := t.TempDir()
	a, _ := storetest.Start(t, dir, storetest.Authority(t))
	b := second(t, filepath.Join(dir, "etcd.sock"))
	const each = 40
	var all sync.Map
	var writers sync.WaitGroup
	for _, s := range []*store.Store{a, b} {
		writers.Go(func() {
			for made := 0; made < each; {
				var name string
				_, err := s.Update(t.Context(), func(tx *store.Tx) error {
					name = tx.PutNotice(&typesv1.OfflineNotice{})
					return nil
				})
				if errors.Is(err, store.ErrStale) {
					continue
				}
				if err != nil {
					t.Error(err)
					return
				}
				made++
				if _, twice := all.LoadOrStore(name, true); twice {
					t.Errorf("%s was given twice", name)
				}
			}
		})
	}
	writers.Wait()
	if n := len(a.View().Notices) + len(b.View().Notices); n < 2*each {
		t.Errorf("views have %d notices", n)
	}
}

// second makes another controller's store on the same etcd.
func second(t *testing.T, socket string) *store.Store {
	t.Helper()
	s, err := store.New(store.Config{Endpoints: []string{"unix://" + socket}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	<-s.Ready()
	return s
}

func TestOneControllerADirectory(t *testing.T) {
	dir, authority := t.TempDir(), storetest.Authority(t)
	storetest.Start(t, dir, authority)
	member, err := authority.Member()
	if err != nil {
		t.Fatal(err)
	}
	twin, err := store.NewEmbedded(store.EmbeddedConfig{Dir: dir, Peer: store.PeerTLS{
		Certificate: member.Certificate, Key: member.Key, CA: member.CA, Name: pki.MemberName,
	}})
	if err != nil {
		t.Fatal(err)
	}
	if err := twin.Run(t.Context()); err == nil || !strings.Contains(err.Error(), "in use by another controller") {
		t.Errorf("a second controller on the directory: %v", err)
	}
}

func TestALongPathGetsAShortSocket(t *testing.T) {
	short := t.TempDir()
	t.Setenv("TMPDIR", short)
	dir := filepath.Join(short, strings.Repeat("long/", 30))
	s, stop := storetest.Start(t, dir, storetest.Authority(t))
	update(t, s, func(tx *store.Tx) { tx.PutHost(&typesv1.Host{Name: "web1"}) })
	stop()
	left, err := filepath.Glob(filepath.Join(short, "ancora-*"))
	if err != nil || len(left) > 0 {
		t.Errorf("left behind: %v %v", left, err)
	}
}

func TestDirectoriesArePrivate(t *testing.T) {
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	storetest.Start(t, dir, storetest.Authority(t))
	info, err := os.Stat(dir)
	if err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("%v %v", info.Mode(), err)
	}
}

func TestSeenSurvives(t *testing.T) {
	s := storetest.New(t)
	update(t, s, func(tx *store.Tx) { tx.PutHost(&typesv1.Host{Name: "web1"}) })
	s.Observed().Begin("web1", store.Session{ID: "s1"})
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	for !s.View().Seen["web1"] {
		select {
		case <-s.View().Next():
		case <-ctx.Done():
			t.Fatal("the session was not recorded")
		}
	}
}
