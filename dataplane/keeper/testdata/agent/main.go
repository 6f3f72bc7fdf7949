// Command agent is a keeper and a worker for the keeper's tests: the worker does what it reads from a unix socket.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"github.com/ancora-fleet/ancora/dataplane/capture"
	"github.com/ancora-fleet/ancora/dataplane/keeper"
	"github.com/ancora-fleet/ancora/dataplane/process"
)

// command is one line from the test; the answer is one line of JSON.
type command struct {
	Do       string
	Run      uint64
	Argv     []string
	Env      []string
	Name     string
	Address  string
	Note     string
	Port     uint16
	Signal   int
	AsNobody bool
}

func main() {
	if err := run(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(dir string) error {
	file, worker := process.Inherited(os.Getenv)
	if !worker {
		ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
		defer stop()
		return keeper.New(keeper.Config{DataDir: dir, Args: os.Args[1:]}).Run(ctx)
	}
	client, err := process.Connect(file)
	if err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() { ended <- client.Run(context.Background()) }()
	go serve(dir, client)
	select {
	case err := <-ended:
		return err
	case <-client.Stopping():
		return nil
	}
}

func serve(dir string, client *process.Client) {
	path := filepath.Join(dir, "worker.sock")
	_ = os.Remove(path)
	listener, err := net.Listen("unix", path)
	if err != nil {
		panic(err)
	}
	for {
		conn, err := listener.Accept()
		if err != nil {
			panic(err)
		}
		go func() {
			defer conn.Close()
			for lines := bufio.NewScanner(conn); lines.Scan(); {
				var c command
				if err := json.Unmarshal(lines.Bytes(), &c); err != nil {
					panic(err)
				}
				result, err := do(dir, client, c)
				answer := map[string]any{"pid": os.Getpid(), "result": result}
				if err != nil {
					answer["error"] = err.Error()
				}
				_ = json.NewEncoder(conn).Encode(answer)
			}
		}()
	}
}

func do(dir string, client *process.Client, c command) (any, error) {
	ctx := context.Background()
	runDir := capture.RunDir(filepath.Join(dir, "captures"), "shop", "/", c.Run)
	switch c.Do {
	case "ping":
		return nil, nil
	case "start":
		spec := process.Spec{
			Identity: process.Identity{Site: "shop", Application: "/", Instance: 1, Run: c.Run},
			Argv:     c.Argv, Env: c.Env, Dir: "/", RunDir: runDir,
		}
		if c.AsNobody {
			spec.Credential = &process.Credential{UID: 65534, GID: 65534}
		}
		p, err := client.Start(ctx, spec)
		if err != nil {
			return nil, err
		}
		return p.Pid(), nil
	case "listen":
		listener, address, err := client.Listen(ctx, c.Name, c.Address)
		if err != nil {
			return nil, err
		}
		go answer(listener)
		return address, nil
	case "listeners":
		return client.Listeners(), nil
	case "append":
		return nil, client.Append(ctx, runDir, []byte(c.Note+"\n"))
	}
	for _, p := range client.Processes() {
		if p.Identity().Run == c.Run {
			return instance(ctx, p, c)
		}
	}
	return nil, fmt.Errorf("run %d is not held", c.Run)
}

func instance(ctx context.Context, p *process.Process, c command) (any, error) {
	switch c.Do {
	case "show":
		return map[string]any{"pid": p.Pid(), "note": string(p.Note())}, nil
	case "note":
		return nil, p.SetNote(ctx, []byte(c.Note))
	case "signal":
		return nil, p.Signal(ctx, syscall.Signal(c.Signal))
	case "kill":
		return nil, p.Kill(ctx)
	case "forget":
		return nil, p.Forget(ctx)
	case "wait":
		<-p.Done()
		return p.Exit().String(), nil
	case "listening":
		pid, err := p.Listener(process.Endpoint{Port: c.Port})
		return pid != 0, err
	}
	return nil, fmt.Errorf("%q is not known", c.Do)
}

// answer says which worker serves a connection.
func answer(listener net.Listener) {
	for {
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		fmt.Fprintf(conn, "%d\n", os.Getpid())
		_ = conn.Close()
	}
}
