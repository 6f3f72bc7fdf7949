// Package shadow makes copies of an application's folder for instances to run from, so that files of the folder can be replaced
// under a running application: a copy is whole or not there, is never written to again, and is deleted when nothing runs from it
// any more (behaviour.md 6.3). It also watches the folder for files that an instance would run differently with.
//
// The folder belongs to others, the application among them. It is read with the rights of the application's user and no more, what
// stands in it leads nowhere else, and the copies are not writable. Copies of several folders, and of several agents, may lie in
// one directory.
package shadow

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/ancora-fleet/ancora/dataplane/process"
)

const (
	// copyLimit bounds the making of one copy.
	copyLimit = 10 * time.Minute
	// tries is how often a copy is begun anew since the folder has changed meanwhile; firstPause is before the second, and doubles.
	tries      = 5
	firstPause = 500 * time.Millisecond
)

// ErrPlace says that there can be no copies in the directory that is named for them, whatever is copied.
var ErrPlace = errors.New("no copies can be made there")

// Source is a folder that instances run from copies of.
type Source struct {
	// Root is absolute, with no symbolic link in it.
	Root string
	// Owner is whom it is read as; nil for whom the agent runs as.
	Owner *process.Credential
	// Programs are files below Root, with slashes, that count as code whatever they are called.
	Programs []string
}

// key is the same for sources of which one copy serves.
func (s Source) key() string {
	if s.Owner == nil {
		return s.Root
	}
	return fmt.Sprint(s.Root, "\x00", *s.Owner)
}

// Equal says whether two sources are the same.
func (s Source) Equal(other Source) bool {
	return s.key() == other.key() && slices.Equal(s.Programs, other.Programs)
}

// Copy is a copy as an instance knows it; it is kept with the instance.
type Copy struct {
	// Path is the copy's folder.
	Path string `json:"path"`
	// Code and Settings change with the files of the folder that were copied: those with code, and those beside them.
	Code     string `json:"code"`
	Settings string `json:"settings"`
}

// Config is for New.
type Config struct {
	// Top is a folder that the copies do not leave, Path where they go below it, with slashes.
	Top, Path string
	// Clean empties the directory before the first copy, of what nothing runs from.
	Clean bool
	// Agent names this agent among others that may use the same directory.
	Agent string
	// InUse gives the copies that processes run from, whoever has started them; sure is false when there are processes of which
	// that is not known.
	InUse  func() (paths []string, sure bool)
	Logger hclog.Logger
}

// Copies are those in one directory.
type Copies struct {
	config Config
	log    hclog.Logger
	turn   chan struct{} // holds a value while copies are made, chosen, or taken away

	cleaned bool // guarded by turn, as is ours
	ours    bool // the directory was one for copies before
	work    sync.WaitGroup

	mu       sync.Mutex
	current  map[string]seen // the newest copy of each source
	held     map[string]int  // by path
	unsure   bool            // what is not needed could not be told last time
	sweeping bool            // somebody waits for the turn to delete what is not needed
	renewed  time.Time
}

// seen is a copy, and the files that it was made from as far as this worker has seen them.
type seen struct {
	Copy
	files map[string]stamp
}

// New makes the room for copies in a directory, which need not exist yet. There must be one for each directory.
func New(config Config) *Copies {
	if config.Logger == nil {
		config.Logger = hclog.NewNullLogger()
	}
	c := &Copies{
		config: config, turn: make(chan struct{}, 1),
		current: map[string]seen{}, held: map[string]int{},
	}
	c.log = config.Logger.With("folder", c.Dir())
	return c
}

// Dir is where the copies lie.
func (c *Copies) Dir() string { return filepath.Join(c.config.Top, filepath.FromSlash(c.config.Path)) }

// Take gives the newest copy of a folder if what it was made from is still what is there, else a new one. The copy stays until
// Release. It waits until ctx ends, 10 minutes at most. The error is ErrPlace where the directory is not to be used.
func (c *Copies) Take(ctx context.Context, from Source) (Copy, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, copyLimit, fmt.Errorf("it took more than %v", copyLimit))
	defer cancel()
	select {
	case c.turn <- struct{}{}:
	case <-ctx.Done():
		return Copy{}, c.failed(from, context.Cause(ctx))
	}
	defer func() { <-c.turn }()
	got, err := c.take(ctx, from)
	if err != nil {
		return Copy{}, c.failed(from, err)
	}
	c.sweepLater()
	return got, nil
}

func (c *Copies) failed(from Source, err error) error {
	return fmt.Errorf("shadow copy of %s in %s: %w", from.Root, c.Dir(), err)
}

func (c *Copies) take(ctx context.Context, from Source) (Copy, error) {
	base, err := c.open(from)
	if err != nil {
		return Copy{}, fmt.Errorf("%w: %w", ErrPlace, err)
	}
	defer base.Close()
	if c.config.Clean && !c.cleaned {
		c.clean(base)
	}
	c.cleaned = true
	now, err := lookAt(ctx, from, base)
	if err != nil {
		return Copy{}, err
	}
	if have, ok := c.newest(from); ok && have.Code == now.Code && have.Settings == now.Settings && whole(base, have.Copy) {
		c.Hold(from, have.Copy)
		return have.Copy, nil
	}
	changed := ""
	for n := range tries {
		if n > 0 {
			c.log.Info("the folder has changed while it was copied, it is copied again", "file", changed)
			select {
			case <-time.After(firstPause << (n - 1)):
			case <-ctx.Done():
				return Copy{}, context.Cause(ctx)
			}
			if now, err = lookAt(ctx, from, base); err != nil {
				return Copy{}, err
			}
		}
		made, err := c.make(ctx, base, from, now)
		if err != nil {
			return Copy{}, err
		}
		after, err := lookAt(ctx, from, base)
		if err == nil && after.Code == now.Code {
			return c.keep(base, made, from, now)
		}
		c.drop(base, made)
		if err != nil {
			return Copy{}, err
		}
		changed = difference(now.files, after.files)
	}
	return Copy{}, fmt.Errorf("%s has changed while the folder was copied, each of %d times: let what writes it finish", changed, tries)
}

// make copies the folder to a name that no instance is started from.
func (c *Copies) make(ctx context.Context, base *os.Root, from Source, now look) (string, error) {
	name := c.mine() + rand.Text()
	if err := copyTree(ctx, base, name, from, now.bytes); err != nil {
		c.drop(base, name)
		return "", err
	}
	return name, nil
}

// keep gives a copy that is whole its number, the next one (SHC-2).
func (c *Copies) keep(base *os.Root, made string, from Source, now look) (Copy, error) {
	n, err := c.reserve(base)
	if err == nil {
		err = base.Rename(made, number(n))
	}
	if err != nil {
		c.drop(base, made)
		return Copy{}, err
	}
	got := Copy{filepath.Join(c.Dir(), number(n)), now.Code, now.Settings}
	c.mu.Lock()
	c.current[from.key()] = seen{got, now.files}
	c.held[got.Path]++
	c.mu.Unlock()
	c.log.Info("copied", "copy", n, "bytes", now.bytes)
	return got, nil
}

// drop deletes a copy that is not to be used.
func (c *Copies) drop(base *os.Root, made string) {
	if err := remove(base, made); err != nil {
		c.log.Warn("a copy that is not used is not deleted", "name", made, "error", err)
	}
}

// newest gives the newest copy of a source that this worker knows.
func (c *Copies) newest(from Source) (seen, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	have, ok := c.current[from.key()]
	return have, ok
}

// whole says whether a copy is still there.
func whole(base *os.Root, have Copy) bool {
	info, err := base.Lstat(path.Base(have.Path))
	return err == nil && info.IsDir()
}

// Hold says that an instance runs from a copy that was taken before, perhaps by an earlier worker; until Release.
func (c *Copies) Hold(from Source, have Copy) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.held[have.Path]++
	if now, ok := c.current[from.key()]; !ok || numberOf(have.Path) > numberOf(now.Path) {
		c.current[from.key()] = seen{Copy: have}
	}
}

// Release says that an instance has ended. A copy that nothing runs from is deleted beside, unless it is the newest of its folder.
func (c *Copies) Release(have Copy) {
	c.mu.Lock()
	if c.held[have.Path]--; c.held[have.Path] <= 0 {
		delete(c.held, have.Path)
	}
	c.mu.Unlock()
	c.sweepLater()
}

// open gives the directory of the copies, made if it is missing.
func (c *Copies) open(from Source) (*os.Root, error) {
	base, err := c.enter(true)
	if err != nil {
		return nil, err
	}
	if !strings.HasPrefix(c.Dir(), strings.TrimSuffix(from.Root, "/")+"/") {
		err = c.strangers(base, from)
	}
	if err == nil {
		err = c.claim(base)
	}
	if err != nil {
		return nil, errors.Join(err, base.Close())
	}
	return base, nil
}

// enter goes down to the directory, following no link: whoever may write into a folder on the way must not lead us elsewhere.
func (c *Copies) enter(create bool) (*os.Root, error) {
	at, err := os.OpenRoot(c.config.Top)
	if err != nil {
		return nil, err
	}
	for part := range strings.SplitSeq(c.config.Path, "/") {
		next, err := down(at, part, create)
		_ = at.Close()
		if err != nil {
			return nil, fmt.Errorf("%s: %w", part, err)
		}
		at = next
	}
	return at, nil
}

func down(at *os.Root, name string, create bool) (*os.Root, error) {
	if create {
		err := at.Mkdir(name, 0o755)
		if err == nil {
			err = at.Chmod(name, 0o755) // whatever the agent's umask is
		}
		if err != nil && !errors.Is(err, fs.ErrExist) {
			return nil, err
		}
	}
	next, err := at.OpenRoot(name)
	if err != nil {
		return nil, err
	}
	opened, err := next.Stat(".")
	if err == nil {
		var named os.FileInfo
		if named, err = at.Lstat(name); err == nil && !os.SameFile(opened, named) {
			err = errors.New("is a symbolic link")
		}
	}
	if err != nil {
		return nil, errors.Join(err, next.Close())
	}
	return next, nil
}
