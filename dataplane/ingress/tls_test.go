package ingress

import (
	"bufio"
	"crypto/tls"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ancora-fleet/ancora/dataplane/forward"
	"github.com/ancora-fleet/ancora/dataplane/secure"
	"github.com/ancora-fleet/ancora/dataplane/secure/securetest"
)

// tellTLS tells what is known of the connection.
func tellTLS(r *forward.Request, w forward.ResponseWriter) {
	text := fmt.Sprintf("%s secure=%v cert=%s", r.Host, r.Secure, r.ClientCertificate)
	w.Head(200, nil, int64(len(text)))
	w.Write([]byte(text))
}

// shops has bindings for a name, one with two kinds of keys, a pattern, and names that ask for certificates of clients.
type shops struct {
	*server
	ca    *securetest.Authority
	table atomic.Pointer[secure.Table]
	own   map[string]*secure.Binding
}

func startTLS(t *testing.T, d forward.Door, opt Options, more ...secure.Entry) *shops {
	s := &shops{ca: securetest.NewAuthority(t), own: map[string]*secure.Binding{}}
	const life = time.Hour
	for name, c := range map[string]secure.Config{
		"a.test":    {Identity: "a", Certificates: []tls.Certificate{s.ca.Issue(life, "a.test"), s.ca.IssueRSA(life, "a.test")}},
		"www.test":  {Identity: "a", Certificates: []tls.Certificate{s.ca.Issue(life, "a.test", "www.test")}},
		"*.b.test":  {Identity: "b", Certificates: []tls.Certificate{s.ca.Issue(life, "*.b.test")}},
		"must.test": {Identity: "must", Certificates: []tls.Certificate{s.ca.Issue(life, "must.test")}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: s.ca.Pool()},
		"may.test":  {Identity: "may", Certificates: []tls.Certificate{s.ca.Issue(life, "may.test")}, ClientAuth: tls.VerifyClientCertIfGiven, ClientCAs: s.ca.Pool()},
	} {
		s.own[name] = secure.NewBinding(c)
		more = append(more, secure.Entry{Hostname: name, Binding: s.own[name]})
	}
	s.table.Store(secure.New(more))
	opt.TLS = &s.table
	s.server = start(t, d, opt)
	return s
}

func (s *shops) dial(name string, c *tls.Config) (*tls.Conn, error) {
	c.ServerName, c.RootCAs = name, s.ca.Pool()
	if name == "" {
		c.InsecureSkipVerify = true
	}
	d := tls.Dialer{NetDialer: &net.Dialer{Timeout: 5 * time.Second}, Config: c}
	nc, err := d.Dial("tcp", s.addr)
	if err != nil {
		return nil, err
	}
	tc := nc.(*tls.Conn)
	_ = tc.SetDeadline(time.Now().Add(10 * time.Second))
	return tc, nil
}

// askTLS sends one request on a connection.
func askTLS(t *testing.T, tc net.Conn, host, fields string) (int, string) {
	t.Helper()
	if _, err := fmt.Fprintf(tc, "GET / HTTP/1.1\r\nHost: %s\r\n%s\r\n", host, fields); err != nil {
		t.Fatal(err)
	}
	a, err := http.ReadResponse(bufio.NewReader(tc), nil)
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(a.Body)
	if err != nil {
		t.Fatal(err)
	}
	if code := a.Header.Get("X-Ancora-Error"); a.StatusCode >= 400 && code != fmt.Sprint(a.StatusCode) {
		t.Errorf("%d with code %q", a.StatusCode, code)
	}
	return a.StatusCode, string(body)
}

func TestTLSNames(t *testing.T) {
	s := startTLS(t, door(tellTLS), Options{})
	for name, want := range map[string]string{"a.test": "a.test", "x.b.test": "*.b.test"} {
		tc, err := s.dial(name, &tls.Config{})
		if err != nil {
			t.Fatal(name, err)
		}
		defer tc.Close()
		if got := tc.ConnectionState().PeerCertificates[0].DNSNames[0]; got != want {
			t.Errorf("%s: certificate of %s", name, got)
		}
		for range 3 { // the connection stays
			if status, body := askTLS(t, tc, name, ""); status != 200 || body != name+" secure=true cert=" {
				t.Errorf("%s: %d %s", name, status, body)
			}
		}
	}
	for _, name := range []string{"b.test", "x.y.b.test", "other.test", ""} {
		if _, err := s.dial(name, &tls.Config{}); err == nil || !strings.Contains(err.Error(), "unrecognized name") {
			t.Errorf("%q: %v", name, err)
		}
	}
	if tc, err := s.dial("a.test", &tls.Config{MaxVersion: tls.VersionTLS12, CipherSuites: []uint16{tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256}}); err != nil {
		t.Error("a client without ECDSA:", err)
	} else {
		if status, _ := askTLS(t, tc, "a.test", ""); status != 200 {
			t.Error(status)
		}
		tc.Close()
	}
	for what, c := range map[string]*tls.Config{
		"TLS 1.1": {MaxVersion: tls.VersionTLS11, MinVersion: tls.VersionTLS10},
		"CBC":     {MaxVersion: tls.VersionTLS12, CipherSuites: []uint16{tls.TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA}},
	} {
		if _, err := s.dial("a.test", c); err == nil {
			t.Errorf("%s is served", what)
		}
	}
}

func TestTLSDefault(t *testing.T) {
	ca := securetest.NewAuthority(t)
	s := startTLS(t, door(tellTLS), Options{}, secure.Entry{Binding: secure.NewBinding(secure.Config{
		Identity: "rest", Certificates: []tls.Certificate{ca.Issue(time.Hour, "rest.test")},
	})})
	for _, name := range []string{"", "other.test"} {
		tc, err := s.dial(name, &tls.Config{InsecureSkipVerify: true})
		if err != nil {
			if name != "" && strings.Contains(err.Error(), "unknown authority") {
				continue // the certificate came
			}
			t.Fatal(err)
		}
		if got := tc.ConnectionState().PeerCertificates[0].DNSNames[0]; got != "rest.test" {
			t.Error(name, got)
		}
		tc.Close()
	}
}

func TestTLSMisdirected(t *testing.T) {
	nowhere := watch(door(notFound{}.Serve))
	s := startTLS(t, door(tellTLS), Options{NotFound: nowhere})
	tc, err := s.dial("a.test", &tls.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer tc.Close()
	for _, tt := range []struct {
		host   string
		status int
	}{{"a.test", 200}, {"x.b.test", 421}, {"must.test", 421}, {"may.test", 421}, {"www.test", 200}, {"nobody.test", 200}, {"A.test:443", 200}} {
		if status, _ := askTLS(t, tc, tt.host, ""); status != tt.status {
			t.Errorf("%s: %d, not %d", tt.host, status, tt.status)
		}
		if tt.status != 421 {
			continue
		}
		if got := nowhere.next(t); got.Status != 421 || got.Sent == 0 || got.Aborted {
			t.Errorf("%s: it was told %+v", tt.host, got)
		}
	}
	h2 := &http.Transport{ForceAttemptHTTP2: true, TLSClientConfig: &tls.Config{RootCAs: s.ca.Pool(), ServerName: "a.test"}}
	defer h2.CloseIdleConnections()
	for host, want := range map[string]int{"a.test": 200, "x.b.test": 421} {
		r, _ := http.NewRequest("GET", "https://"+s.addr+"/", nil)
		r.Host = host
		a, err := h2.RoundTrip(r)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(a.Body)
		a.Body.Close()
		if a.ProtoMajor != 2 || a.StatusCode != want || want == 200 && string(body) != "a.test secure=true cert=" {
			t.Errorf("%s: %s %d %s", host, a.Proto, a.StatusCode, body)
		}
	}
	if got := nowhere.next(t); got.Status != 421 || got.Protocol != "HTTP/2" {
		t.Errorf("it was told %+v", got)
	}
}

// A connection from before there was TLS, and one that began without it, get nothing that TLS guards.
func TestTLSLater(t *testing.T) {
	s := startTLS(t, door(tellTLS), Options{})
	table := s.table.Swap(nil)
	plain, err := net.Dial("tcp", s.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer plain.Close()
	if status, body := askTLS(t, plain, "a.test", ""); status != 200 || body != "a.test secure=false cert=" {
		t.Error(status, body)
	}
	s.table.Store(table)
	if status, _ := askTLS(t, plain, "a.test", ""); status != 421 {
		t.Error("without TLS:", status)
	}
	other, err := net.Dial("tcp", s.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	fmt.Fprint(other, "GET / HTTP/1.1\r\nHost: a.test\r\n\r\n")
	if got, _ := io.ReadAll(other); strings.HasPrefix(string(got), "HTTP/1.1 200") {
		t.Errorf("%q", got)
	}
}

func TestTLSTickets(t *testing.T) {
	s := startTLS(t, door(tellTLS), Options{})
	same := s.own["a.test"]
	s.table.Store(secure.New([]secure.Entry{{Hostname: "a.test", Binding: same}, {Hostname: "c.test", Binding: same}, {Hostname: "x.b.test", Binding: secure.NewBinding(secure.Config{
		Identity: "x", Certificates: []tls.Certificate{s.ca.Issue(time.Hour, "x.b.test")}, ClientAuth: tls.VerifyClientCertIfGiven, ClientCAs: s.ca.Pool(),
	})}}))
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		cache := &oneSession{}
		resumed := func(name string) bool {
			tc, err := s.dial(name, &tls.Config{ClientSessionCache: cache, MaxVersion: version, InsecureSkipVerify: true})
			if err != nil {
				t.Fatal(err)
			}
			defer tc.Close()
			askTLS(t, tc, name, "") // TLS 1.3 tells the ticket after the handshake
			return tc.ConnectionState().DidResume
		}
		if resumed("a.test") {
			t.Error("resumed nothing")
		}
		if !resumed("a.test") {
			t.Errorf("%x: not resumed within a binding", version)
		}
		if resumed("x.b.test") {
			t.Errorf("%x: resumed in another binding", version)
		}
	}
}

// oneSession offers its session to every name.
type oneSession struct{ state *tls.ClientSessionState }

func (o *oneSession) Get(string) (*tls.ClientSessionState, bool) { return o.state, o.state != nil }
func (o *oneSession) Put(_ string, s *tls.ClientSessionState) {
	if s != nil {
		o.state = s
	}
}

func TestTLSClientCertificate(t *testing.T) {
	s := startTLS(t, door(tellTLS), Options{})
	mine, foreign := s.ca.Issue(time.Hour, "client"), securetest.NewAuthority(t).Issue(time.Hour, "client")
	for _, tt := range []struct {
		name string
		cert *tls.Certificate
		want string // "fails", or what the application is told
	}{
		{"must.test", nil, "fails"}, {"must.test", &foreign, "fails"}, {"must.test", &mine, base64.StdEncoding.EncodeToString(mine.Certificate[0])},
		{"may.test", nil, ""}, {"may.test", &foreign, "fails"}, {"may.test", &mine, base64.StdEncoding.EncodeToString(mine.Certificate[0])},
	} {
		for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
			c := &tls.Config{MaxVersion: version, GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
				if tt.cert == nil {
					return &tls.Certificate{}, nil
				}
				return tt.cert, nil
			}}
			tc, err := s.dial(tt.name, c)
			if err == nil && tt.want == "fails" { // in TLS 1.3 a client learns it with the first read
				_, err = tc.Read(make([]byte, 1))
				tc.Close()
			}
			if (err != nil) != (tt.want == "fails") {
				t.Errorf("%s %x: %v", tt.name, version, err)
			}
			if err != nil {
				continue
			}
			if status, body := askTLS(t, tc, tt.name, ""); status != 200 || body != tt.name+" secure=true cert="+tt.want {
				t.Errorf("%s %x: %d %s", tt.name, version, status, body)
			}
			tc.Close()
		}
	}
}

// Clients that say nothing, or half of a handshake, are in nobody's way and do not stay.
func TestTLSSlowHandshake(t *testing.T) {
	s := startTLS(t, door(tellTLS), Options{HeadLimit: 500 * time.Millisecond})
	var slow []net.Conn
	for i := range 20 {
		c, err := net.Dial("tcp", s.addr)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if i%2 == 0 {
			c.Write([]byte{22, 3, 1, 1, 0, 1})
		}
		if i == 1 { // what is no handshake at all ends at once
			fmt.Fprint(c, "GET / HTTP/1.1\r\nHost: a.test\r\n\r\n")
		}
		slow = append(slow, c)
	}
	tc, err := s.dial("a.test", &tls.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer tc.Close()
	if status, _ := askTLS(t, tc, "a.test", ""); status != 200 {
		t.Error(status)
	}
	for _, c := range slow {
		_ = c.SetDeadline(time.Now().Add(5 * time.Second))
		if _, err := io.Copy(io.Discard, c); err != nil && strings.Contains(err.Error(), "timeout") {
			t.Fatal(err)
		}
	}
}

// A body in both directions, the end that TLS tells, and a client that leaves while it is served.
func TestTLSStreams(t *testing.T) {
	left := make(chan struct{})
	s := startTLS(t, door(func(r *forward.Request, w forward.ResponseWriter) {
		if string(r.Path) == "/leave" {
			<-r.Context.Done()
			close(left)
			return
		}
		w.Head(200, nil, -1)
		buf := make([]byte, 1000)
		for {
			n, err := r.Body.Read(buf)
			if n > 0 {
				w.Write(buf[:n])
			}
			if err != nil {
				return
			}
		}
	}), Options{})
	tc, err := s.dial("a.test", &tls.Config{})
	if err != nil {
		t.Fatal(err)
	}
	body := strings.Repeat("0123456789", 20_000)
	go fmt.Fprintf(tc, "POST / HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
	in := bufio.NewReader(tc)
	a, err := http.ReadResponse(in, nil)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(a.Body); err != nil || string(got) != body {
		t.Errorf("%d bytes of %d, %v", len(got), len(body), err)
	}
	if _, err := in.ReadByte(); err != io.EOF { // without close_notify it is unexpected
		t.Error(err)
	}
	tc.Close()
	if tc, err = s.dial("a.test", &tls.Config{}); err != nil {
		t.Fatal(err)
	}
	fmt.Fprint(tc, "GET /leave HTTP/1.1\r\nHost: a.test\r\n\r\n")
	tc.Close()
	select {
	case <-left:
	case <-time.After(10 * time.Second):
		t.Error("nobody has noticed")
	}
}

// No body goes past TLS from socket to socket.
func TestTLSSplices(t *testing.T) {
	const size = 3 << 20
	drains := make(chan bool, 2)
	d := door(func(r *forward.Request, w forward.ResponseWriter) {
		w.Head(200, nil, size)
		w.Write([]byte("x"))
		drains <- w.(interface{ Drains() bool }).Drains()
		w.Write(make([]byte, size-1))
	})
	s := startTLS(t, d, Options{})
	tc, err := s.dial("a.test", &tls.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer tc.Close()
	if _, body := askTLS(t, tc, "a.test", ""); len(body) != size || <-drains {
		t.Errorf("%d bytes, spliced past TLS", len(body))
	}
	plain := start(t, d, Options{})
	nc, err := net.Dial("tcp", plain.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	if _, body := askTLS(t, nc, "a.test", ""); len(body) != size || !<-drains {
		t.Errorf("%d bytes, not spliced without TLS: the test shows nothing", len(body))
	}
}

// What was agreed on holds: a client that agreed on HTTP/2 and speaks something else gets nothing.
func TestTLSProtocols(t *testing.T) {
	s := startTLS(t, door(tellTLS), Options{})
	for _, protocol := range []string{"http/1.1", "h2", "h3"} {
		tc, err := s.dial("a.test", &tls.Config{NextProtos: []string{protocol}})
		if protocol == "h3" {
			if err == nil {
				t.Error("h3 is served")
			}
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		if got := tc.ConnectionState().NegotiatedProtocol; got != protocol {
			t.Errorf("%q", got)
		}
		if protocol == "h2" {
			fmt.Fprint(tc, "GET / HTTP/1.1\r\nHost: a.test\r\n\r\n")
			if got, _ := io.ReadAll(tc); strings.Contains(string(got), "secure=") {
				t.Errorf("%q", got)
			}
		} else if status, _ := askTLS(t, tc, "a.test", ""); status != 200 {
			t.Error(status)
		}
		tc.Close()
	}
}

// TestTLSOtherAuthorities: when other authorities are believed, a connection from before gets 421 and ends, and only the next
// one is served, over both versions.
func TestTLSOtherAuthorities(t *testing.T) {
	for _, version := range []int{1, 2} {
		s := startTLS(t, door(tellTLS), Options{})
		client := &http.Transport{ForceAttemptHTTP2: version == 2, TLSClientConfig: &tls.Config{RootCAs: s.ca.Pool(), ServerName: "may.test"}}
		defer client.CloseIdleConnections()
		ask := func() int {
			r, err := http.NewRequestWithContext(t.Context(), "GET", "https://"+s.addr+"/", nil)
			if err != nil {
				t.Fatal(err)
			}
			r.Host = "may.test"
			a, err := client.RoundTrip(r)
			if err != nil {
				t.Fatal(err)
			}
			defer a.Body.Close()
			if _, err := io.Copy(io.Discard, a.Body); err != nil || a.ProtoMajor != version {
				t.Fatal(a.Proto, err)
			}
			return a.StatusCode
		}
		if status := ask(); status != 200 {
			t.Error(status)
		}
		other := secure.NewBinding(secure.Config{Identity: "may, of others", Certificates: []tls.Certificate{s.ca.Issue(time.Hour, "may.test")}, ClientAuth: tls.VerifyClientCertIfGiven, ClientCAs: securetest.NewAuthority(t).Pool()})
		s.table.Store(secure.New([]secure.Entry{{Hostname: "may.test", Binding: other}}))
		if status := ask(); status != 421 {
			t.Error("the old connection:", status)
		}
		for status, until := 0, time.Now().Add(5*time.Second); status != 200; { // the end of the old one may be on its way
			if status = ask(); time.Now().After(until) {
				t.Fatal(status, "for ever")
			}
		}
	}
}
