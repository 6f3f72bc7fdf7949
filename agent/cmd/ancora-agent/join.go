package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/ancora-fleet/ancora/agent"
	"github.com/ancora-fleet/ancora/agent/identity"
	"github.com/ancora-fleet/ancora/agent/policy"
	"github.com/ancora-fleet/ancora/dataplane"
	"github.com/ancora-fleet/ancora/dataplane/atomicfile"
	"github.com/ancora-fleet/ancora/dataplane/site"
)

type joinOptions struct {
	places
	token, name, defaultUser string
	listen, roots            []string
}

// joinCommand makes this host one of a controller's.
func joinCommand(env environment) *cobra.Command {
	var o joinOptions
	c := &cobra.Command{
		Use:   "join ADDRESS --token TOKEN",
		Short: "Join a controller (its address for agents) with a token of `ancora token create`",
		Args:  arguments(1),
		RunE:  func(c *cobra.Command, args []string) error { return join(c.Context(), env, o, args[0]) },
	}
	o.flags(c, env)
	c.Flags().StringVar(&o.token, "token", "", "the join token; - reads it from standard input")
	c.Flags().StringVar(&o.name, "name", "", "name of this host (default: its host name)")
	c.Flags().StringArrayVar(&o.listen, "listen", nil, "NAME=ADDRESS of a listener, for a policy that is written now")
	c.Flags().StringArrayVar(&o.roots, "root", nil, "folder below which applications may live, for a policy that is written now")
	c.Flags().StringVar(&o.defaultUser, "default-user", "", "user of applications that name none, for a policy that is written now")
	return c
}

func join(ctx context.Context, env environment, o joinOptions, address string) error {
	if o.token == "-" {
		if _, err := fmt.Fscan(os.Stdin, &o.token); err != nil {
			return usageError{fmt.Errorf("token from standard input: %w", err)}
		}
	}
	if o.token == "" {
		return usageError{errors.New("--token is missing: an operator makes one with `ancora token create`")}
	}
	if o.name == "" {
		full, err := os.Hostname()
		if err != nil {
			return err
		}
		o.name, _, _ = strings.Cut(strings.ToLower(full), ".")
	}
	if err := site.ValidLabel(o.name); err != nil {
		return usageError{fmt.Errorf("--name: %w", err)}
	}
	if err := o.absolute(); err != nil {
		return err
	}
	wanted, err := o.newPolicy()
	if err != nil {
		return usageError{err}
	}
	if err := makeDataDir(o.data); err != nil {
		return err
	}
	id, err := identity.Enroll(ctx, identity.Join{Address: address, Token: o.token, Name: o.name, Dir: agent.IdentityDir(o.data)})
	if err != nil {
		return fmt.Errorf("join: %w", err)
	}
	if err := writePolicy(o.policy, wanted); err != nil {
		return err
	}
	_, err = fmt.Fprintf(env.Out, "joined as %s\npolicy %s says what applications may do here\nnext: ancora-agent run --data %s --policy %s\n", id.Host, o.policy, o.data, o.policy)
	return err
}

// newPolicy is what is written when there is no policy yet.
func (o *joinOptions) newPolicy() (dataplane.Policy, error) {
	p := dataplane.Policy{Roots: o.roots, DefaultUser: o.defaultUser, Listeners: map[string]string{}}
	if p.DefaultUser == "" && os.Geteuid() == 0 {
		users, _ := os.ReadFile("/etc/passwd")
		p.DefaultUser = policy.UserThatExists(string(users), "www-data", "http", "nginx")
	}
	for _, text := range o.listen {
		name, address, ok := strings.Cut(text, "=")
		if !ok {
			return p, fmt.Errorf("--listen %q is not NAME=ADDRESS", text)
		}
		p.Listeners[name] = address
	}
	for _, root := range o.roots {
		if !filepath.IsAbs(root) {
			return p, fmt.Errorf("--root %q is not absolute", root)
		}
	}
	_, err := policy.Parse("the policy of these flags", policy.Format(p))
	return p, err
}

// writePolicy writes a policy where there is none; one that is there is the host's and stays.
func writePolicy(path string, p dataplane.Policy) error {
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return atomicfile.Write(path, policy.Format(p), 0o644)
}
