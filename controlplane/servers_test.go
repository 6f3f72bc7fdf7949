package controlplane

import (
	"context"
	"crypto/tls"
	"encoding/hex"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/ancora-fleet/ancora/proto/transport"
)

// running is a controller on free ports.
type running struct {
	*Controller
	operators, agents string
	stopped           chan error
	stop              context.CancelFunc
}

// lines takes what the controller prints and gives its addresses.
type lines chan string

func (l lines) Write(p []byte) (int, error) {
	l <- string(p)
	return len(p), nil
}

func start(t *testing.T, dir string) *running {
	t.Helper()
	out := make(lines, 10)
	c, err := New(Config{DataDir: dir, OperatorAddress: "127.0.0.1:0", AgentAddress: "127.0.0.1:0", Stdout: out})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	r := &running{Controller: c, stopped: make(chan error, 1), stop: cancel}
	go func() { r.stopped <- c.Run(ctx) }()
	t.Cleanup(func() { r.end(t) })
	for {
		select {
		case line := <-out:
			rest, ok := strings.CutPrefix(line, "ready address=")
			if !ok {
				continue
			}
			r.operators, r.agents, _ = strings.Cut(strings.TrimSpace(rest), " agents=")
			return r
		case err := <-r.stopped:
			t.Fatalf("it ends: %v", err)
		case <-time.After(30 * time.Second):
			t.Fatal("it does not become ready")
		}
	}
}

func (r *running) end(t *testing.T) {
	t.Helper()
	if r.stop == nil {
		return
	}
	r.stop()
	r.stop = nil
	select {
	case err := <-r.stopped:
		if err != nil {
			t.Errorf("it ends with %v", err)
		}
	case <-time.After(30 * time.Second):
		t.Error("it does not end")
	}
}

// Every method of both listeners, found by reflection, refuses a caller who shows nothing, but Enroll and health.
func TestNobodyIsLetIn(t *testing.T) {
	r := start(t, t.TempDir())
	served := r.newServers(&listeners{})
	for _, door := range []struct {
		name, address string
		server        *grpc.Server
		open          func(method string) bool
	}{
		{"operators", r.operators, served.operators.grpc, func(m string) bool { return strings.HasPrefix(m, "/grpc.health.v1.Health/") }},
		{"agents", r.agents, served.agents.grpc, func(m string) bool { return m == "/ancora.agent.v1.EnrollmentService/Enroll" }},
	} {
		conn, err := grpc.NewClient("passthrough:///"+door.address, transport.DialOptions(transport.Pinned(r.authority.Digest()))...)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() })
		methods := 0
		for service, info := range door.server.GetServiceInfo() {
			for _, m := range info.Methods {
				methods++
				method := "/" + service + "/" + m.Name
				code := call(t, conn, method, m.IsClientStream, m.IsServerStream)
				if open := code != codes.Unauthenticated; open != door.open(method) && !(method == "/ancora.agent.v1.EnrollmentService/Enroll" && code == codes.InvalidArgument) {
					t.Errorf("%s: %s answers %v", door.name, method, code)
				}
			}
		}
		if methods < 3 {
			t.Errorf("%s: %d methods only", door.name, methods)
		}
	}
}

// call calls a method without any credential.
func call(t *testing.T, conn *grpc.ClientConn, method string, client, server bool) codes.Code {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	stream, err := conn.NewStream(ctx, &grpc.StreamDesc{ClientStreams: client, ServerStreams: server}, method)
	if err == nil {
		_ = stream.SendMsg(&emptypb.Empty{}) // the answer tells
		if !client {
			_ = stream.CloseSend()
		}
		err = stream.RecvMsg(&emptypb.Empty{})
	}
	return status.Code(err)
}

// TLS 1.2 is refused by both.
func TestOldTLSIsRefused(t *testing.T) {
	r := start(t, t.TempDir())
	for _, address := range []string{r.operators, r.agents} {
		conn, err := tls.Dial("tcp", address, &tls.Config{InsecureSkipVerify: true, MaxVersion: tls.VersionTLS12})
		if err == nil {
			conn.Close()
			t.Errorf("%s speaks TLS 1.2", address)
		}
	}
}

// No socket of the controller answers another user: its unix sockets, abstract ones included, and its peer port.
func TestNoSocketForOthers(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("being another user needs root")
	}
	dir := t.TempDir()
	// The directories above are closed too; what is tested is the controller's own.
	for above := dir; strings.HasPrefix(above, os.TempDir()+"/"); above = filepath.Dir(above) {
		if err := os.Chmod(above, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	start(t, filepath.Join(dir, "data"))
	table, err := os.ReadFile("/proc/net/unix")
	if err != nil {
		t.Fatal(err)
	}
	ours := sockets(t)
	own := 0
	for line := range strings.Lines(string(table)) {
		fields := strings.Fields(line)
		if len(fields) < 8 || !ours[fields[6]] {
			continue // without a name, or somebody else's
		}
		own++
		if strings.HasPrefix(fields[7], "@") {
			t.Errorf("abstract socket %s answers every user", fields[7])
		}
		if err := asNobody(func() error {
			conn, err := net.Dial("unix", fields[7])
			if err == nil {
				conn.Close()
			}
			return err
		}); err == nil {
			t.Errorf("socket %s answers another user", fields[7])
		}
	}
	if own == 0 {
		t.Error("the store's socket was not found")
	}
}

// sockets are the inodes of this process's sockets.
func sockets(t *testing.T) map[string]bool {
	t.Helper()
	const fds = "/proc/self/fd"
	entries, err := os.ReadDir(fds)
	if err != nil {
		t.Fatal(err)
	}
	inodes := map[string]bool{}
	for _, e := range entries {
		target, _ := os.Readlink(filepath.Join(fds, e.Name())) // one that is closed meanwhile is none
		if inode, ok := strings.CutPrefix(target, "socket:["); ok {
			inodes[strings.TrimSuffix(inode, "]")] = true
		}
	}
	return inodes
}

// asNobody runs f on a thread of its own with another file system user; the thread ends with it.
func asNobody(f func() error) error {
	result := make(chan error)
	go func() {
		runtime.LockOSThread() // and ends with it
		if _, _, errno := syscall.RawSyscall(syscall.SYS_SETFSGID, 65534, 0, 0); errno != 0 {
			result <- nil
			return
		}
		if _, _, errno := syscall.RawSyscall(syscall.SYS_SETFSUID, 65534, 0, 0); errno != 0 {
			result <- nil
			return
		}
		result <- f()
	}()
	return <-result
}

// A first start makes CA and credential for the owner alone; a second one keeps both.
func TestFirstStart(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	r := start(t, dir)
	digest := hex.EncodeToString(r.authority.Digest())
	before, err := os.ReadFile(filepath.Join(dir, credentialFile))
	if err != nil || !strings.Contains(string(before), digest) {
		t.Fatalf("%v\n%s", err, before)
	}
	for _, file := range []string{"", credentialFile, "pki", "store"} {
		info, err := os.Stat(filepath.Join(dir, file))
		if err != nil || info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s: %v, %v", file, info.Mode(), err)
		}
	}
	r.end(t)
	again := start(t, dir)
	if hex.EncodeToString(again.authority.Digest()) != digest {
		t.Error("another CA")
	}
	have, err := readCredential(filepath.Join(dir, credentialFile))
	if err != nil || !strings.Contains(string(before), have.Token) || have.Address != again.operators {
		t.Errorf("%v: address %s, want %s", err, have.Address, again.operators)
	}
}
