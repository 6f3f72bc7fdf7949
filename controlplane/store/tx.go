package store

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	agentv1 "github.com/ancora-fleet/ancora/proto/ancora/agent/v1"
	controlv1 "github.com/ancora-fleet/ancora/proto/ancora/control/v1"
	typesv1 "github.com/ancora-fleet/ancora/proto/ancora/types/v1"
)

// maxTries is how often a change is computed anew because another controller's came first.
const maxTries = 8

// writeLimit bounds one change, so that an etcd that is away holds up nobody for ever.
const writeLimit = 10 * time.Second

var deterministic = proto.MarshalOptions{Deterministic: true}

// Tx collects the writes of one change. Every write is guarded: the change goes through only when what it read is still
// so, else it is computed again.
type Tx struct {
	// View is what the change is computed from.
	View *View

	guards  []clientv3.Cmp
	guarded map[string]bool
	writes  []clientv3.Op
	failed  error
}

// Update makes one change: fn computes it from tx.View and must have no effects but its writes, as it may run several
// times. An error of fn ends it with nothing written. The view that is returned has the change in it; after a context's
// end it may or may not have been made. ErrStale says that others kept coming first.
func (s *Store) Update(ctx context.Context, fn func(*Tx) error) (*View, error) {
	s.writing.Lock()
	defer s.writing.Unlock()
	limited, cancel := context.WithTimeout(ctx, writeLimit)
	defer cancel()
	v, err := s.update(limited, fn)
	if err != nil && limited.Err() != nil && ctx.Err() == nil {
		return nil, fmt.Errorf("etcd did not answer within %s", writeLimit)
	}
	return v, err
}

func (s *Store) update(ctx context.Context, fn func(*Tx) error) (*View, error) {
	for range maxTries {
		tx := &Tx{View: s.View()}
		if err := fn(tx); err != nil {
			return nil, err
		}
		if tx.failed != nil {
			return nil, tx.failed
		}
		if len(tx.writes) == 0 {
			return tx.View, nil
		}
		answer, err := s.client.Txn(ctx).If(tx.guards...).Then(tx.writes...).Commit()
		if err != nil {
			return nil, fmt.Errorf("write to etcd: %w", err)
		}
		if answer.Succeeded {
			return s.await(ctx, answer.Header.Revision)
		}
		if err := s.newer(ctx, tx.View); err != nil {
			return nil, err
		}
	}
	return nil, ErrStale
}

// newer waits for a view after v, for the change that came first.
func (s *Store) newer(ctx context.Context, v *View) error {
	timer := time.NewTimer(time.Second)
	defer timer.Stop()
	select {
	case <-v.Next():
		return nil
	case <-timer.C:
		return ErrStale
	case <-ctx.Done():
		return ctx.Err()
	}
}

// guard lets the change through only when the key was last written at mod; 0 when it must not exist.
func (tx *Tx) guard(k string, mod int64) {
	if tx.guarded[k] {
		return
	}
	if tx.guarded == nil {
		tx.guarded = make(map[string]bool)
	}
	tx.guarded[k] = true
	tx.guards = append(tx.guards, clientv3.Compare(clientv3.ModRevision(k), "=", mod))
}

func (tx *Tx) put(k, value string) { tx.writes = append(tx.writes, clientv3.OpPut(k, value)) }

func (tx *Tx) delete(k string) { tx.writes = append(tx.writes, clientv3.OpDelete(k)) }

func (tx *Tx) deleteAll(p string) {
	tx.writes = append(tx.writes, clientv3.OpDelete(p, clientv3.WithPrefix()))
}

func (tx *Tx) putMessage(k string, m proto.Message) {
	content, err := deterministic.Marshal(m)
	if err != nil {
		tx.failed = fmt.Errorf("encode %s: %w", k, err)
	}
	tx.put(k, string(content))
}

// GuardPlacement makes the change depend on no site and no host's labels having changed since tx.View: what was computed
// over all of them still holds when it is written.
func (tx *Tx) GuardPlacement() {
	tx.guard(key(kindTopology), tx.View.topology)
	tx.put(key(kindTopology), "")
}

// PutSite stores a document, as a new revision of the site of that name, and returns the revision's number.
func (tx *Tx) PutSite(name string, content []byte, now time.Time) int64 {
	var mod int64
	if s := tx.View.Sites[name]; s != nil {
		mod = s.mod
	}
	revision := tx.View.metas[name].GetRevision() + 1
	tx.guard(key(kindSite, name), mod)
	tx.put(key(kindSite, name), string(content))
	tx.putMessage(key(kindSiteMeta, name), &typesv1.Site{Revision: revision, UpdateTime: timestamppb.New(now)})
	return revision
}

// DeleteSite removes a site and its recycle epochs.
func (tx *Tx) DeleteSite(s *Site) {
	tx.guard(key(kindSite, s.Name()), s.mod)
	tx.delete(key(kindSite, s.Name()))
	tx.delete(key(kindRecycle, s.Name()))
	tx.deleteAll(key(kindRecycle, s.Name(), ""))
}

// PutHost stores name, labels and create_time of a host.
func (tx *Tx) PutHost(host *typesv1.Host) {
	var mod int64
	if h := tx.View.Hosts[host.GetName()]; h != nil {
		mod = h.mod
	}
	tx.guard(key(kindHost, host.GetName()), mod)
	tx.putMessage(key(kindHost, host.GetName()), &typesv1.Host{
		Name:       host.GetName(),
		Labels:     host.GetLabels(),
		CreateTime: host.GetCreateTime(),
	})
}

// DeleteHost removes a host and what was kept for it, and revokes its key.
func (tx *Tx) DeleteHost(h *Host) {
	tx.guard(key(kindHost, h.Name()), h.mod)
	for _, kind := range []string{kindHost, kindSeen, kindIdentity, kindConfirm} {
		tx.delete(key(kind, h.Name()))
	}
	if identity, known := tx.View.Identities[h.Name()]; known {
		tx.guard(key(kindIdentity, h.Name()), identity.mod)
		tx.Revoke(identity.Key, h.Name())
	} else {
		tx.Revoke(revokedHost(h.Name()), h.Name())
	}
	for placed := range tx.View.Recycle {
		if placed.Host == h.Name() {
			tx.delete(key(kindRecycle, placed.Site, placed.Host))
		}
	}
}

// PutIdentity stores the certificate a host is given, in place of the one it had.
func (tx *Tx) PutIdentity(host string, certificate []byte) {
	tx.guard(key(kindIdentity, host), tx.View.Identities[host].mod)
	tx.put(key(kindIdentity, host), string(certificate))
}

// revokedHost stands for all keys a host may have had.
func revokedHost(host string) string { return "host:" + host }

// Revoke ends what certificates of a public key are good for; digest is that of its DER.
func (tx *Tx) Revoke(digest, host string) { tx.put(key(kindRevoked, digest), host) }

// PutToken stores a token under the digest of its secret.
func (tx *Tx) PutToken(digest string, token *controlv1.Token) {
	var mod int64
	if t := tx.View.Tokens[digest]; t != nil {
		mod = t.mod
	}
	tx.guard(key(kindToken, digest), mod)
	tx.putMessage(key(kindToken, digest), token)
}

// DeleteToken removes a token and what it remembers of joins.
func (tx *Tx) DeleteToken(t *Token) {
	tx.guard(key(kindToken, t.Digest), t.mod)
	tx.delete(key(kindToken, t.Digest))
	tx.deleteAll(key(kindJoin, t.Digest, ""))
}

// PutJoin remembers which host a token and a key made.
func (tx *Tx) PutJoin(join Join, host string) { tx.put(key(kindJoin, join.Token, join.Key), host) }

// PutNotice stores a notice under a new name, which it sets and returns.
func (tx *Tx) PutNotice(notice *typesv1.OfflineNotice) string {
	number := tx.View.counter.value + 1
	notice.Name = "n-" + strconv.FormatInt(number, 10)
	tx.guard(key(kindCounter, "notice"), tx.View.counter.mod)
	tx.put(key(kindCounter, "notice"), strconv.FormatInt(number, 10))
	tx.putMessage(key(kindNotice, notice.Name), notice)
	return notice.Name
}

// DeleteNotice removes a notice.
func (tx *Tx) DeleteNotice(n *Notice) {
	tx.guard(key(kindNotice, n.Name()), n.mod)
	tx.delete(key(kindNotice, n.Name()))
}

// Recycle raises the epoch of a site on a host, everywhere when the host is empty.
func (tx *Tx) Recycle(s *Site, host string) {
	names := []string{s.Name()}
	if host != "" {
		names = append(names, host)
	}
	tx.guard(key(kindSite, s.Name()), s.mod)
	epoch := tx.View.Recycle[Placed{s.Name(), host}] + 1
	tx.put(key(kindRecycle, names...), strconv.FormatInt(epoch, 10))
}

// Confirm remembers that an operator agreed to leave a host with no more than these sites.
func (tx *Tx) Confirm(host string, sites []string) {
	m := &agentv1.Manifest{}
	for _, name := range slices.Sorted(slices.Values(sites)) {
		m.Sites = append(m.Sites, &agentv1.ManifestSite{Name: name})
	}
	tx.putMessage(key(kindConfirm, host), m)
}

// PutOperator lets the bearer of a token call in a role.
func (tx *Tx) PutOperator(digest, role string) { tx.put(key(kindOperator, digest), role) }

// markSeen remembers that a host has had a session.
func (tx *Tx) markSeen(host string) { tx.put(key(kindSeen, host), "") }
