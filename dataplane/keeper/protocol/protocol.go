// Package protocol is what keeper and worker say to each other over their socketpair: one message a packet, in JSON, and
// a descriptor with some of them.
package protocol

import "time"

// Version is the protocol's version. A keeper of version N serves workers of N and N+1; it is the first thing it says.
const Version = 2

// FDVariable names the worker's end of the socketpair in its environment.
const FDVariable = "ANCORA_KEEPER_FD"

// MaxMessage bounds one message on the socketpair, in bytes: arguments and environment of a process fit.
const MaxMessage = 160 << 10

// Op is what a worker asks for.
type Op string

const (
	OpStart    Op = "start"
	OpSignal   Op = "signal"   // the main process
	OpKill     Op = "kill"     // the whole tree, until nothing is left
	OpNote     Op = "note"     // keep up to MaxNote bytes with the instance
	OpForget   Op = "forget"   // kill what is left, close the capture, drop the instance
	OpListen   Op = "listen"   // answers with a descriptor
	OpUnlisten Op = "unlisten" // close a listener
	OpAppend   Op = "append"   // a line into the event stream of a run
	OpNotify   Op = "notify"   // tell the service manager the state in Name: to it, the keeper is the service
)

// MaxNote is the length of an instance's note in bytes.
const MaxNote = 4 << 10

// Request is one wish of the worker. Seq comes back in the answer.
type Request struct {
	Seq     uint64 `json:"seq"`
	Op      Op     `json:"op"`
	ID      string `json:"id,omitempty"`
	Spec    *Spec  `json:"spec,omitempty"`
	Signal  int    `json:"signal,omitempty"`
	Data    []byte `json:"data,omitempty"`
	Name    string `json:"name,omitempty"`
	Address string `json:"address,omitempty"`
	RunDir  string `json:"run_dir,omitempty"`
}

// Spec is a process to start, in the words of exec: nothing is added to the environment but the instance's mark.
type Spec struct {
	Argv   []string `json:"argv"`
	Env    []string `json:"env"`
	Dir    string   `json:"dir"`
	RunDir string   `json:"run_dir"`
	// Silent says that stdout and stderr go nowhere; an earlier keeper captures them all the same.
	Silent bool `json:"silent,omitempty"`
	// Switch says that UID, GID and Groups are to be taken on; else the process runs as the agent does.
	Switch bool     `json:"switch,omitempty"`
	UID    uint32   `json:"uid,omitempty"`
	GID    uint32   `json:"gid,omitempty"`
	Groups []uint32 `json:"groups,omitempty"`
	// Stack is the limit of its stacks in bytes, 0 the agent's own; keepers of version 1 do not know it.
	Stack uint64 `json:"stack,omitempty"`
	// Note is kept with the instance from the begin, as OpNote would; an earlier keeper keeps none.
	Note []byte `json:"note,omitempty"`
}

// Kind is what a message of the keeper is.
type Kind string

const (
	KindHello    Kind = "hello"    // the first message
	KindInstance Kind = "instance" // one for each instance held, after hello
	KindListener Kind = "listener" // one for each listener held
	KindReady    Kind = "ready"    // the greeting is over
	KindAnswer   Kind = "answer"
	KindExit     Kind = "exit" // an instance's main process has ended
	KindStop     Kind = "stop" // drain, stop the instances, exit 0
)

// Message is one message of the keeper.
type Message struct {
	Kind    Kind   `json:"kind"`
	Version int    `json:"version,omitempty"`
	PID     int    `json:"pid,omitempty"` // of the keeper in hello, else of the main process
	Seq     uint64 `json:"seq,omitempty"`
	Error   string `json:"error,omitempty"`
	Errno   int    `json:"errno,omitempty"`
	ID      string `json:"id,omitempty"`
	Start   uint64 `json:"start,omitempty"` // ticks since boot
	Mark    string `json:"mark,omitempty"`
	RunDir  string `json:"run_dir,omitempty"`
	Note    []byte `json:"note,omitempty"`
	Exit    *Exit  `json:"exit,omitempty"`
	Name    string `json:"name,omitempty"`
	Address string `json:"address,omitempty"`
}

// Exit is how a main process ended: by code, or by signal when Signal is not 0.
type Exit struct {
	Code   int       `json:"code"`
	Signal int       `json:"signal,omitempty"`
	Time   time.Time `json:"time"`
}
