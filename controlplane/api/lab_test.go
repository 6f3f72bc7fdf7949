package api_test

import (
	"context"
	"net"
	"slices"
	"strings"
	"testing"

	"github.com/hashicorp/go-hclog"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/ancora-fleet/ancora/controlplane/api"
	"github.com/ancora-fleet/ancora/controlplane/pki"
	"github.com/ancora-fleet/ancora/controlplane/store"
	"github.com/ancora-fleet/ancora/controlplane/store/storetest"
	controlv1 "github.com/ancora-fleet/ancora/proto/ancora/control/v1"
	typesv1 "github.com/ancora-fleet/ancora/proto/ancora/types/v1"
	"github.com/ancora-fleet/ancora/proto/transport"
)

// lab serves the operators' services over TLS on loopback, on a real store, without asking who calls.
type lab struct {
	*testing.T
	store     *store.Store
	sites     controlv1.SiteServiceClient
	hosts     controlv1.HostServiceClient
	tokens    controlv1.TokenServiceClient
	instances controlv1.InstanceServiceClient
	offline   controlv1.OfflineServiceClient
	logs      controlv1.LogServiceClient
}

// echo answers log requests with one word about the host "asked".
type echo struct{}

func (echo) Stream(_ context.Context, _ *controlv1.StreamLogsRequest, send func(*controlv1.StreamLogsResponse) error) error {
	return send(&controlv1.StreamLogsResponse{Message: &controlv1.StreamLogsResponse_Host{Host: &controlv1.LogHost{Host: "asked"}}})
}

func newLab(t *testing.T) *lab {
	t.Helper()
	authority := storetest.Authority(t)
	s, _ := storetest.Start(t, t.TempDir(), authority)
	logger := hclog.NewNullLogger()
	server := grpc.NewServer(slices.Concat(
		transport.OperatorServerOptions(transport.OperatorServer(pki.NewServer(authority).Certificate)),
		api.Errors(logger),
	)...)
	api.Register(server, api.Config{Store: s, Tokens: authority, Logs: echo{}, Logger: logger})
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go server.Serve(listener)
	t.Cleanup(server.Stop)
	conn, err := grpc.NewClient(listener.Addr().String(), transport.DialOptions(transport.Pinned(authority.Digest()))...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return &lab{
		T: t, store: s,
		sites:     controlv1.NewSiteServiceClient(conn),
		hosts:     controlv1.NewHostServiceClient(conn),
		tokens:    controlv1.NewTokenServiceClient(conn),
		instances: controlv1.NewInstanceServiceClient(conn),
		offline:   controlv1.NewOfflineServiceClient(conn),
		logs:      controlv1.NewLogServiceClient(conn),
	}
}

// siteMessage is a good site, placed by a selector.
func siteMessage(name, hosts string) *typesv1.Site {
	return &typesv1.Site{
		Name:         name,
		Placement:    &typesv1.Placement{Hosts: &typesv1.Selector{Expression: hosts}},
		Bindings:     []*typesv1.Binding{{Listener: "http", Hostnames: []string{name + ".example.org"}}},
		Applications: []*typesv1.Application{{Path: "/", Root: "/srv/" + name}},
	}
}

func (l *lab) apply(request *controlv1.UpdateSiteRequest) *controlv1.UpdateSiteResponse {
	l.Helper()
	request.AllowMissing = true
	answer, err := l.sites.UpdateSite(l.Context(), request)
	if err != nil {
		l.Fatal(err)
	}
	return answer
}

func (l *lab) host(name, role string) {
	l.Helper()
	request := &controlv1.CreateHostRequest{Name: name, Labels: map[string]string{"role": role}}
	if _, err := l.hosts.CreateHost(l.Context(), request); err != nil {
		l.Fatal(err)
	}
}

// refused checks an error's code and that its text has all parts.
func (l *lab) refused(err error, code codes.Code, parts ...string) {
	l.Helper()
	if status.Code(err) != code {
		l.Errorf("%v, want %s", err, code)
	}
	for _, part := range parts {
		if err != nil && !strings.Contains(err.Error(), part) {
			l.Errorf("%v does not say %q", err, part)
		}
	}
}

// fields lists the fields of an error's violations, in order.
func fields(err error) []string {
	var fields []string
	for _, detail := range status.Convert(err).Details() {
		if bad, ok := detail.(*errdetails.BadRequest); ok {
			for _, v := range bad.GetFieldViolations() {
				fields = append(fields, v.GetField())
			}
		}
	}
	return fields
}

// ended checks that a stream has ended well.
func ended[T any](t *testing.T, stream grpc.ServerStreamingClient[T]) {
	t.Helper()
	if message, err := stream.Recv(); err == nil {
		t.Errorf("the stream goes on: %v", message)
	}
}
