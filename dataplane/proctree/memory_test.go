package proctree

import (
	"os"
	"testing"
)

// What the kernel could drop is not private; what it has swapped out is.
func TestPrivateMemory(t *testing.T) {
	const status = "Name:\tRssAnon: 7\nVmRSS:\t   50000 kB\nRssAnon:\t   30000 kB\nRssFile:\t   19000 kB\nRssShmem:\t    1000 kB\nVmSwap:\t     500 kB\n"
	if got := privateMemory([]byte(status)); got != 30500<<10 {
		t.Errorf("%d bytes", got)
	}
	if got := privateMemory([]byte("RssAnon:\n\nVmSwap: x kB\nRssAnon")); got != 0 {
		t.Errorf("%d bytes", got)
	}
	before := PrivateMemory(os.Getpid())
	block := make([]byte, 64<<20)
	for i := 0; i < len(block); i += 4096 {
		block[i] = 1
	}
	if grown := PrivateMemory(os.Getpid()) - before; grown < 32<<20 || block[0] == 0 {
		t.Errorf("grown by %d bytes", grown)
	}
	if got := PrivateMemory(1 << 30); got != 0 {
		t.Errorf("%d bytes of nobody", got)
	}
}
