package dataplane

import (
	"bytes"
	"net"

	"github.com/ancora-fleet/ancora/dataplane/forward"
)

// challenge is where a certificate authority looks for proofs (RFC 8555 8.3). It asks without TLS, and what is not served so
// would keep a site from its first certificate.
const challenge = "/.well-known/acme-challenge/"

// redirectDoor sends visitors to the same host and path over TLS. The host is one that the site is for. Who has come over TLS to
// a trusted proxy, as that says, is where he is sent already: he would be sent there without end.
type redirectDoor struct {
	*watchedDoor
	port string // empty for 443
}

// Serve implements forward.Door.
func (d *redirectDoor) Serve(r *forward.Request, w forward.ResponseWriter) {
	status, location := d.target(r)
	if status == 0 {
		d.watchedDoor.Serve(r, w)
		return
	}
	// A client that is gone needs no answer.
	_ = w.Head(status, []forward.Field{{Name: []byte("Location"), Value: location}}, 0)
}

// target says where a request is sent; status 0: nowhere, the application answers.
func (d *redirectDoor) target(r *forward.Request) (status int, location []byte) {
	if r.Secure || bytes.HasPrefix(r.Path, []byte(challenge)) {
		return 0, nil
	}
	status = 308
	if m := string(r.Method); m == "GET" || m == "HEAD" {
		status = 301
	}
	location = append([]byte("https://"), withoutPort(r.Host)...)
	if d.port != "" {
		location = append(append(location, ':'), d.port...)
	}
	return status, append(append(location, r.Path...), r.Query...)
}

func withoutPort(host []byte) []byte {
	if i := bytes.LastIndexByte(host, ':'); i >= 0 && bytes.IndexByte(host[i:], ']') < 0 {
		return host[:i]
	}
	return host
}

// portOf is the port of an address as it stands in a URL of https.
func portOf(address string) string {
	_, port, err := net.SplitHostPort(address)
	if err != nil || port == "443" {
		return ""
	}
	return port
}
