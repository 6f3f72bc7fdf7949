package app

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"

	"github.com/ancora-fleet/ancora/dataplane/forward"
)

// affinity is the cookie by which a visitor comes back to a slot. Name and values follow from site, application and slot alone, so
// they outlive every instance, the worker and the host; the name is one that no application has by chance.
type affinity struct {
	name   []byte
	values [][]byte // by slot, from 1
}

func newAffinity(site, application string, instances int) *affinity {
	digest := func(slot int) []byte {
		sum := sha256.Sum256(fmt.Appendf(nil, "ancora affinity\x00%s\x00%s\x00%d", site, application, slot))
		return []byte(hex.EncodeToString(sum[:8]))
	}
	a := &affinity{name: append([]byte("ancora-affinity-"), digest(0)...)}
	for slot := 1; slot <= instances; slot++ {
		a.values = append(a.values, digest(slot))
	}
	return a
}

// wanted gives the slot that a request's cookie names; 0: none that there is.
func (a *affinity) wanted(r *forward.Request) uint32 {
	if a == nil {
		return 0
	}
	for _, f := range r.Fields {
		if !bytes.EqualFold(f.Name, []byte("Cookie")) {
			continue
		}
		for rest := f.Value; len(rest) > 0; {
			var pair []byte
			pair, rest, _ = bytes.Cut(rest, []byte(";"))
			name, value, _ := bytes.Cut(bytes.TrimSpace(pair), []byte("="))
			if !bytes.Equal(name, a.name) {
				continue
			}
			for n, known := range a.values {
				if bytes.Equal(value, known) {
					return uint32(n + 1)
				}
			}
		}
	}
	return 0
}

// cookie gives the Set-Cookie for a slot.
func (a *affinity) cookie(slot uint32, secure bool) string {
	if a == nil || slot == 0 || int(slot) > len(a.values) {
		return ""
	}
	text := fmt.Sprintf("%s=%s; Path=/; HttpOnly; SameSite=Lax", a.name, a.values[slot-1])
	if secure {
		text += "; Secure"
	}
	return text
}
