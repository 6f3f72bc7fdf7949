// Command ancora is the controller and the operator's command line.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/ancora-fleet/ancora/controlplane/cli"
)

// version is set when the program is built.
var version = "unknown"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	env := cli.Env{In: os.Stdin, Out: os.Stdout, Err: os.Stderr, Getenv: os.Getenv, Version: version}
	code := cli.Run(ctx, env, os.Args[1:], controllerCommand())
	stop()
	os.Exit(code)
}
