package pki

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"strings"

	"github.com/ancora-fleet/ancora/controlplane/store"
)

// tokenPrefix makes a join token known for what it is, for people and for scanners of secrets.
const tokenPrefix = "ancora-join."

const secretBytes = 32

// NewSecret makes a secret of 256 random bits, in base64url without padding.
func NewSecret() string {
	secret := make([]byte, secretBytes)
	rand.Read(secret) // never fails
	return base64.RawURLEncoding.EncodeToString(secret)
}

// JoinToken is what an operator carries to a host: the secret, and the CA that the host may show it to.
func (a *Authority) JoinToken(secret string) string {
	return tokenPrefix + secret + "." + hex.EncodeToString(a.Digest())
}

// secretDigest is how the store knows the secret of a join token. A whole token is taken for its secret: hosts are told
// to send only that, but losing the pin here is no loss.
func secretDigest(token string) string {
	secret := token
	if rest, ok := strings.CutPrefix(token, tokenPrefix); ok {
		secret, _, _ = strings.Cut(rest, ".")
	}
	return store.Digest([]byte(secret))
}
