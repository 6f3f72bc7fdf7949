package main

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"
)

// playIdle opens many connections, makes one request on each, waits, and divides what the processes have grown by.
func (b *bench) playIdle(w *workload, able []*contender) error {
	wait := 30 * time.Second
	if b.quick {
		wait = 5 * time.Second
	}
	for _, c := range able {
		pids := family(c.cmd.Process.Pid)
		before, err := resident(pids...)
		if err != nil {
			return err
		}
		conns, err := openIdle(c.address(w), w)
		if err == nil {
			time.Sleep(wait)
			var after int64
			if after, err = resident(pids...); err == nil {
				fmt.Printf("%-14s %-8s %5.1f KB resident for each of %d idle connections after %v\n", w.name, c.name, float64(after-before)/1024/float64(w.conns), w.conns, wait)
			}
		}
		for _, nc := range conns {
			_ = nc.Close()
		}
		if err != nil {
			return fmt.Errorf("%s: %w", c.name, err)
		}
	}
	fmt.Println()
	return nil
}

func openIdle(address string, w *workload) (conns []net.Conn, err error) {
	for range w.conns {
		var nc net.Conn
		if nc, err = net.Dial("tcp", address); err != nil {
			return conns, err
		}
		if w.scheme == "https" {
			nc = tls.Client(nc, &tls.Config{ServerName: hostname, InsecureSkipVerify: true}) // the certificate is our own
		}
		conns = append(conns, nc)
		if _, err = io.WriteString(nc, "GET "+w.path+" HTTP/1.1\r\nHost: "+hostname+"\r\n\r\n"); err != nil {
			return conns, err
		}
		answer, err := http.ReadResponse(bufio.NewReaderSize(nc, 2048), nil)
		if err != nil {
			return conns, err
		}
		if _, err = io.Copy(io.Discard, answer.Body); err != nil {
			return conns, err
		}
	}
	return conns, nil
}
