package process

import (
	"context"
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/ancora-fleet/ancora/dataplane/keeper/protocol"
	"github.com/ancora-fleet/ancora/dataplane/proctree"
)

// Identity names one run of an instance.
type Identity struct {
	Site, Application string
	Instance          uint32
	Run               uint64
}

// String is the keeper's id of the instance: site|application|instance|run, the application's path escaped.
func (i Identity) String() string {
	return fmt.Sprintf("%s|%s|%d|%d", i.Site, url.PathEscape(i.Application), i.Instance, i.Run)
}

func parseIdentity(text string) (Identity, error) {
	parts := strings.Split(text, "|")
	if len(parts) != 4 {
		return Identity{}, fmt.Errorf("process: %q is no identity", text)
	}
	application, err := url.PathUnescape(parts[1])
	instance, ierr := strconv.ParseUint(parts[2], 10, 32)
	run, rerr := strconv.ParseUint(parts[3], 10, 64)
	if err != nil || ierr != nil || rerr != nil {
		return Identity{}, fmt.Errorf("process: %q is no identity", text)
	}
	return Identity{parts[0], application, uint32(instance), run}, nil
}

// Credential is whom a process runs as.
type Credential struct {
	UID, GID uint32
	Groups   []uint32
}

// Spec is a process to start.
type Spec struct {
	Identity
	// Argv begins with the program's path, which is executed itself: no shell, no search.
	Argv []string
	// Env is the whole environment but for the instance's mark.
	Env []string
	Dir string
	// Credential is nil for whom the agent runs as.
	Credential *Credential
	// RunDir is where the output goes.
	RunDir string
	// Silent says that stdout and stderr go nowhere instead.
	Silent bool
	// Stack is the limit of its stacks in bytes, 0 the agent's own. See LimitsStacks.
	Stack uint64
	// Note is what SetNote is first, from before the process runs; a keeper of an earlier version keeps none.
	Note []byte
}

// Exit is how a process ended: by Code, or by Signal when that is not 0.
type Exit struct {
	Code, Signal int
	Time         time.Time
}

func (e Exit) String() string {
	if e.Signal != 0 {
		return fmt.Sprintf("signal %d (%v)", e.Signal, syscall.Signal(e.Signal))
	}
	return fmt.Sprintf("exit code %d", e.Code)
}

// Process is one started process and all that it started.
type Process struct {
	client   *Client
	identity Identity
	pid      int
	start    uint64
	mark     string
	runDir   string
	done     chan struct{}

	mu   sync.Mutex
	note []byte
	exit *Exit
}

func (c *Client) process(identity Identity, m protocol.Message) *Process {
	return &Process{client: c, identity: identity, pid: m.PID, start: m.Start, mark: m.Mark, runDir: m.RunDir, done: make(chan struct{})}
}

// Start starts a process. Errors keep the errno: EACCES not executable, ENOEXEC not a program for this machine, ENOENT
// program or folder missing.
func (c *Client) Start(ctx context.Context, spec Spec) (*Process, error) {
	id := spec.Identity.String()
	s := &protocol.Spec{Argv: spec.Argv, Env: spec.Env, Dir: spec.Dir, RunDir: spec.RunDir, Silent: spec.Silent, Stack: spec.Stack, Note: spec.Note}
	if spec.Credential != nil {
		s.Switch, s.UID, s.GID, s.Groups = true, spec.Credential.UID, spec.Credential.GID, spec.Credential.Groups
	}
	// An exit may be told right behind the answer, so the process is known before it is asked for.
	p := c.process(spec.Identity, protocol.Message{RunDir: spec.RunDir})
	p.note = spec.Note
	if err := c.begin(ctx, id, p); err != nil {
		return nil, err
	}
	// The answer is waited for in any case: a process that nobody knows of would run on.
	a, err := c.call(context.WithoutCancel(ctx), protocol.Request{Op: protocol.OpStart, ID: id, Spec: s})
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.starting, id)
	if err != nil {
		return nil, err
	}
	p.pid, p.start, p.mark = a.message.PID, a.message.Start, a.message.Mark
	c.processes[id] = p
	return p, nil
}

func (c *Client) begin(ctx context.Context, id string, p *Process) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.starting[id] != nil || c.processes[id] != nil {
		return fmt.Errorf("process: %s is started already", id)
	}
	c.starting[id] = p
	if err := context.Cause(ctx); err != nil {
		delete(c.starting, id)
		return err
	}
	return nil
}

// Processes gives what the keeper held when this worker was started and what was started since, ended or not, until it
// is forgotten; in the order of their runs.
func (c *Client) Processes() []*Process {
	c.mu.Lock()
	defer c.mu.Unlock()
	var all []*Process
	for _, p := range c.processes {
		all = append(all, p)
	}
	slices.SortFunc(all, func(a, b *Process) int { return strings.Compare(a.identity.String(), b.identity.String()) })
	return all
}

func (p *Process) ended(e protocol.Exit) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.exit == nil {
		p.exit = &Exit{e.Code, e.Signal, e.Time}
		close(p.done)
	}
}

// Identity names the run.
func (p *Process) Identity() Identity { return p.identity }

// Pid is the main process.
func (p *Process) Pid() int { return p.pid }

// RunDir is where its output goes.
func (p *Process) RunDir() string { return p.runDir }

// Done is closed when the main process has ended.
func (p *Process) Done() <-chan struct{} { return p.done }

// Exit says how the main process ended; ask after Done.
func (p *Process) Exit() Exit {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.exit == nil {
		return Exit{}
	}
	return *p.exit
}

// Signal sends a signal to the main process; none when it has ended.
func (p *Process) Signal(ctx context.Context, s syscall.Signal) error {
	return p.ask(ctx, protocol.Request{Op: protocol.OpSignal, Signal: int(s)})
}

// Kill ends the whole process tree and returns when nothing of it is left.
func (p *Process) Kill(ctx context.Context) error {
	return p.ask(ctx, protocol.Request{Op: protocol.OpKill})
}

// Note gives what SetNote stored, also by an earlier worker.
func (p *Process) Note() []byte {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.note
}

// SetNote stores up to 4 KiB with the process; they outlive the worker.
func (p *Process) SetNote(ctx context.Context, note []byte) error {
	if err := p.ask(ctx, protocol.Request{Op: protocol.OpNote, Data: note}); err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.note = note
	return nil
}

// Forget ends what is left of the tree, closes the run's capture and drops the process.
func (p *Process) Forget(ctx context.Context) error {
	if err := p.ask(ctx, protocol.Request{Op: protocol.OpForget}); err != nil {
		return err
	}
	p.client.mu.Lock()
	defer p.client.mu.Unlock()
	delete(p.client.processes, p.identity.String())
	return nil
}

func (p *Process) ask(ctx context.Context, r protocol.Request) error {
	r.ID = p.identity.String()
	_, err := p.client.call(ctx, r)
	return err
}

// Members gives the living processes of the tree.
func (p *Process) Members() ([]int, error) {
	table, err := proctree.Scan()
	if err != nil {
		return nil, err
	}
	return table.Members(proctree.Instance{PID: p.pid, Start: p.start, Mark: p.mark}, p.client.keeper), nil
}

// Endpoint is where an instance listens: on a port of 127.0.0.1 or, when Socket is not empty, on the unix socket with that
// path.
type Endpoint struct {
	Port   uint16
	Socket string
}

func (e Endpoint) String() string {
	if e.Socket != "" {
		return "socket " + e.Socket
	}
	return fmt.Sprintf("port %d", e.Port)
}

// Listener gives the pid of the process of the tree that listens at e, or on an address that covers it (LCH-10, LCH-17); 0
// without one. Another's socket there does not count.
func (p *Process) Listener(e Endpoint) (pid int, err error) {
	candidates, err := e.sockets()
	if err != nil || len(candidates) == 0 {
		return 0, err
	}
	members, err := p.Members()
	if err != nil {
		return 0, err
	}
	for _, pid := range members {
		if len(proctree.OwnedBy(candidates, []int{pid})) > 0 {
			return pid, nil
		}
	}
	return 0, nil
}

// sockets are those that anybody has at e.
func (e Endpoint) sockets() ([]proctree.Socket, error) {
	if e.Socket != "" {
		return proctree.ListeningAt(e.Socket)
	}
	sockets, err := proctree.Listening()
	return slices.DeleteFunc(sockets, func(s proctree.Socket) bool {
		a := s.Address.Addr()
		return s.Address.Port() != e.Port || !a.IsUnspecified() && a != netip.AddrFrom4([4]byte{127, 0, 0, 1})
	}), err
}

// ListensOn gives the addresses on which the tree listens.
func (p *Process) ListensOn() ([]netip.AddrPort, error) {
	sockets, err := proctree.Listening()
	if err != nil {
		return nil, err
	}
	owned, err := p.owned(sockets)
	var all []netip.AddrPort
	for _, s := range owned {
		all = append(all, s.Address)
	}
	slices.SortFunc(all, func(a, b netip.AddrPort) int { return a.Compare(b) })
	return all, err
}

func (p *Process) owned(sockets []proctree.Socket) ([]proctree.Socket, error) {
	members, err := p.Members()
	if err != nil {
		return nil, err
	}
	return proctree.OwnedBy(sockets, members), nil
}
