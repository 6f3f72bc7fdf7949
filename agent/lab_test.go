package agent_test

import (
	"context"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/ancora-fleet/ancora/agent/scripted"
	"github.com/ancora-fleet/ancora/dataplane/site"
	"github.com/ancora-fleet/ancora/dataplane/wire"
	agentv1 "github.com/ancora-fleet/ancora/proto/ancora/agent/v1"
	typesv1 "github.com/ancora-fleet/ancora/proto/ancora/types/v1"
	"github.com/ancora-fleet/ancora/tests/lab"
)

var bin string

func TestMain(m *testing.M) { os.Exit(build(m)) }

func build(m *testing.M) int {
	var err error
	if bin, err = os.MkdirTemp("", "ancora-bin-"); err != nil {
		panic(err)
	}
	defer os.RemoveAll(bin)
	_ = os.Chmod(bin, 0o755) // applications run as somebody else
	for _, pkg := range []string{"./cmd/ancora-agent", "../tests/childapp"} {
		if text, err := exec.Command("go", "build", "-o", bin+"/", pkg).CombinedOutput(); err != nil {
			panic(string(text))
		}
	}
	return m.Run()
}

// host is one with the real agent, and a controller whose words the test says.
type host struct {
	*testing.T
	dir, data, policy string
	controller        *scripted.Controller
	agent             *lab.Program
	address           string // of listener http
}

// newHost joins a host and starts its agent.
func newHost(t *testing.T) *host {
	t.Helper()
	dir, err := os.MkdirTemp("", "ancora-host-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	_ = os.Chmod(dir, 0o755)
	l := &host{T: t, dir: dir, data: filepath.Join(dir, "data"), policy: filepath.Join(dir, "agent.yaml"), controller: scripted.New(t)}
	l.controller.OnEnroll(func(_ context.Context, m *agentv1.EnrollRequest) (*agentv1.EnrollResponse, error) {
		der, err := l.controller.Sign(m.GetCsr(), m.GetHost())
		return &agentv1.EnrollResponse{Certificate: der, CaRoots: [][]byte{l.controller.CA()}, Host: m.GetHost()}, err
	})
	join := []string{
		"join", l.controller.Address, "--token", l.controller.Token("secret"), "--name", "web1", "--data", l.data, "--policy", l.policy,
		"--listen", "http=127.0.0.1:0", "--root", filepath.Join(dir, "apps"),
	}
	if os.Geteuid() == 0 {
		join = append(join, "--default-user", "nobody")
	}
	out, code := l.run(join...)
	if code != 0 || !strings.HasPrefix(out, "joined as web1\n") {
		t.Fatalf("join: %d %s", code, out)
	}
	l.start()
	return l
}

// run runs a verb to its end.
func (l *host) run(args ...string) (string, int) {
	l.Helper()
	r := lab.Run(l, nil, filepath.Join(bin, "ancora-agent"), args...)
	return r.Out + r.Errors, r.Code
}

// start waits for the line that says that the listeners are open.
func (l *host) start() {
	l.Helper()
	l.agent = lab.Start(l, nil, filepath.Join(bin, "ancora-agent"), "run", "--data", l.data, "--policy", l.policy, "--run-dir", filepath.Join(l.dir, "run"), "--log-level", "debug")
	l.address = l.agent.Line(l, "ready address=http=")
}

func (l *host) stop(s syscall.Signal) {
	l.Helper()
	l.agent.Signal(s)
	if code := l.agent.Wait(l); code != 0 && s == syscall.SIGTERM {
		l.Errorf("the agent ends with %d", code)
	}
}

// welcome waits for a session and takes the agent in.
func (l *host) welcome() *scripted.Session {
	l.Helper()
	s := l.controller.Session(l.T)
	s.Welcome(l.T, time.Minute, 20*time.Second)
	return s
}

// site makes the document of a site that answers with a text, and its line in a manifest.
func (l *host) site(name string, revision int64, folder, say string) (*agentv1.Document, *agentv1.ManifestSite) {
	l.Helper()
	content, digest, err := wire.Document(wire.SiteMessage(&site.Site{
		Name: name, Placement: site.Placement{Hosts: "all"}, CreateTime: time.Unix(1, 0),
		Bindings: []site.Binding{{Listener: "http", Hostnames: []string{name + ".test"}}},
		Applications: []site.Application{{
			Path: "/", Root: filepath.Join(l.dir, folder), Profile: site.ProfileGeneric, Start: site.StartAlways,
			Command: []string{filepath.Join(bin, "childapp"), "-say", say},
		}},
	}))
	if err != nil {
		l.Fatal(err)
	}
	return &agentv1.Document{Kind: agentv1.DocumentKind_DOCUMENT_KIND_SITE, Name: name, Revision: revision, Digest: digest, Content: content},
		&agentv1.ManifestSite{Name: name, Revision: revision, Digest: digest}
}

// folder makes one that applications can live in.
func (l *host) folder(name string) string {
	l.Helper()
	if err := os.MkdirAll(filepath.Join(l.dir, name), 0o755); err != nil {
		l.Fatal(err)
	}
	return name
}

// notice makes the document of a notice for all sites and its line in a manifest.
func (l *host) notice(name string) (*agentv1.Document, *agentv1.ManifestNotice) {
	l.Helper()
	content, digest, err := wire.NoticeDocument(&typesv1.NoticeDocument{Name: name, Content: &typesv1.NoticeDocument_Message{Message: "back soon"}})
	if err != nil {
		l.Fatal(err)
	}
	return &agentv1.Document{Kind: agentv1.DocumentKind_DOCUMENT_KIND_NOTICE, Name: name, Digest: digest, Content: content},
		&agentv1.ManifestNotice{Name: name, Digest: digest}
}

// taken sends a manifest that must be taken.
func (l *host) taken(s *scripted.Session, m *agentv1.Manifest) {
	l.Helper()
	if r := s.Manifest(l.T, m); r.GetRefusal() != "" || r.GetGeneration() != m.GetGeneration() || r.GetFollowedStoreId() != m.GetStoreId() {
		l.Fatalf("%v", r)
	}
}

// phase waits until a site is in a phase at a revision.
func (l *host) phase(s *scripted.Session, name string, revision int64, phase typesv1.Phase) *typesv1.SiteStatus {
	l.Helper()
	return s.Until(l.T, func(m *agentv1.SessionRequest) bool {
		status := m.GetSiteStatus()
		return status.GetSite() == name && status.GetRevision() == revision && status.GetPhase() == phase
	}).GetSiteStatus()
}

// get asks the host as a client does.
func (l *host) get(name string) (status int, body string, head http.Header) {
	l.Helper()
	ctx, cancel := context.WithTimeout(l.Context(), scripted.Patience)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+l.address+"/", nil)
	if err != nil {
		l.Fatal(err)
	}
	request.Host = name + ".test"
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		l.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		l.Fatal(err)
	}
	return answer.StatusCode, string(text), answer.Header
}

// answers says what a client gets, when it is not what is wanted.
func (l *host) answers(name string, status int, text string) {
	l.Helper()
	if code, body, _ := l.get(name); code != status || !strings.Contains(body, text) {
		l.Errorf("%s answers %d %q, not %d %q", name, code, body, status, text)
	}
}

func (l *host) eventually(name string, status int, text string) {
	l.Helper()
	deadline := time.After(scripted.Patience)
	for {
		code, body, _ := l.get(name)
		if code == status && strings.Contains(body, text) {
			return
		}
		select {
		case <-deadline:
			l.Fatalf("%s answers %d %q, not %d %q", name, code, body, status, text)
		case <-time.After(10 * time.Millisecond):
		}
	}
}
