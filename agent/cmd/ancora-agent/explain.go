package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/ancora-fleet/ancora/agent/admin"
	"github.com/ancora-fleet/ancora/dataplane/explain"
	"github.com/ancora-fleet/ancora/dataplane/wire"
	typesv1 "github.com/ancora-fleet/ancora/proto/ancora/types/v1"
)

// explainTimeout is how long the agent of this host may take to answer.
const explainTimeout = 10 * time.Second

type explainOptions struct {
	site, method, from, listener, run, served string
	json                                      bool
}

// explainCommand asks the agent that runs on this host, by its admin socket.
func explainCommand(env environment) *cobra.Command {
	var o explainOptions
	c := &cobra.Command{
		Use:   "explain URL",
		Short: "Which rule, application and instance of this host would answer a request, and why not",
		Long: `Asks the agent that runs on this host what it would do with a request, step by step, as its data plane decides. No request is
sent, nothing is started and nothing counted. A step that begins with x is why the request gets no further, one with ! is not as it
was meant or not sure; the last line is the answer.`,
		Args: arguments(1),
		RunE: func(c *cobra.Command, args []string) error { return explainURL(c.Context(), env, o, args[0]) },
	}
	c.Flags().StringVar(&o.site, "site", "", "say why this site does not answer, if it does not")
	c.Flags().StringVar(&o.method, "method", "GET", "method of the request")
	c.Flags().StringVar(&o.from, "from", "", "`address` of the client; without one rules about clients are left out")
	c.Flags().StringVar(&o.listener, "listener", "", "name of the listener that the request comes in by (default the one that the URL means)")
	c.Flags().StringVar(&o.run, "run-dir", "", "`directory` of the admin socket (default: that of run; of serve: its --data)")
	c.Flags().StringVar(&o.served, "served", "", "folder or `file` that serve was started with, without --data, instead of --run-dir")
	c.Flags().BoolVar(&o.json, "json", false, "print the explanation as JSON")
	return c
}

// socket is where the agent is asked.
func (o *explainOptions) socket(env environment) (string, error) {
	dir := o.run
	switch {
	case o.run != "" && o.served != "":
		return "", usageError{errors.New("--run-dir and --served: one of them says which agent")}
	case o.served != "":
		path, err := filepath.Abs(o.served)
		if err != nil {
			return "", err
		}
		dir = stateDir(env, path)
	case dir == "":
		if dir = runDir(env); dir == "" {
			dir = filepath.Join(dataDir(env), "run")
		}
	}
	return filepath.Join(dir, admin.SocketName), nil
}

func explainURL(ctx context.Context, env environment, o explainOptions, text string) error {
	if _, err := explain.ParseURL(text); err != nil {
		return usageError{err}
	}
	if o.from != "" {
		if _, err := netip.ParseAddr(o.from); err != nil {
			return usageError{fmt.Errorf("--from %q is no address", o.from)}
		}
	}
	socket, err := o.socket(env)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, explainTimeout)
	defer cancel()
	content, err := askSocket(ctx, socket, url.Values{"url": {text}, "site": {o.site}, "method": {o.method}, "listener": {o.listener}, "client": {o.from}})
	if err != nil {
		return err
	}
	var m typesv1.Explanation
	if err := (protojson.UnmarshalOptions{DiscardUnknown: true}).Unmarshal(content, &m); err != nil {
		return fmt.Errorf("the agent's answer: %w", err)
	}
	if o.json {
		var any json.RawMessage = content
		indented, err := json.MarshalIndent(any, "", "  ")
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(env.Out, "%s\n", indented)
		return err
	}
	for _, line := range explain.Lines([]explain.Hosted{{Trail: wire.Explanation(&m)}}) {
		if _, err := fmt.Fprintln(env.Out, printable([]byte(line))); err != nil {
			return err
		}
	}
	return nil
}

// askSocket sends a form to the agent. Its errors never show the form: a URL may hold secrets.
func askSocket(ctx context.Context, socket string, form url.Values) ([]byte, error) {
	client := http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", socket)
	}}}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://admin"+admin.ExplainPath, strings.NewReader(form.Encode()))
	if err != nil {
		return nil, err
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	answer, err := client.Do(r)
	if err != nil {
		if failed, ok := errors.AsType[*url.Error](err); ok {
			err = failed.Err
		}
		return nil, fmt.Errorf("no agent answers at %s (--run-dir, or --served for serve): %w", socket, err)
	}
	defer answer.Body.Close()
	content, err := io.ReadAll(io.LimitReader(answer.Body, 8<<20))
	switch {
	case err != nil:
		return nil, err
	case answer.StatusCode == http.StatusNotFound, answer.StatusCode == http.StatusMethodNotAllowed:
		return nil, fmt.Errorf("the agent that answers at %s cannot explain: a later one can", socket)
	case answer.StatusCode != http.StatusOK:
		return nil, usageError{errors.New(strings.TrimSpace(string(content)))}
	}
	return content, nil
}
