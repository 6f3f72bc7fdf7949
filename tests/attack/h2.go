package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/ancora-fleet/ancora/tests/lab"
)

const (
	floodConnections = 4
	stallConnections = 16
	stallStreams     = 128 // a connection may have no more at once
	stallName        = "window stall"

	pace       = 8 * time.Millisecond // between two requests of a good client
	leastAsked = 500

	wantFactor = 2
	wantMore   = 25 * time.Millisecond
	idleAfter  = 2 * time.Second
	wantIdle   = 30 * time.Millisecond // of CPU time in a second
)

func h2Attacks() (names []string) {
	for _, flood := range lab.Floods() {
		names = append(names, flood.Name)
	}
	return append(names, stallName)
}

// measureH2 compares what another client sees without and during the attack, and looks at what is left afterwards.
func measureH2(a *agent, attack *attack) ([]figure, error) {
	before := a.memory()
	kinds := [2]string{"HTTP/1.1", "HTTP/2"}
	visitAll := func(during func() error) (tallies *[2]tally, err error) {
		tallies = new([2]tally)
		ctx, cancel := context.WithCancel(context.Background())
		var visitors sync.WaitGroup
		for i := range kinds {
			v := visitor{url: "https://" + a.tls + "/pid", h2: i == 1, gap: pace}
			visitors.Go(func() { v.visit(ctx, &tallies[i]) })
		}
		err = during()
		cancel()
		visitors.Wait()
		return tallies, err
	}
	calm, err := visitAll(func() error { time.Sleep(attack.length); return nil })
	if err != nil {
		return nil, err
	}
	most, said := a.watch(), ""
	bad, err := visitAll(func() (err error) {
		said, err = assault(attack.name, a.tls, attack.length, true)
		return err
	})
	peak := most()
	if err != nil {
		return nil, err
	}
	time.Sleep(idleAfter)
	from := a.used()
	time.Sleep(time.Second)
	spent := a.used() - from
	var figures []figure
	for i, kind := range kinds {
		without, during := calm[i].p99(), bad[i].p99()
		limit := max(wantFactor*without, without+wantMore)
		figures = append(figures, figure{"p99 of another client, " + kind, fmt.Sprintf("%v, without %v", during, without),
			"< " + limit.String(), during < limit})
		asked, failed := len(bad[i].times), bad[i].failed()
		wanted := int(leastAsked * min(attack.length, floodLength) / floodLength)
		figures = append(figures, figure{"its requests, " + kind, fmt.Sprintf("%d of %d served %v", asked-failed, asked, bad[i].failures),
			fmt.Sprintf("all of >= %d", wanted), failed == 0 && asked >= wanted})
	}
	after := figure{"CPU of the third second after", spent.Round(100 * time.Microsecond).String(), "< " + wantIdle.String(), spent < wantIdle}
	mib := memory("memory, at most", peak, wantMemory)
	mib.got += fmt.Sprintf(" (before %d, after %d); %s", before>>20, a.memory()>>20, said)
	return append(figures, after, mib), nil
}

// attackH2 is the attacker's side. Each connection is followed by another one as soon as it is closed.
func attackH2(ctx context.Context, name, address string) error {
	var attackers sync.WaitGroup
	var cut, sent atomic.Int64
	hold := func(connections int, with func(n int, c net.Conn)) {
		for n := range connections {
			attackers.Go(func() {
				for ctx.Err() == nil {
					c, err := dialH2(ctx, address)
					if err != nil {
						lab.Wait(ctx, 10*time.Millisecond)
						continue
					}
					end := context.AfterFunc(ctx, func() { c.Close() })
					with(n, c)
					if end() {
						cut.Add(1)
						c.Close()
					}
				}
			})
		}
	}
	if name == stallName {
		hold(stallConnections, func(n int, c net.Conn) { stall(ctx, c, uint32(n%2)) })
	}
	for _, flood := range lab.Floods() {
		if flood.Name == name {
			hold(floodConnections, func(_ int, c net.Conn) {
				next := flood.Pieces("https", hostname, "/bytes?n=100000")
				for {
					n, err := c.Write(next())
					if sent.Add(int64(n)); err != nil {
						return
					}
				}
			})
		}
	}
	attackers.Wait()
	fmt.Printf("%d MiB sent, %d connections cut\n", sent.Load()>>20, cut.Load())
	return nil
}

func dialH2(ctx context.Context, address string) (net.Conn, error) {
	d := tls.Dialer{
		NetDialer: &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 1, 0, 1)}, Timeout: 5 * time.Second},
		Config:    &tls.Config{InsecureSkipVerify: true, ServerName: hostname, NextProtos: []string{"h2"}},
	}
	c, err := d.DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	if _, err := io.WriteString(c, http2.ClientPreface); err != nil {
		c.Close()
		return nil, err
	}
	if err := http2.NewFramer(c, nil).WriteSettings(); err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

// stall asks for long answers on as many streams as there may be, with a window of no bytes or of one, which is opened by one
// more each second. A stream that is reset is followed by another one.
func stall(ctx context.Context, c net.Conn, window uint32) {
	var mu sync.Mutex
	var block bytes.Buffer
	enc := hpack.NewEncoder(&block)
	f := http2.NewFramer(c, c)
	_ = f.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: window})
	next, open := uint32(1), map[uint32]bool{}
	ask := func() error { // the lock is held
		block.Reset()
		for _, field := range [][2]string{{":method", "GET"}, {":scheme", "https"}, {":authority", hostname}, {":path", "/bytes?n=10000000"}} {
			enc.WriteField(hpack.HeaderField{Name: field[0], Value: field[1]})
		}
		err := f.WriteHeaders(http2.HeadersFrameParam{StreamID: next, BlockFragment: block.Bytes(), EndStream: true, EndHeaders: true})
		open[next] = true
		next += 2
		return err
	}
	mu.Lock()
	for range stallStreams {
		_ = ask() // reading will tell
	}
	mu.Unlock()
	over := make(chan struct{})
	defer close(over)
	if window > 0 {
		go func() {
			for lab.Wait(ctx, time.Second) {
				select {
				case <-over:
					return
				default:
				}
				mu.Lock()
				for id := range open {
					_ = f.WriteWindowUpdate(id, 1)
				}
				mu.Unlock()
			}
		}()
	}
	for {
		frame, err := f.ReadFrame()
		if err != nil {
			return
		}
		mu.Lock()
		switch frame := frame.(type) {
		case *http2.SettingsFrame:
			if !frame.IsAck() {
				_ = f.WriteSettingsAck()
			}
		case *http2.PingFrame:
			if !frame.IsAck() {
				_ = f.WritePing(true, frame.Data)
			}
		case *http2.RSTStreamFrame:
			delete(open, frame.StreamID)
			_ = ask()
		}
		mu.Unlock()
	}
}
