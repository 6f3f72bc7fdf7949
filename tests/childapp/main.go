// Command childapp is the application under supervision in the tests: an HTTP program that starts, serves, logs, forks,
// crashes and stops in every way a supervisor must be able to deal with.
//
//	childapp [flags]          an HTTP server on the port its environment names
//	childapp relay ADDRESS    a byte-exact TCP relay from that port to ADDRESS
//	childapp linger           does nothing until it is killed (what forks leave behind)
//
// The port is PORT, else ASPNETCORE_PORT; where SOCKET is set, it listens on that unix socket instead.
package main

import (
	"flag"
	"fmt"
	"net"
	"os"
	"os/signal"
	"syscall"
	"time"
)

type options struct {
	startDelay time.Duration
	stopDelay  time.Duration
	exit       int
	silent     bool
	elsewhere  bool
	ignoreTerm bool
	noShutdown bool
	fork       string
	listener   string
	say        string
	also       string
}

func main() {
	if len(os.Args) > 1 {
		switch os.Args[1] {
		case "relay":
			if len(os.Args) != 3 {
				fatal("usage: childapp relay ADDRESS")
			}
			fatalIf(relay(port(), os.Args[2]))
			return
		case "linger":
			linger()
			return
		}
	}
	fatalIf(run(parse(os.Args[1:])))
}

func parse(args []string) options {
	var o options
	flags := flag.NewFlagSet("childapp", flag.ExitOnError)
	flags.DurationVar(&o.startDelay, "start-delay", 0, "wait before listening")
	flags.DurationVar(&o.stopDelay, "stop-delay", 0, "wait before a graceful stop ends")
	flags.IntVar(&o.exit, "exit", -1, "print to stderr and exit with this code before listening")
	flags.BoolVar(&o.silent, "silent", false, "never listen")
	flags.BoolVar(&o.elsewhere, "elsewhere", false, "listen on a free port instead of the given one")
	flags.BoolVar(&o.ignoreTerm, "ignore-term", false, "ignore SIGTERM and refuse the shutdown request")
	flags.BoolVar(&o.noShutdown, "no-shutdown-request", false, "answer the shutdown request with 404, as programs without IIS integration do")
	flags.StringVar(&o.fork, "fork", "", "leave grandchildren behind at start: plain, setsid or double")
	flags.StringVar(&o.listener, "listener", "", "grandchild: serve from a child of this process; orphan: and end at once")
	flags.StringVar(&o.also, "also", "", "listen on this address as well, before anything else, as programs do that have ports of their own")
	flags.StringVar(&o.say, "say", "", "text of the answer to /")
	_ = flags.Parse(args)
	return o
}

func run(o options) error {
	fmt.Printf("childapp starts pid=%d\n", os.Getpid())
	if o.exit >= 0 {
		fmt.Fprintln(os.Stderr, "childapp: cannot start: told to exit")
		os.Exit(o.exit)
	}
	if o.also != "" {
		own, err := net.Listen("tcp", o.also)
		if err != nil {
			return err
		}
		defer own.Close()
	}
	if o.fork != "" {
		if err := fork(o.fork); err != nil {
			return err
		}
	}
	if o.listener != "" {
		return serveFromChild(o.listener == "grandchild")
	}
	stop := make(chan os.Signal, 4)
	signal.Notify(stop, syscall.SIGTERM, syscall.SIGINT)
	time.Sleep(o.startDelay)
	if o.silent {
		return wait(stop, o)
	}
	return serve(o, stop)
}

// wait ends at the first stop signal, or never when it is told to ignore them.
func wait(stop <-chan os.Signal, o options) error {
	for s := range stop {
		if o.ignoreTerm {
			fmt.Printf("childapp ignores %v\n", s)
			continue
		}
		return nil
	}
	return nil
}

func port() string {
	for _, name := range []string{"PORT", "ASPNETCORE_PORT"} {
		if p := os.Getenv(name); p != "" {
			return p
		}
	}
	fatal("childapp: neither PORT nor ASPNETCORE_PORT is set")
	return ""
}

func fatalIf(err error) {
	if err != nil {
		fatal(err.Error())
	}
}

func fatal(text string) {
	fmt.Fprintln(os.Stderr, text)
	os.Exit(1)
}
