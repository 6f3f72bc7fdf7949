package cli

import (
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"

	"github.com/goccy/go-yaml"
)

// controllerContext is which controller the verbs speak to, and as whom. The controller writes one at its first start
// (admin.yaml); --context, ANCORA_CONTEXT or a file in the XDG config directory name it.
type controllerContext struct {
	// Address of the operators' listener, host:port.
	Address string `yaml:"address"`
	// AgentAddress is where agents join, host:port. Empty: the host of Address, port 7401.
	AgentAddress string `yaml:"agent_address"`
	// CASHA256 is the digest of the controller's CA certificate (DER), in hex.
	CASHA256 string `yaml:"ca_sha256"`
	// Token says who is calling.
	Token string `yaml:"token"`

	file string
}

const defaultAgentPort = "7401"

// contextPath returns the file in question: --context, ANCORA_CONTEXT, else the one in the XDG config directory.
func (p *program) contextPath() (string, error) {
	if p.contextFile != "" {
		return p.contextFile, nil
	}
	if path := p.Getenv("ANCORA_CONTEXT"); path != "" {
		return path, nil
	}
	dir := p.Getenv("XDG_CONFIG_HOME")
	if dir == "" {
		home := p.Getenv("HOME")
		if home == "" {
			return "", usagef("no controller is named: neither --context, ANCORA_CONTEXT, XDG_CONFIG_HOME nor HOME is set")
		}
		dir = filepath.Join(home, ".config")
	}
	return filepath.Join(dir, "ancora", "context.yaml"), nil
}

func (p *program) loadContext() (*controllerContext, error) {
	path, err := p.contextPath()
	if err != nil {
		return nil, err
	}
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, usagef("no controller is named: %s does not exist\n"+
			"A controller writes admin.yaml into its data directory and says where: export ANCORA_CONTEXT=.../admin.yaml\n"+
			"To try ancora on this machine: ancora dev", path)
	}
	if err != nil {
		return nil, usagef("%w", err)
	}
	c, err := parseContext(data)
	if err != nil {
		return nil, usagef("%s: %w", path, err)
	}
	c.file = path
	return c, nil
}

func parseContext(data []byte) (*controllerContext, error) {
	c := &controllerContext{}
	if err := yaml.Unmarshal(data, c); err != nil {
		// The library's own text quotes the source, and the source holds the token.
		return nil, errors.New("is no YAML of the form address, ca_sha256, token")
	}
	if _, _, err := net.SplitHostPort(c.Address); err != nil {
		return nil, fmt.Errorf("address %q: want host:port", c.Address)
	}
	if digest, err := hex.DecodeString(c.CASHA256); err != nil || len(digest) != 32 {
		return nil, errors.New("ca_sha256: want 64 hexadecimal digits")
	}
	if c.Token == "" {
		return nil, errors.New("token: is missing")
	}
	return c, nil
}

// agents returns where hosts join.
func (c *controllerContext) agents() string {
	if c.AgentAddress != "" {
		return c.AgentAddress
	}
	host, _, _ := net.SplitHostPort(c.Address)
	return net.JoinHostPort(host, defaultAgentPort)
}
