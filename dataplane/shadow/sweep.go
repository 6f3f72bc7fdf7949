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
	"strconv"
	"strings"
	"syscall"
	"time"
)

const (
	// prefix begins the name of everything in the directory that is no copy, but ours.
	prefix = ".ancora-"
	// marker is a file by which a directory for copies is known: it is never copied itself.
	marker = prefix + "copies"
	// leasePrefix begins that of the file which says whose a copy is.
	leasePrefix = prefix + "lease-"
	// lastNumber is the highest that is taken for a copy's: folders are named by dates too, which have eight digits.
	lastNumber = 9_999_999
	// usual is the directory's name by the module's documentation.
	usual = "ShadowCopyDirectory"
	// leaseLife is how long a copy of another agent is left alone after its lease was renewed, which happens every leaseEvery.
	leaseLife  = 24 * time.Hour
	leaseEvery = 10 * time.Minute
)

func number(n int) string { return strconv.Itoa(n) }

// numberOf gives the number of a copy, -1 for what is none.
func numberOf(name string) int {
	name = path.Base(name)
	n, err := strconv.Atoi(name)
	if err != nil || n < 0 || n > lastNumber || number(n) != name {
		return -1
	}
	return n
}

// mine begins the names of what this agent makes or deletes at the moment.
func (c *Copies) mine() string { return prefix + c.config.Agent + "-" }

// list gives the numbers of the copies in the directory, and the names of everything else.
func list(base *os.Root) (numbers []int, others []string, err error) {
	dir, err := base.Open(".")
	if err != nil {
		return nil, nil, err
	}
	defer dir.Close()
	entries, err := dir.ReadDir(-1)
	for _, e := range entries {
		if n := numberOf(e.Name()); n >= 0 && e.IsDir() {
			numbers = append(numbers, n)
		} else {
			others = append(others, e.Name())
		}
	}
	slices.Sort(numbers)
	slices.Sort(others)
	return numbers, others, err
}

// reserve finds the next number and says that it is this agent's.
func (c *Copies) reserve(base *os.Root) (int, error) {
	numbers, others, err := list(base)
	if err != nil {
		return 0, err
	}
	next := 0
	if len(numbers) > 0 {
		next = slices.Max(numbers) + 1
	}
	for slices.Contains(others, leasePrefix+number(next)) {
		next++
	}
	for ; next <= lastNumber; next++ {
		file, err := base.OpenFile(leasePrefix+number(next), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
		if errors.Is(err, fs.ErrExist) { // another agent was faster
			continue
		}
		if err != nil {
			return 0, err
		}
		_, err = file.WriteString(c.config.Agent + "\n")
		return next, errors.Join(err, file.Close())
	}
	return 0, fmt.Errorf("there is no number left up to %d: empty the folder", lastNumber)
}

// claim marks the directory as one for copies.
func (c *Copies) claim(base *os.Root) error {
	file, err := base.OpenFile(marker, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	switch {
	case errors.Is(err, fs.ErrExist):
		c.ours = true
		return nil
	case err != nil:
		return err
	}
	_, err = file.WriteString("Copies of an application's folder that its instances run from. They are made and deleted by ancora-agent.\n")
	return errors.Join(err, file.Close())
}

// foreign says whether a copy is another agent's that has renewed its lease.
func (c *Copies) foreign(base *os.Root, n int) bool {
	info, err := base.Lstat(leasePrefix + number(n))
	if err != nil || !info.Mode().IsRegular() || info.Size() > 1<<10 || time.Since(info.ModTime()) > leaseLife {
		return false
	}
	text, err := base.ReadFile(leasePrefix + number(n))
	return err == nil && strings.TrimSpace(string(text)) != c.config.Agent
}

// strangers refuses a directory outside the folder that holds anything but copies, or that is somebody else's: what stands in it
// would be in danger by a path that was mistyped, or is meant ill.
func (c *Copies) strangers(base *os.Root, from Source) error {
	_, others, err := list(base)
	if err != nil {
		return err
	}
	for _, name := range others {
		if !strings.HasPrefix(name, prefix) {
			return fmt.Errorf("the directory lies outside the application's folder and holds %s, which is no copy: name one that holds copies alone", name)
		}
	}
	if os.Geteuid() != 0 {
		return nil // what it may not write to, it cannot
	}
	here, err := base.Stat(".")
	if err != nil {
		return err
	}
	folder, err := os.Stat(from.Root)
	if err != nil {
		return err
	}
	owner := uidOf(here)
	if owner == 0 || owner == uidOf(folder) || from.Owner != nil && owner == from.Owner.UID {
		return nil
	}
	return fmt.Errorf("the directory lies outside the application's folder and belongs to user %d, "+
		"not to root, to the owner of the folder or to the application's user", owner)
}

func uidOf(info fs.FileInfo) uint32 {
	if stat, ok := info.Sys().(*syscall.Stat_t); ok {
		return stat.Uid
	}
	return 0
}

// sweepLater deletes what is not needed any more, beside.
func (c *Copies) sweepLater() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.sweeping {
		return
	}
	c.sweeping = true
	c.work.Go(c.sweep)
}

// Settle waits for deletions to end, or for ctx: what is not deleted then is a leftover for the next agent.
func (c *Copies) Settle(ctx context.Context) {
	done := make(chan struct{})
	go func() { c.work.Wait(); close(done) }()
	select {
	case <-done:
	case <-ctx.Done():
	}
}

func (c *Copies) sweep() {
	c.turn <- struct{}{} // copyLimit bounds how long
	c.mu.Lock()
	c.sweeping = false
	c.mu.Unlock()
	base, err := c.enter(false)
	var gone []string
	if err == nil {
		gone = c.pick(base)
	}
	<-c.turn
	if err != nil {
		return // there is none any more
	}
	defer base.Close()
	for _, name := range gone {
		c.drop(base, name)
	}
}

// pick takes away what is not needed, by giving it a name that is no number, and says what is to be deleted. It is this one's turn.
func (c *Copies) pick(base *os.Root) (gone []string) {
	numbers, others, err := list(base)
	if err != nil {
		c.log.Warn("old copies are not deleted", "error", err)
		return nil
	}
	for _, name := range others {
		if c.leftover(base, name, numbers) {
			gone = append(gone, name)
		}
	}
	used, sure := c.used()
	c.mu.Lock()
	c.unsure = !sure
	c.mu.Unlock()
	if !sure {
		return gone
	}
	for _, n := range numbers {
		if used[filepath.Join(c.Dir(), number(n))] || c.foreign(base, n) {
			continue
		}
		name := c.mine() + rand.Text()
		if err := base.Rename(number(n), name); err != nil {
			c.log.Warn("an old copy is not deleted", "copy", n, "error", err)
			continue
		}
		_ = base.Remove(leasePrefix + number(n)) // one that stays is a leftover
		gone = append(gone, name)
	}
	return gone
}

// leftover says whether something that is no copy was left by this agent, or by another one that is gone.
func (c *Copies) leftover(base *os.Root, name string, numbers []int) bool {
	if !strings.HasPrefix(name, prefix) || name == marker {
		return false
	}
	info, err := base.Lstat(name)
	if err != nil {
		return false
	}
	old := time.Since(info.ModTime()) > leaseLife
	if n, ok := strings.CutPrefix(name, leasePrefix); ok {
		taken := slices.Contains(numbers, numberOf(n))
		return !taken && (old || !c.foreign(base, numberOf(n)))
	}
	return old || strings.HasPrefix(name, c.mine())
}

// used are the paths of copies that must stay; sure is false when there may be others.
func (c *Copies) used() (paths map[string]bool, sure bool) {
	var running []string
	running, sure = nil, true
	if c.config.InUse != nil {
		running, sure = c.config.InUse()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	paths = map[string]bool{}
	for _, p := range running {
		paths[p] = true
	}
	for p := range c.held {
		paths[p] = true
	}
	for _, have := range c.current {
		paths[have.Path] = true
	}
	return paths, sure
}

// clean empties the directory (SHC-4): of copies that nothing runs from, and where it is known to be for copies alone, by its name
// or since there were some before, of everything else.
func (c *Copies) clean(base *os.Root) {
	_, others, err := list(base)
	if err != nil {
		c.log.Warn("the folder of the copies is not emptied", "error", err)
		return
	}
	gone := c.pick(base)
	ours := c.ours || strings.EqualFold(path.Base(c.config.Path), usual)
	for _, name := range others {
		switch {
		case strings.HasPrefix(name, prefix):
		case ours:
			gone = append(gone, name)
		default:
			c.log.Warn("the folder of the copies holds what is no copy, which is not deleted", "name", name)
		}
	}
	for _, name := range gone {
		c.drop(base, name)
	}
}

// renew says to other agents that the copies of this one are in use; it also looks again at what could not be deleted before.
func (c *Copies) renew(now time.Time) {
	c.mu.Lock()
	due, unsure := now.Sub(c.renewed) > leaseEvery, c.unsure
	if due {
		c.renewed = now
	}
	c.mu.Unlock()
	if unsure {
		c.sweepLater()
	}
	if !due {
		return
	}
	base, err := c.enter(false)
	if err != nil {
		return
	}
	defer base.Close()
	used, _ := c.used()
	for p := range used {
		if filepath.Dir(p) != c.Dir() {
			continue // another directory's
		}
		if err := base.Chtimes(leasePrefix+path.Base(p), now, now); err != nil {
			c.log.Warn("another agent may take this copy for an old one", "copy", path.Base(p), "error", err)
		}
	}
}

// remove deletes a file, or a folder with all that is in it.
func remove(base *os.Root, name string) error {
	err := base.RemoveAll(name)
	if err == nil || !errors.Is(err, fs.ErrPermission) {
		return err
	}
	// Folders of a copy are not writable, which counts for everybody but root.
	inside, err := base.OpenRoot(name)
	if err != nil {
		return err
	}
	defer inside.Close()
	err = fs.WalkDir(inside.FS(), ".", func(name string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() {
			err = inside.Chmod(name, 0o700)
		}
		return err
	})
	return errors.Join(err, base.RemoveAll(name))
}
