package dataplane

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/ancora-fleet/ancora/dataplane/process"
)

// account is whom an application runs as.
type account struct {
	name, home string
	uid        uint32
	groups     []uint32 // the first one is the user's own
	credential *process.Credential
}

func (w account) String() string { return fmt.Sprintf("|%d %v", w.uid, w.groups) }

// account finds whom an application runs as and whether the policy allows it (D12). An agent that is not root runs all as
// itself.
func (p *Policy) account(wanted string) (account, error) {
	if os.Geteuid() != 0 {
		return ownAccount(wanted)
	}
	name := cmp.Or(wanted, p.DefaultUser)
	if name == "" {
		return account{}, errors.New("no user to run as: name user in the site, or defaultUser in this host's policy")
	}
	w, err := lookUp(name)
	if err != nil {
		return account{}, err
	}
	if w.uid == 0 && !p.AllowRoot {
		return account{}, fmt.Errorf("user %s: applications do not run as root", name)
	}
	if wanted != "" && wanted != p.DefaultUser && !slices.Contains(p.Users, wanted) {
		return account{}, fmt.Errorf("user %s is not allowed by this host's policy (users: %s)", name, strings.Join(append(slices.Clone(p.Users), p.DefaultUser), ", "))
	}
	w.credential = &process.Credential{UID: w.uid, GID: w.groups[0], Groups: w.groups}
	return w, nil
}

func ownAccount(wanted string) (account, error) {
	own := strconv.Itoa(os.Geteuid())
	w, err := lookUp(own)
	if err != nil {
		return account{}, err
	}
	if wanted != "" && wanted != w.name && wanted != own {
		return account{}, fmt.Errorf("user %s: the agent runs as %s and cannot change to another user", wanted, w.name)
	}
	return w, nil
}

// lookUp takes a name or a number; a number needs no entry.
func lookUp(name string) (account, error) {
	u, err := user.Lookup(name)
	number, numeric := strconv.ParseUint(name, 10, 32)
	if err != nil && numeric == nil {
		u, err = user.LookupId(name)
		if err != nil {
			return account{name: name, uid: uint32(number), groups: []uint32{uint32(number)}}, nil
		}
	}
	if err != nil {
		return account{}, fmt.Errorf("user %s does not exist on this host", name)
	}
	ids := []string{u.Gid}
	if more, err := u.GroupIds(); err == nil {
		ids = append(ids, more...)
	}
	w := account{name: u.Username, home: u.HomeDir}
	uid, err := strconv.ParseUint(u.Uid, 10, 32)
	if err != nil {
		return account{}, fmt.Errorf("user %s: %w", name, err)
	}
	w.uid = uint32(uid)
	for _, id := range ids {
		if n, err := strconv.ParseUint(id, 10, 32); err == nil && !slices.Contains(w.groups, uint32(n)) {
			w.groups = append(w.groups, uint32(n))
		}
	}
	return w, nil
}

// reaches says whether the account may go to a folder, or execute a program, and names the first thing in the way.
func (w account) reaches(path string) error {
	if w.uid == 0 {
		return nil
	}
	at := "/"
	for part := range strings.SplitSeq(strings.TrimPrefix(path, "/"), "/") {
		at = filepath.Join(at, part)
		info, err := os.Stat(at)
		if err != nil {
			return err
		}
		if !w.mayEnter(at, info) {
			if info.IsDir() {
				return fmt.Errorf("user %s cannot reach %s: %s is in the way (mode %v)", w.name, path, at, info.Mode().Perm())
			}
			return fmt.Errorf("user %s may not execute %s (mode %v)", w.name, path, info.Mode().Perm())
		}
	}
	return nil
}

// mayEnter goes by the mode alone; where access lists decide nothing is said against.
func (w account) mayEnter(path string, info os.FileInfo) bool {
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return true
	}
	mode := info.Mode().Perm()
	switch {
	case stat.Uid == w.uid:
		mode >>= 6
	case slices.Contains(w.groups, stat.Gid):
		mode >>= 3
	}
	if mode&1 != 0 {
		return true
	}
	size, err := unix.Getxattr(path, "system.posix_acl_access", nil)
	return err == nil && size > 0
}

// home gives a HOME that exists and outlives deployments (D15): the user's own, else one of the application.
func (h host) home(site, application string, who account) (home string, own bool, err error) {
	if info, err := os.Stat(who.home); who.home != "" && who.home != "/" && err == nil && info.IsDir() && who.reaches(who.home) == nil {
		return who.home, false, nil
	}
	home, err = h.ownDir("homes", site+strings.ReplaceAll(application, "/", "~"), who)
	return home, true, err
}

// longestSocket is how long the path of a unix socket may be, less a run's number.
const longestSocket = 107 - len("/18446744073709551615")

// sockets gives the folder for the unix sockets of an application, which only its user may enter. Its name is short, since
// the path of a socket must be.
func (h host) sockets(site, application string, who account) (string, error) {
	sum := sha256.Sum256([]byte(site + application))
	dir, err := h.ownDir("sockets", hex.EncodeToString(sum[:6]), who)
	if err == nil && len(dir) > longestSocket {
		err = fmt.Errorf("socket: unix: %s is too long for the path of a socket, %d bytes at most: choose a shorter data directory", dir, longestSocket)
	}
	return dir, err
}

// ownDir gives a folder below the data directory that belongs to an application's user.
func (h host) ownDir(kind, name string, who account) (string, error) {
	all := filepath.Join(h.dataDir, kind)
	dir := filepath.Join(all, name)
	if !h.make {
		return dir, who.reaches(firstThere(dir))
	}
	if err := os.MkdirAll(all, 0o711); err != nil {
		return "", err
	}
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, os.ErrExist) {
		return "", err
	}
	if os.Geteuid() == 0 {
		if err := os.Lchown(dir, int(who.uid), int(who.groups[0])); err != nil {
			return "", err
		}
	}
	return dir, who.reaches(dir)
}

// firstThere gives a path, or what of the way to it there is.
func firstThere(path string) string {
	for path != "/" {
		if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
			break
		}
		path = filepath.Dir(path)
	}
	return path
}
