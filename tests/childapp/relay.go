package main

import (
	"io"
	"net"
	"sync"
)

// relay copies bytes between every connection to 127.0.0.1:port and one of its own to address, in both directions, and
// passes each end of stream on as it comes.
func relay(port, address string) error {
	listener, err := net.Listen("tcp4", "127.0.0.1:"+port)
	if err != nil {
		return err
	}
	for {
		client, err := listener.Accept()
		if err != nil {
			return err
		}
		go func() {
			defer client.Close()
			server, err := net.Dial("tcp", address)
			if err != nil {
				return
			}
			defer server.Close()
			var both sync.WaitGroup
			both.Go(func() { pipe(server, client) })
			both.Go(func() { pipe(client, server) })
			both.Wait()
		}()
	}
}

func pipe(to, from net.Conn) {
	_, err := io.Copy(to, from)
	if err != nil {
		// A reset on one side is a reset on the other.
		_ = to.(*net.TCPConn).SetLinger(0)
		_ = to.Close()
		return
	}
	_ = to.(*net.TCPConn).CloseWrite()
}
