package store

import (
	"crypto/sha256"
	"crypto/x509"
	"fmt"
	"maps"
	"strconv"

	"go.etcd.io/etcd/api/v3/mvccpb"
	"google.golang.org/protobuf/proto"

	"github.com/ancora-fleet/ancora/dataplane/site"
	agentv1 "github.com/ancora-fleet/ancora/proto/ancora/agent/v1"
	controlv1 "github.com/ancora-fleet/ancora/proto/ancora/control/v1"
	typesv1 "github.com/ancora-fleet/ancora/proto/ancora/types/v1"
)

// draft is the next view while events are put into it. A map is copied when it is first written to.
type draft struct {
	view  View
	owned map[string]bool // kinds whose map is the draft's own
	dirty map[string]bool // sites to put together anew
}

func newDraft(from *View) *draft {
	d := &draft{view: *from, owned: make(map[string]bool), dirty: make(map[string]bool)}
	d.view.next = nil
	return d
}

// set puts a record into a map of the draft, or takes it out.
func set[K comparable, V any](d *draft, kind string, m *map[K]V, k K, v V, has bool) {
	if !d.owned[kind] {
		d.owned[kind] = true
		if *m = maps.Clone(*m); *m == nil {
			*m = make(map[K]V)
		}
	}
	if has {
		(*m)[k] = v
	} else {
		delete(*m, k)
	}
}

// apply puts one key into the draft; deleted says that it is gone.
func (d *draft) apply(kv *mvccpb.KeyValue, deleted bool) error {
	kind, first, second := splitKey(string(kv.Key))
	if err := d.record(kind, first, second, kv, !deleted); err != nil {
		return fmt.Errorf("record %s: %w", kv.Key, err)
	}
	d.view.Revision = max(d.view.Revision, kv.ModRevision)
	return nil
}

func (d *draft) record(kind, first, second string, kv *mvccpb.KeyValue, has bool) (err error) {
	v := &d.view
	switch kind {
	case kindStore:
		v.StoreID = string(kv.Value)
	case kindTopology:
		v.topology = kv.ModRevision
	case kindCounter:
		v.counter.mod = kv.ModRevision
		v.counter.value, err = number(kv, has)
	case kindSite:
		set(d, "content", &v.contents, first, kv.Value, has)
		set(d, "mod", &v.mods, first, kv.ModRevision, has)
		d.dirty[first] = true
	case kindSiteMeta:
		meta := &typesv1.Site{}
		err = proto.Unmarshal(kv.Value, meta)
		set(d, kind, &v.metas, first, meta, has)
		d.dirty[first] = true
	case kindRecycle:
		var epoch int64
		epoch, err = number(kv, has)
		set(d, kind, &v.Recycle, Placed{first, second}, epoch, has)
	case kindHost:
		h := &Host{Message: &typesv1.Host{}, mod: kv.ModRevision}
		err = proto.Unmarshal(kv.Value, h.Message)
		h.Message.Etag = strconv.FormatInt(kv.ModRevision, 10)
		set(d, kind, &v.Hosts, first, h, has)
	case kindSeen:
		set(d, kind, &v.Seen, first, true, has)
	case kindIdentity:
		var i Identity
		if has {
			i, err = decodeIdentity(kv)
		}
		set(d, kind, &v.Identities, first, i, has)
	case kindRevoked:
		set(d, kind, &v.Revoked, first, string(kv.Value), has)
	case kindConfirm:
		var c *Confirmation
		c, err = decodeConfirmation(kv)
		set(d, kind, &v.Confirmations, first, c, has)
	case kindToken:
		t := &Token{Digest: first, Message: &controlv1.Token{}, mod: kv.ModRevision}
		err = proto.Unmarshal(kv.Value, t.Message)
		set(d, kind, &v.Tokens, first, t, has)
	case kindJoin:
		set(d, kind, &v.Joins, Join{first, second}, string(kv.Value), has)
	case kindNotice:
		n := &Notice{}
		if has {
			n, err = decodeNotice(kv)
		}
		set(d, kind, &v.Notices, first, n, has)
	case kindOperator:
		set(d, kind, &v.Operators, first, string(kv.Value), has)
	default:
		err = fmt.Errorf("kind %q is not known to this version", kind)
	}
	return err
}

// finish puts together the sites that changed and gives the view.
func (d *draft) finish() (*View, error) {
	for name := range d.dirty {
		content, has := d.view.contents[name]
		var s *Site
		if has {
			var err error
			if s, err = decodeSite(content, d.view.metas[name], d.view.mods[name]); err != nil {
				return nil, fmt.Errorf("site %s: %w", name, err)
			}
		}
		set(d, "sites", &d.view.Sites, name, s, has)
	}
	return &d.view, nil
}

func decodeSite(content []byte, meta *typesv1.Site, mod int64) (*Site, error) {
	sum := sha256.Sum256(content)
	s := &Site{Message: &typesv1.Site{}, Content: content, Digest: sum[:], Revision: meta.GetRevision(), mod: mod}
	if err := proto.Unmarshal(content, s.Message); err != nil {
		return nil, err
	}
	s.Message.Revision = s.Revision
	s.Message.UpdateTime = meta.GetUpdateTime()
	s.Message.Etag = strconv.FormatInt(mod, 10)
	var err error
	s.Placement, err = site.ParseSelector(s.Message.GetPlacement().GetHosts().GetExpression())
	return s, err
}

func decodeNotice(kv *mvccpb.KeyValue) (*Notice, error) {
	n := &Notice{Message: &typesv1.OfflineNotice{}, mod: kv.ModRevision}
	if err := proto.Unmarshal(kv.Value, n.Message); err != nil {
		return nil, err
	}
	var err error
	if n.Content, err = deterministic.Marshal(noticeDocument(n.Message)); err != nil {
		return nil, err
	}
	sum := sha256.Sum256(n.Content)
	n.Digest = sum[:]
	n.hosts, err = site.ParseSelector(n.Message.GetHosts().GetExpression())
	return n, err
}

// noticeDocument leaves out what is for operators and the controller.
func noticeDocument(n *typesv1.OfflineNotice) *typesv1.NoticeDocument {
	d := &typesv1.NoticeDocument{
		Name:       n.GetName(),
		Sites:      n.GetSites(),
		RetryAfter: n.GetRetryAfter(),
		CreateTime: n.GetCreateTime(),
		ExpireTime: n.GetExpireTime(),
	}
	switch content := n.GetContent().(type) {
	case *typesv1.OfflineNotice_PageHtml:
		d.Content = &typesv1.NoticeDocument_PageHtml{PageHtml: content.PageHtml}
	case *typesv1.OfflineNotice_Message:
		d.Content = &typesv1.NoticeDocument_Message{Message: content.Message}
	}
	return d
}

func decodeIdentity(kv *mvccpb.KeyValue) (Identity, error) {
	certificate, err := x509.ParseCertificate(kv.Value)
	if err != nil {
		return Identity{}, err
	}
	return Identity{kv.Value, Digest(certificate.RawSubjectPublicKeyInfo), kv.ModRevision}, nil
}

func decodeConfirmation(kv *mvccpb.KeyValue) (*Confirmation, error) {
	m := &agentv1.Manifest{}
	if err := proto.Unmarshal(kv.Value, m); err != nil {
		return nil, err
	}
	c := &Confirmation{Revision: kv.ModRevision}
	for _, s := range m.GetSites() {
		c.Sites = append(c.Sites, s.GetName())
	}
	return c, nil
}

func number(kv *mvccpb.KeyValue, has bool) (int64, error) {
	if !has {
		return 0, nil
	}
	return strconv.ParseInt(string(kv.Value), 10, 64)
}
