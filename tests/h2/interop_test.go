//go:build interop

package h2

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/interop/grpc_testing"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/ancora-fleet/ancora/dataplane/upstream"
)

// TestInterop runs the cases of gRPC's interop client, which `make interop` installs and names in GRPC_INTEROP, through the
// listener to a gRPC server. It is built only there, so that nothing is skipped elsewhere.
func TestInterop(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer()
	grpc_testing.RegisterTestServiceServer(server, service{})
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(ln) }()
	t.Cleanup(func() {
		server.Stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	address, _ := proxyTo(t, ln.Addr().String(), upstream.Options{H2C: true})
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{
		"empty_unary", "large_unary", "client_streaming", "server_streaming", "ping_pong", "empty_stream", "timeout_on_sleeping_server",
		"cancel_after_begin", "cancel_after_first_response", "custom_metadata", "status_code_and_message", "special_status_message",
		"unimplemented_method", "unimplemented_service",
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 3*patience)
			defer cancel()
			if out, err := exec.CommandContext(ctx, os.Getenv("GRPC_INTEROP"), "-server_host", host, "-server_port", port, "-test_case", name).CombinedOutput(); err != nil {
				t.Errorf("%v\n%s", err, out)
			}
		})
	}
}

// service is what the description of the interop cases asks of a server.
type service struct {
	grpc_testing.UnimplementedTestServiceServer
}

func (service) EmptyCall(context.Context, *grpc_testing.Empty) (*grpc_testing.Empty, error) {
	return new(grpc_testing.Empty), nil
}

func (service) UnaryCall(ctx context.Context, in *grpc_testing.SimpleRequest) (*grpc_testing.SimpleResponse, error) {
	initial, trailing := echoed(ctx)
	if err := errors.Join(grpc.SetHeader(ctx, initial), grpc.SetTrailer(ctx, trailing)); err != nil {
		return nil, err
	}
	if err := wanted(in.GetResponseStatus()); err != nil {
		return nil, err
	}
	return &grpc_testing.SimpleResponse{Payload: payload(in.GetResponseSize())}, nil
}

func (service) StreamingOutputCall(in *grpc_testing.StreamingOutputCallRequest, stream grpc_testing.TestService_StreamingOutputCallServer) error {
	return send(in, stream)
}

func (service) StreamingInputCall(stream grpc_testing.TestService_StreamingInputCallServer) error {
	for sum := 0; ; {
		in, err := stream.Recv()
		if err == io.EOF {
			return stream.SendAndClose(&grpc_testing.StreamingInputCallResponse{AggregatedPayloadSize: int32(sum)})
		}
		if err != nil {
			return err
		}
		sum += len(in.GetPayload().GetBody())
	}
}

func (service) FullDuplexCall(stream grpc_testing.TestService_FullDuplexCallServer) error {
	initial, trailing := echoed(stream.Context())
	if err := stream.SetHeader(initial); err != nil {
		return err
	}
	stream.SetTrailer(trailing)
	for {
		in, err := stream.Recv()
		if err == io.EOF {
			return nil
		}
		if err == nil {
			err = wanted(in.GetResponseStatus())
		}
		if err == nil {
			err = send(in, stream)
		}
		if err != nil {
			return err
		}
	}
}

func send(in *grpc_testing.StreamingOutputCallRequest, stream grpc.ServerStreamingServer[grpc_testing.StreamingOutputCallResponse]) error {
	for _, p := range in.GetResponseParameters() {
		select {
		case <-time.After(time.Duration(p.GetIntervalUs()) * time.Microsecond):
		case <-stream.Context().Done():
			return stream.Context().Err()
		}
		if err := stream.Send(&grpc_testing.StreamingOutputCallResponse{Payload: payload(p.GetSize())}); err != nil {
			return err
		}
	}
	return nil
}

// echoed gives the metadata that the client wants back, before and behind the answer.
func echoed(ctx context.Context) (initial, trailing metadata.MD) {
	const first, last = "x-grpc-test-echo-initial", "x-grpc-test-echo-trailing-bin"
	in, _ := metadata.FromIncomingContext(ctx)
	initial, trailing = metadata.MD{}, metadata.MD{}
	initial.Append(first, in.Get(first)...)
	trailing.Append(last, in.Get(last)...)
	return initial, trailing
}

func wanted(s *grpc_testing.EchoStatus) error {
	return status.Error(codes.Code(s.GetCode()), s.GetMessage()) // nil for code 0
}

func payload(size int32) *grpc_testing.Payload {
	return &grpc_testing.Payload{Body: make([]byte, size)}
}
