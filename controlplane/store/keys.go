package store

import "strings"

// prefix is the only part of etcd that is ours. Below it a key is kind/name or kind/name/name; no name has a slash.
const prefix = "/ancora/v1/"

// The kinds of keys, and what their values are.
const (
	kindStore    = "store"     // id: the store's id
	kindTopology = "topology"  // written whenever what a placement means may change; guards what was computed from it
	kindCounter  = "counter"   // notice: the last number given, decimal
	kindSite     = "site"      // site: its document, exactly the bytes that are sent
	kindSiteMeta = "site-meta" // site: types.v1.Site with revision and update_time; stays when the site goes, so revisions only grow
	kindRecycle  = "recycle"   // site, or site/host: recycle epoch, decimal
	kindHost     = "host"      // host: types.v1.Host with name, labels, create_time
	kindSeen     = "seen"      // host: empty; it has had a session
	kindIdentity = "identity"  // host: DER of the certificate given last
	kindRevoked  = "revoked"   // digest of a public key: the host it was of
	kindConfirm  = "confirm"   // host: agent.v1.Manifest with the names of the sites an operator agreed to leave it
	kindToken    = "token"     // digest of a secret: control.v1.Token
	kindJoin     = "join"      // digest of a secret/digest of a public key: the host they made
	kindNotice   = "notice"    // notice: types.v1.OfflineNotice
	kindOperator = "operator"  // digest of a bearer token: role
)

func key(kind string, names ...string) string {
	return prefix + kind + "/" + strings.Join(names, "/")
}

// splitKey undoes key; the second name is empty where there is one.
func splitKey(k string) (kind, first, second string) {
	kind, rest, _ := strings.Cut(strings.TrimPrefix(k, prefix), "/")
	first, second, _ = strings.Cut(rest, "/")
	return kind, first, second
}
