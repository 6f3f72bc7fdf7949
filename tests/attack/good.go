package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

// goodAddress is where the good clients come from.
func goodAddress() net.IP { return net.IPv4(127, 0, 0, 99) }

// tally is what became of good requests.
type tally struct {
	mu       sync.Mutex
	times    []time.Duration
	failures map[string]int // by what was answered
}

func (t *tally) add(took time.Duration, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.times = append(t.times, took)
	if err != nil {
		if t.failures == nil {
			t.failures = map[string]int{}
		}
		t.failures[err.Error()]++
	}
}

// forget makes the next request the first one.
func (t *tally) forget() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.times, t.failures = nil, nil
}

func (t *tally) failed() (n int) {
	for _, count := range t.failures {
		n += count
	}
	return n
}

// p99 is the time within which 99 of 100 requests were over; none have been: 0.
func (t *tally) p99() time.Duration {
	if len(t.times) == 0 {
		return 0
	}
	slices.Sort(t.times)
	return t.times[(len(t.times)-1)*99/100].Round(100 * time.Microsecond)
}

// visitor is a good client with one connection at a time.
type visitor struct {
	url  string
	h2   bool
	anew bool          // a connection for each request
	gap  time.Duration // between the beginnings of two requests
}

// visit asks until ctx ends. What one request is late for does not move the next ones.
func (v visitor) visit(ctx context.Context, t *tally) {
	transport := &http.Transport{
		DialContext:       (&net.Dialer{LocalAddr: &net.TCPAddr{IP: goodAddress()}}).DialContext,
		DisableKeepAlives: v.anew,
		Protocols:         new(http.Protocols),
		TLSClientConfig:   &tls.Config{InsecureSkipVerify: true, ServerName: hostname}, // its certificate is of this run
	}
	transport.Protocols.SetHTTP1(!v.h2)
	transport.Protocols.SetHTTP2(v.h2)
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport, Timeout: 10 * time.Second}
	ticks := time.NewTicker(v.gap)
	defer ticks.Stop()
	for first := true; ; first = false {
		select {
		case <-ctx.Done():
			return
		case <-ticks.C:
		}
		began := time.Now()
		err := ask(client, v.url, v.h2)
		if !first || v.anew { // the connection of a kept one is not what is measured
			t.add(time.Since(began), err)
		}
	}
}

func ask(client *http.Client, url string, h2 bool) error {
	request, err := http.NewRequest("GET", url, nil)
	if err != nil {
		return err
	}
	request.Host = hostname
	answer, err := client.Do(request)
	if err != nil {
		var timeout interface{ Timeout() bool }
		if errors.As(err, &timeout) && timeout.Timeout() {
			return errors.New("no answer within 10 s")
		}
		return errors.Unwrap(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	switch {
	case err != nil:
		return err
	case answer.StatusCode != 200:
		_, text, _ := strings.Cut(string(body), "<p>")
		text, _, _ = strings.Cut(text, "</p>")
		return fmt.Errorf("%s %s", answer.Status, text)
	case (answer.ProtoMajor == 2) != h2:
		return errors.New(answer.Proto)
	}
	return nil
}
