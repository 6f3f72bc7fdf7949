package socket

import "sync"

// Pool hands out buffers of one size. The zero value is not usable, see NewPool.
//
// A buffer is held only between "something can be read" and "it has been passed on", so each processor keeps using the
// same few, which stay in its cache.
type Pool struct{ free sync.Pool }

// NewPool makes a pool of buffers of size bytes.
func NewPool(size int) *Pool {
	return &Pool{sync.Pool{New: func() any { b := make([]byte, size); return &b }}}
}

// Get takes a buffer of the pool's size.
func (p *Pool) Get() *[]byte { return p.free.Get().(*[]byte) }

// Put gives a buffer back; nil is ignored.
func (p *Pool) Put(b *[]byte) {
	if b != nil {
		p.free.Put(b)
	}
}
