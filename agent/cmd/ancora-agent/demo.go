package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"
)

// demoCommand is the application that `ancora dev` and the README show: it needs nothing but this program.
func demoCommand(env environment) *cobra.Command {
	return &cobra.Command{
		Use: "demo-app", Hidden: true, Args: noArguments,
		Short: "A small application to try ancora with: it listens on PORT and greets with the text of hello.txt",
		RunE:  func(c *cobra.Command, _ []string) error { return demo(c.Context(), env) },
	}
}

func demo(ctx context.Context, env environment) error {
	port := env.Getenv("PORT")
	if port == "" {
		return usageError{errors.New("demo-app: PORT is not set")}
	}
	greeting := "hello from demo"
	if text, err := os.ReadFile("hello.txt"); err == nil {
		greeting = strings.TrimSpace(string(text))
	}
	var routes http.ServeMux
	routes.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(env.Out, "%s %s\n", r.Method, r.URL.Path)
		fmt.Fprintf(w, "%s (pid %d)\n", greeting, os.Getpid())
	})
	routes.HandleFunc("/crash", func(http.ResponseWriter, *http.Request) {
		fmt.Fprintln(env.Err, "panic: you asked for it")
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
	})
	server := &http.Server{Handler: &routes, ReadHeaderTimeout: 10 * time.Second}
	listener, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", port))
	if err != nil {
		return err
	}
	fmt.Fprintf(env.Out, "demo listens on %s\n", listener.Addr())
	stopped := context.AfterFunc(ctx, func() {
		limited, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		_ = server.Shutdown(limited)
	})
	defer stopped()
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}
