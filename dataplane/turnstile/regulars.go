package turnstile

import (
	"hash/maphash"
	"net/netip"
	"sync/atomic"
)

// regulars remembers which clients have taken a whole answer: some thousand of them, each until another one falls on its
// slot. Nobody is taken for one by chance more often than once in 2^52.
type regulars struct {
	seed  maphash.Seed
	slots [4096]atomic.Uint64 // hash of the client
}

func (r *regulars) slot(client netip.Addr) (*atomic.Uint64, uint64) {
	address := client.As16()
	hash := maphash.Bytes(r.seed, address[:])
	return &r.slots[hash%uint64(len(r.slots))], hash
}

func (r *regulars) add(client netip.Addr) {
	if slot, hash := r.slot(client); slot.Load() != hash { // most are there already, and a store costs all processors something
		slot.Store(hash)
	}
}

func (r *regulars) has(client netip.Addr) bool {
	slot, hash := r.slot(client)
	return slot.Load() == hash
}
