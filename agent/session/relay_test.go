package session_test

import (
	"io"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	agentv1 "github.com/ancora-fleet/ancora/proto/ancora/agent/v1"
)

func welcome(lease, beat time.Duration, controllers ...string) *agentv1.SessionResponse {
	return &agentv1.SessionResponse{Message: &agentv1.SessionResponse_Welcome{Welcome: &agentv1.Welcome{
		LeaseDuration: durationpb.New(lease), HeartbeatInterval: durationpb.New(beat), Controllers: controllers,
	}}}
}

// front is a second address of a controller.
type front struct {
	addr  string
	taken atomic.Int64
}

func relay(t *testing.T, to string) *front {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	f := &front{addr: listener.Addr().String()}
	go func() {
		for {
			in, err := listener.Accept()
			if err != nil {
				return
			}
			f.taken.Add(1)
			out, err := net.Dial("tcp", to)
			if err != nil {
				in.Close()
				continue
			}
			go func() { _, _ = io.Copy(out, in); out.Close() }()
			go func() { _, _ = io.Copy(in, out); in.Close() }()
		}
	}()
	return f
}
