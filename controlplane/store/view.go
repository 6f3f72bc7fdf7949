package store

import (
	"crypto/sha256"
	"encoding/hex"
	"maps"
	"slices"
	"strings"

	"github.com/ancora-fleet/ancora/dataplane/site"
	controlv1 "github.com/ancora-fleet/ancora/proto/ancora/control/v1"
	typesv1 "github.com/ancora-fleet/ancora/proto/ancora/types/v1"
)

// View is the whole desired state at one revision. It is immutable, and so is everything it leads to.
type View struct {
	// Revision is etcd's at the newest change in here: the generation of a manifest built from it.
	Revision int64
	// StoreID was made once, when the store was made.
	StoreID string

	Sites   map[string]*Site   // by name
	Hosts   map[string]*Host   // by name
	Tokens  map[string]*Token  // by digest of the secret
	Notices map[string]*Notice // by name
	// Recycle holds epochs; read it through RecycleEpoch.
	Recycle map[Placed]int64
	// Confirmations holds what operators agreed to, by host; read it through Confirmed.
	Confirmations map[string]*Confirmation
	Identities    map[string]Identity // certificate given last, by host
	Revoked       map[string]string   // read it through IsRevoked
	Joins         map[Join]string     // -> host
	Operators     map[string]string   // digest of bearer token -> role
	Seen          map[string]bool     // hosts that have had a session

	topology int64
	counter  counter
	contents map[string][]byte // documents of sites
	mods     map[string]int64  // etcd's revisions of those
	metas    map[string]*typesv1.Site
	next     chan struct{}
}

type counter struct{ value, mod int64 }

// Site is what an operator configured.
type Site struct {
	// Message has the output-only fields set.
	Message *typesv1.Site
	// Content is the document as it is stored and sent; Digest its SHA-256.
	Content, Digest []byte
	// Revision grows by one with each change of Content.
	Revision int64
	// Placement picks hosts.
	Placement site.Selector

	mod int64
}

// Host is a machine that may have a session.
type Host struct {
	// Message has name, labels, create_time, etag.
	Message *typesv1.Host

	mod int64
}

// Token lets hosts join.
type Token struct {
	// Digest is the hexadecimal SHA-256 of its secret.
	Digest  string
	Message *controlv1.Token

	mod int64
}

// Notice takes sites out of service.
type Notice struct {
	Message *typesv1.OfflineNotice
	// Content is the document that agents are sent, an encoded types.v1.NoticeDocument; Digest its SHA-256.
	Content, Digest []byte

	hosts site.Selector // meaning only when Message.Hosts is set
	mod   int64
}

// Placed is a site on a host; without a host it is the site everywhere.
type Placed struct{ Site, Host string }

// Join is one use of a token by one key, both as hexadecimal SHA-256.
type Join struct{ Token, Key string }

// Identity is the certificate a host was given last.
type Identity struct {
	Certificate []byte // DER
	// Key is the digest of its public key.
	Key string

	mod int64
}

// Confirmation is an operator's word that a host may be left with no more than these sites.
type Confirmation struct {
	Revision int64 // etcd's
	Sites    []string
}

// Next is closed when a newer view has been published.
func (v *View) Next() <-chan struct{} { return v.next }

// SitesOn lists the sites placed on a host, by name; none for a host that does not exist.
func (v *View) SitesOn(host string) []*Site {
	h := v.Hosts[host]
	if h == nil {
		return nil
	}
	return v.SitesFor(h.Message.GetLabels())
}

// SitesFor lists the sites a host with these labels would run, by name.
func (v *View) SitesFor(labels map[string]string) []*Site {
	var sites []*Site
	for _, s := range v.Sites {
		if s.Placement.Matches(labels) {
			sites = append(sites, s)
		}
	}
	slices.SortFunc(sites, func(a, b *Site) int { return strings.Compare(a.Message.GetName(), b.Message.GetName()) })
	return sites
}

// HostsWith lists the hosts whose labels a selector matches, by name.
func (v *View) HostsWith(selector site.Selector) []*Host {
	var hosts []*Host
	for _, name := range slices.Sorted(maps.Keys(v.Hosts)) {
		if h := v.Hosts[name]; selector.Matches(h.Message.GetLabels()) {
			hosts = append(hosts, h)
		}
	}
	return hosts
}

// NoticesOn lists the notices that mean a host, by name; whether a site there is affected is for the host to say.
func (v *View) NoticesOn(host string) []*Notice {
	h := v.Hosts[host]
	if h == nil {
		return nil
	}
	var notices []*Notice
	for _, name := range slices.Sorted(maps.Keys(v.Notices)) {
		if n := v.Notices[name]; n.Means(h) {
			notices = append(notices, n)
		}
	}
	return notices
}

// HostsMeant lists the hosts a notice means, by name.
func (v *View) HostsMeant(n *Notice) []*Host {
	var hosts []*Host
	for _, name := range slices.Sorted(maps.Keys(v.Hosts)) {
		if h := v.Hosts[name]; n.Means(h) {
			hosts = append(hosts, h)
		}
	}
	return hosts
}

// Means says whether the notice is for this host.
func (n *Notice) Means(h *Host) bool {
	return n.Message.GetHosts() == nil || n.hosts.Matches(h.Message.GetLabels())
}

// RecycleEpoch is the number of times the instances of a site on a host were to be replaced; it only grows while the
// site exists.
func (v *View) RecycleEpoch(site, host string) int64 {
	return v.Recycle[Placed{Site: site}] + v.Recycle[Placed{site, host}]
}

// Confirmed says whether a manifest built from this view for a host carries operator_confirmed: an operator has agreed,
// after the manifest the host applied last, to what it takes away, and nothing more is taken away now. applied is that
// manifest's generation, 0 when there is none or it came from another store. A confirmation is used up once the host
// has applied a manifest that carried it.
func (v *View) Confirmed(host string, applied int64) bool {
	c := v.Confirmations[host]
	if c == nil || c.Revision <= applied {
		return false
	}
	placed := make(map[string]bool)
	for _, s := range v.SitesOn(host) {
		placed[s.Message.GetName()] = true
	}
	for _, name := range c.Sites {
		if !placed[name] {
			return false
		}
	}
	return true
}

// Asked is the generation from which on a host's manifests ask what this view does of a site: that of the newest change
// of the site, of the host, or of an operator's word for it.
func (v *View) Asked(site, host string) int64 {
	var asked int64
	if s := v.Sites[site]; s != nil {
		asked = s.mod
	}
	if h := v.Hosts[host]; h != nil {
		asked = max(asked, h.mod)
	}
	if c := v.Confirmations[host]; c != nil {
		asked = max(asked, c.Revision)
	}
	return asked
}

// IsRevoked says whether certificates of a host with this key, as digest, are no longer good.
func (v *View) IsRevoked(host, key string) bool {
	if _, revoked := v.Revoked[key]; revoked {
		return true
	}
	// A host whose key was not known when it was deleted: only a certificate given since then is good.
	_, revoked := v.Revoked[revokedHost(host)]
	return revoked && v.Identities[host].Key != key
}

// Name is the site's name.
func (s *Site) Name() string { return s.Message.GetName() }

// Name is the host's name.
func (h *Host) Name() string { return h.Message.GetName() }

// Labels are the host's labels.
func (h *Host) Labels() map[string]string { return h.Message.GetLabels() }

// Name is the notice's name.
func (n *Notice) Name() string { return n.Message.GetName() }

// Digest is how secrets and public keys appear in keys: hexadecimal SHA-256.
func Digest(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}
