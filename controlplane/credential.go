package controlplane

import (
	"context"
	"encoding/hex"
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"

	"github.com/goccy/go-yaml"

	"github.com/ancora-fleet/ancora/controlplane/auth"
	"github.com/ancora-fleet/ancora/controlplane/pki"
	"github.com/ancora-fleet/ancora/controlplane/store"
)

// credentialFile is the CLI's context of the first operator.
const credentialFile = "admin.yaml"

// credential is what the CLI needs to call this controller.
type credential struct {
	Address      string `yaml:"address"`
	AgentAddress string `yaml:"agent_address"`
	CASHA256     string `yaml:"ca_sha256"`
	Token        string `yaml:"token"`
}

// ensureCredential makes admin.yaml at the first start and brings its addresses up to date later. Who can write to the
// data directory is the operator, so the token in the file is let in also after the store was emptied. When the file was
// taken away and the store knows an operator, none is made; path is empty then.
func (c *Controller) ensureCredential(ctx context.Context, servers *servers) (path string, err error) {
	path = filepath.Join(c.config.DataDir, credentialFile)
	have, err := readCredential(path)
	if err != nil {
		return "", err
	}
	if have.Token == "" {
		if len(c.store.View().Operators) > 0 {
			return "", nil
		}
		have.Token = pki.NewSecret()
	}
	want := credential{
		Address:      reachable(servers.operators.address()),
		AgentAddress: c.config.AgentAdvertise,
		CASHA256:     hex.EncodeToString(c.authority.Digest()),
		Token:        have.Token,
	}
	if want.AgentAddress == "" {
		want.AgentAddress = reachable(servers.agents.address())
	}
	if want != have {
		content, err := yaml.Marshal(want)
		if err != nil {
			return "", err
		}
		if err := pki.WriteFile(path, content, 0o600); err != nil {
			return "", err
		}
	}
	digest := store.Digest([]byte(have.Token))
	_, err = c.store.Update(ctx, func(tx *store.Tx) error {
		if tx.View.Operators[digest] != auth.RoleAdmin {
			tx.PutOperator(digest, auth.RoleAdmin)
		}
		return nil
	})
	return path, err
}

// readCredential gives the zero value when there is no file.
func readCredential(path string) (credential, error) {
	var have credential
	content, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return have, nil
	}
	if err != nil {
		return have, err
	}
	if err := yaml.Unmarshal(content, &have); err != nil || have.Token == "" {
		// The library's text quotes the source, and the source holds the token.
		return have, errors.New(path + " is no YAML with a token: remove it to have a new one made for an emptied store")
	}
	return have, nil
}

// reachable puts this machine in place of a wildcard.
func reachable(address string) string {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return address
	}
	if ip := net.ParseIP(host); ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	return net.JoinHostPort(host, port)
}

// shellWord quotes a path where a shell would cut it up.
func shellWord(path string) string {
	if strings.ContainsAny(path, " \t\n'\"\\$`;&|<>()*?[]#~!{}") {
		return "'" + strings.ReplaceAll(path, "'", `'\''`) + "'"
	}
	return path
}
