package pki

import (
	"context"
	"net"
	"sync"
	"time"

	"google.golang.org/grpc/peer"
)

const (
	maxGuesses  = 10 // unknown tokens from one address within guessWindow
	guessWindow = time.Minute
	maxSources  = 10_000
)

// guesses counts unknown tokens by where they come from. Nobody guesses 256 bits; this keeps who tries off the log.
type guesses struct {
	mu      sync.Mutex
	sources map[string]guessed
}

type guessed struct {
	count int
	since time.Time
}

func (g *guesses) allowed(source string, now time.Time) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	seen := g.sources[source]
	return seen.count < maxGuesses || now.Sub(seen.since) >= guessWindow
}

func (g *guesses) count(source string, now time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.sources == nil || len(g.sources) >= maxSources {
		g.sources = make(map[string]guessed)
	}
	seen := g.sources[source]
	if now.Sub(seen.since) >= guessWindow {
		seen = guessed{since: now}
	}
	seen.count++
	g.sources[source] = seen
}

// source is the address a call comes from, without its port.
func source(ctx context.Context) string {
	p, ok := peer.FromContext(ctx)
	if !ok || p.Addr == nil {
		return ""
	}
	host, _, err := net.SplitHostPort(p.Addr.String())
	if err != nil {
		return p.Addr.String()
	}
	return host
}
