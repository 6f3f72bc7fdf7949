// Package admin is the listener for those who look after this host: counters for Prometheus at /metrics, a word on health at
// /healthz, and on the socket at /explain what would become of a request. It is a socket in the run directory that only the agent's user may open and, where the policy says so, an address
// of the loopback interface. It never serves visitors.
package admin

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"path/filepath"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/ancora-fleet/ancora/dataplane"
	"github.com/ancora-fleet/ancora/dataplane/explain"
)

// SocketName is the name of the socket in the run directory.
const SocketName = "admin.sock"

// retry is how long to wait before a listener that cannot be had is tried again.
const retry = 5 * time.Second

// Config is for New.
type Config struct {
	// RunDir is where the socket is; it is made (0711) when missing.
	RunDir  string
	Version string
	// Counts gives what was counted.
	Counts func() []dataplane.SiteCounts
	// Explain says what would become of a request.
	Explain func(explain.Question) *explain.Trail
	Logger  hclog.Logger
}

// Server answers on the socket, and on an address if there is one.
type Server struct {
	config  Config
	log     hclog.Logger
	address chan string // the newest one that was set
}

// New makes a server that listens nowhere yet.
func New(config Config) *Server {
	if config.Logger == nil {
		config.Logger = hclog.NewNullLogger()
	}
	return &Server{config: config, log: config.Logger.Named("admin"), address: make(chan string, 1)}
}

// SetAddress says where to listen besides the socket, an address of the loopback interface; empty: nowhere. It may be called
// at any time, by one goroutine at a time.
func (s *Server) SetAddress(address string) {
	select {
	case <-s.address:
	default:
	}
	s.address <- address
}

// Run serves until ctx ends. A listener that cannot be had is tried again and never ends it: the host serves its visitors
// without being looked at.
func (s *Server) Run(ctx context.Context) error {
	handler, err := s.handler()
	if err != nil {
		return err
	}
	path := filepath.Join(s.config.RunDir, SocketName)
	socket := s.start(ctx, path, s.onSocket(handler), func() (net.Listener, error) { return listenSocket(path) })
	defer socket()
	tcp := func() {}
	defer func() { tcp() }()
	for current := ""; ; {
		select {
		case <-ctx.Done():
			return nil
		case address := <-s.address:
			if address == current {
				continue
			}
			tcp()
			tcp, current = func() {}, address
			if address != "" {
				tcp = s.start(ctx, address, onlyLocal(handler), func() (net.Listener, error) { return net.Listen("tcp", address) })
			}
		}
	}
}

func (s *Server) handler() (http.Handler, error) {
	registry := prometheus.NewRegistry()
	for _, c := range []prometheus.Collector{
		newCollector(s.config.Counts, s.config.Version), collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	} {
		if err := registry.Register(c); err != nil {
			return nil, err
		}
	}
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{ErrorLog: s.log.StandardLogger(nil)}))
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "ok\n") // a client that has left needs no word
	})
	return mux, nil
}

// start serves what listen gives, again after a failure, until ctx ends or stop is called, which waits.
func (s *Server) start(ctx context.Context, address string, handler http.Handler, listen func() (net.Listener, error)) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for said := ""; ctx.Err() == nil; {
			err := s.serve(ctx, handler, listen)
			if err != nil && err.Error() != said {
				said = err.Error()
				s.log.Warn("no admin listener", "address", address, "error", err)
			}
			select {
			case <-ctx.Done():
			case <-time.After(retry):
			}
		}
	}()
	return func() { cancel(); <-done }
}

func (s *Server) serve(ctx context.Context, handler http.Handler, listen func() (net.Listener, error)) error {
	listener, err := listen()
	if err != nil {
		return err
	}
	s.log.Info("admin listener", "address", listener.Addr())
	server := &http.Server{
		Handler: handler, ReadTimeout: 10 * time.Second, WriteTimeout: 30 * time.Second, IdleTimeout: time.Minute,
		MaxHeaderBytes: 16 << 10, ErrorLog: s.log.StandardLogger(&hclog.StandardLoggerOptions{ForceLevel: hclog.Debug}),
	}
	defer context.AfterFunc(ctx, func() { _ = server.Close() })()
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// onlyLocal refuses requests for any name but this machine's own: a page in a browser can make a foreign name point here.
func onlyLocal(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !isLocal(r.Host) {
			http.Error(w, "only for localhost", http.StatusMisdirectedRequest)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// isLocal says whether a Host field names the loopback interface: localhost or a literal address, with or without a port.
func isLocal(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	switch host {
	case "localhost", "127.0.0.1", "::1", "[::1]":
		return true
	}
	a, err := netip.ParseAddr(host)
	return err == nil && a.Is4() && a.IsLoopback()
}
