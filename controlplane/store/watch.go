package store

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
)

// makeID gives the store its id unless it has one.
func (s *Store) makeID(ctx context.Context) error {
	k := key(kindStore, "id")
	_, err := s.client.Txn(ctx).
		If(clientv3.Compare(clientv3.CreateRevision(k), "=", 0)).
		Then(clientv3.OpPut(k, rand.Text())).
		Commit()
	return err
}

// errForeign and errRecord end the store: what it would show from then on is not what operators meant.
var (
	errForeign = errors.New("etcd holds another store now")
	errRecord  = errors.New("unreadable record")
)

// retryAfter is the pause before everything is read again from an etcd that does not answer.
const retryAfter = time.Second

// load reads everything and publishes it.
func (s *Store) load(ctx context.Context) error {
	answer, err := s.client.Get(ctx, prefix, clientv3.WithPrefix())
	if err != nil {
		return fmt.Errorf("read from etcd: %w", err)
	}
	d := newDraft(&View{})
	for _, kv := range answer.Kvs {
		if err := d.apply(kv, false); err != nil {
			return fmt.Errorf("%w: %w", errRecord, err)
		}
	}
	v, err := d.finish()
	if err != nil {
		return fmt.Errorf("%w: %w", errRecord, err)
	}
	// Deletions leave no key behind: only the header tells how far this reading reaches.
	v.Revision = answer.Header.Revision
	if old := s.View(); old.StoreID != "" && old.StoreID != v.StoreID {
		return fmt.Errorf("%w: %s instead of %s", errForeign, v.StoreID, old.StoreID)
	}
	s.publish(v)
	return nil
}

// follow keeps the view current. A watch that breaks off is taken up where it ended; one that fell behind compaction, or
// lost its leader, starts over with a whole reading. An etcd that is away is waited for.
func (s *Store) follow(ctx context.Context) error {
	for {
		if err := s.watch(ctx); ctx.Err() != nil || err != nil {
			return err
		}
		err := s.load(ctx)
		if errors.Is(err, errForeign) || errors.Is(err, errRecord) {
			return err
		}
		if err != nil {
			s.logger.Warn("store does not answer", "error", err)
		}
		select {
		case <-time.After(retryAfter):
		case <-ctx.Done():
			return nil
		}
	}
}

// watch returns nil when the watch has to be made anew.
func (s *Store) watch(ctx context.Context) error {
	ctx, cancel := context.WithCancel(clientv3.WithRequireLeader(ctx))
	defer cancel()
	from := s.View().Revision + 1
	for answer := range s.client.Watch(ctx, prefix, clientv3.WithPrefix(), clientv3.WithRev(from)) {
		if answer.Canceled {
			s.logger.Debug("watch canceled", "error", answer.Err())
			return nil
		}
		if len(answer.Events) == 0 {
			continue
		}
		d := newDraft(s.View())
		for _, event := range answer.Events {
			if err := d.apply(event.Kv, event.Type == clientv3.EventTypeDelete); err != nil {
				return fmt.Errorf("%w: %w", errRecord, err)
			}
		}
		v, err := d.finish()
		if err != nil {
			return fmt.Errorf("%w: %w", errRecord, err)
		}
		s.publish(v)
	}
	return nil
}

// recordSeen remembers hosts that had a session, once each: whether a host without one was ever there is the one thing
// about sessions that has to survive the controller.
func (s *Store) recordSeen(ctx context.Context) {
	for {
		changed := s.observed.Changed()
		connected := s.observed.Connected()
		_, err := s.Update(ctx, func(tx *Tx) error {
			for _, host := range connected {
				if tx.View.Hosts[host] != nil && !tx.View.Seen[host] {
					tx.markSeen(host)
				}
			}
			return nil
		})
		if err != nil && ctx.Err() == nil {
			s.logger.Warn("could not note which hosts were seen", "error", err)
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return
		}
	}
}
