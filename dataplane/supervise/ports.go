package supervise

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"sync"
	"time"
)

const (
	firstPort = 10000
	lastPort  = 32767
	// reserved is how long a drawn port is not drawn again: its process has to come up first.
	reserved = 2 * time.Minute
)

// Ports draws the ports of instances: below the ephemeral range, where an outgoing connection could hold one (LCH-17).
type Ports struct {
	mu    sync.Mutex
	drawn map[uint16]time.Time
}

// NewPorts makes an empty one; all pools of an agent share it.
func NewPorts() *Ports { return &Ports{drawn: map[uint16]time.Time{}} }

// Draw gives a port that nobody listens on.
func (p *Ports) Draw() (uint16, error) {
	low, high := ephemeral()
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	for range 200 {
		port := uint16(firstPort + rand.IntN(lastPort-firstPort+1))
		if int(port) >= low && int(port) <= high || now.Before(p.drawn[port]) {
			continue
		}
		l, err := net.Listen("tcp", fmt.Sprintf(":%d", port))
		if err != nil {
			continue
		}
		_ = l.Close()
		p.drawn[port] = now.Add(reserved)
		return port, nil
	}
	return 0, errors.New("supervise: no free port between 10000 and 32767")
}

// ephemeral is the range from which the kernel takes ports for outgoing connections.
func ephemeral() (low, high int) {
	data, err := os.ReadFile("/proc/sys/net/ipv4/ip_local_port_range")
	if err == nil {
		_, err = fmt.Sscan(string(data), &low, &high)
	}
	if err != nil || low <= firstPort {
		return 32768, 60999
	}
	return low, high
}
