package main

import (
	"bufio"
	"bytes"
	"fmt"
	"net"
	"strings"
	"sync"
	"time"
)

func run(be *backend, c *tcase) *result {
	r := &result{ID: c.ID, Group: c.Group}
	t0 := time.Now()
	be.begin(c)
	methods := c.Methods
	if methods == nil && len(c.Steps) > 0 && c.Steps[0].Send != nil {
		methods = []string{strings.SplitN(*c.Steps[0].Send, " ", 2)[0]}
	}
	conn, err := net.DialTimeout("tcp", *proxy, 2*time.Second)
	if err != nil {
		r.Unsafe = append(r.Unsafe, "proxy does not accept: "+err.Error())
		return r
	}
	var mu sync.Mutex
	var raw []byte
	closed := false
	last := time.Now()
	doneRead := make(chan struct{})
	go func() {
		b := make([]byte, 64<<10)
		for {
			n, err := conn.Read(b)
			mu.Lock()
			raw = append(raw, b[:n]...)
			last = time.Now()
			if err != nil {
				closed = true
				mu.Unlock()
				close(doneRead)
				return
			}
			mu.Unlock()
		}
	}()
	conn.SetWriteDeadline(time.Now().Add(5 * time.Second))
	for _, s := range c.Steps {
		var werr error
		switch {
		case s.Send != nil:
			_, werr = conn.Write(latin(*s.Send))
		case s.Repeat != "":
			_, werr = conn.Write(bytes.Repeat(latin(s.Repeat), s.Times))
		case s.WaitMS > 0:
			time.Sleep(time.Duration(s.WaitMS) * time.Millisecond)
		case s.CloseWrite:
			conn.(*net.TCPConn).CloseWrite()
		}
		if werr != nil {
			break
		}
	}
	mu.Lock()
	last = time.Now()
	mu.Unlock()
	expN := 1
	if c.MaxReqs != nil && *c.MaxReqs > 1 {
		expN = *c.MaxReqs
	}
	start := time.Now()
	for {
		mu.Lock()
		cl, lt := closed, last
		rr := append([]byte(nil), raw...)
		mu.Unlock()
		if cl || time.Since(lt) > *quiet || time.Since(start) > 6*time.Second {
			break
		}
		fin, _, rest, _ := parseResp(rr, methods, false)
		if len(fin) >= expN && len(rest) == 0 && fin[len(fin)-1].Full && time.Since(lt) > 90*time.Millisecond && c.Late == "" {
			if !c.Close || time.Since(lt) > 300*time.Millisecond {
				break
			}
		}
		select {
		case <-doneRead:
		case <-time.After(5 * time.Millisecond):
		}
	}
	// canaries: other clients must get their own answers
	for i := 0; i < 3; i++ {
		if bad := canary(fmt.Sprintf("/canary/%s/%d", c.ID, i)); bad != "" {
			if strings.HasPrefix(bad, "!") {
				r.Unsafe = append(r.Unsafe, "canary got another answer: "+bad[1:])
			} else {
				r.Notes = append(r.Notes, "canary: "+bad)
			}
		}
	}
	mu.Lock()
	fin, interim, rest, fl := parseResp(raw, methods, closed)
	r.Closed = closed
	mu.Unlock()
	conn.Close()
	time.Sleep(5 * time.Millisecond)
	var seen []*msg
	for _, m := range be.end() {
		if !m.Canary {
			seen = append(seen, m)
		}
	}
	r.Backend = seen
	for _, x := range fin {
		r.Status = append(r.Status, x.Status)
	}
	r.MS = time.Since(t0).Milliseconds()
	judge(c, r, fin, interim, rest, fl, seen)
	r.Safe, r.Conform = len(r.Unsafe) == 0, len(r.Unsafe) == 0 && len(r.Dev) == 0
	return r
}

// canary returns "" if all is well, "!..." if it got something that is not its own.
func canary(path string) string {
	c, err := net.DialTimeout("tcp", *proxy, 2*time.Second)
	if err != nil {
		return "dial: " + err.Error()
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(3 * time.Second))
	fmt.Fprintf(c, "GET %s HTTP/1.1\r\nHost: test.local\r\nConnection: close\r\n\r\n", path)
	var b bytes.Buffer
	br := bufio.NewReader(c)
	_, err = b.ReadFrom(br)
	fin, _, _, _ := parseResp(b.Bytes(), []string{"GET"}, true)
	if len(fin) == 0 {
		return fmt.Sprintf("no answer (%v)", err)
	}
	if fin[0].Status >= 500 {
		return fmt.Sprintf("status %d", fin[0].Status)
	}
	if fin[0].Status != 200 || fin[0].Body != "seen:"+path {
		return fmt.Sprintf("!%d %q", fin[0].Status, trunc([]byte(fin[0].Body), 60))
	}
	return ""
}
