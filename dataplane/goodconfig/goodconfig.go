// Package goodconfig keeps on disk, of each application, the web.config files that it runs with, so that one that is broken
// when the agent's worker starts takes down as little as one that breaks while it runs.
package goodconfig

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/ancora-fleet/ancora/dataplane/atomicfile"
	"github.com/ancora-fleet/ancora/dataplane/regular"
)

// Limit is how many bytes the files of one application may have together to be kept.
const Limit = 4 << 20

// recordLimit is the size of a record of such files: they are written in base 64, among paths.
const recordLimit = 2 * Limit

// File is the web.config of one folder.
type File struct {
	// Path is the application's whose folder it is, Folder the true folder.
	Path   string `json:"path"`
	Folder string `json:"folder"`
	// Name is the path of the file; empty: the folder has none.
	Name    string `json:"name,omitempty"`
	Content []byte `json:"content,omitempty"`
}

// Record is what an application's configuration is made of.
type Record struct {
	// Revision and Epoch are the site's.
	Revision int64 `json:"revision"`
	Epoch    int64 `json:"epoch"`
	// Files are those of the applications above, the highest first, and the application's own last.
	Files []File `json:"files"`
}

// kept is the form of a record on disk.
type kept struct {
	Site        string `json:"site"`
	Application string `json:"application"`
	Record
}

// Equal says that two records hold the same.
func (r Record) Equal(o Record) bool {
	return r.Revision == o.Revision && r.Epoch == o.Epoch && slices.EqualFunc(r.Files, o.Files, func(a, b File) bool {
		return a.Path == b.Path && a.Folder == b.Folder && a.Name == b.Name && bytes.Equal(a.Content, b.Content)
	})
}

// SamePlaces says that files are of the same folders of the same applications, whatever is in them: those of another root
// say nothing about this one.
func SamePlaces(a, b []File) bool {
	return slices.EqualFunc(a, b, func(a, b File) bool { return a.Path == b.Path && a.Folder == b.Folder })
}

// Store is a directory with a directory for each site. It is made when something is kept.
type Store struct{ dir string }

// New gives the store in a directory.
func New(dir string) *Store { return &Store{dir} }

// Load gives what is kept of an application. The error is fs.ErrNotExist when that is nothing, or nothing whole.
func (s *Store) Load(site, application string) (Record, error) {
	file := s.file(site, application)
	data, err := regular.Read(file, recordLimit)
	if err != nil {
		return Record{}, err
	}
	var k kept
	sum, text, _ := bytes.Cut(data, []byte("\n"))
	if string(sum) != digest(text) || json.Unmarshal(text, &k) != nil || k.Site != site || k.Application != application {
		return Record{}, fmt.Errorf("%s is damaged: %w", file, fs.ErrNotExist)
	}
	return k.Record, nil
}

// Save keeps a record in place of the one before. What is too large is not kept, nor is what it would have replaced: that is
// not what the application runs with.
func (s *Store) Save(site, application string, r Record) error {
	size := 0
	for _, f := range r.Files {
		size += len(f.Content)
	}
	file := s.file(site, application)
	if size > Limit {
		return errors.Join(fmt.Errorf("the files have %d bytes, at most %d are kept", size, Limit), ignoreMissing(os.Remove(file)))
	}
	text, err := json.Marshal(kept{site, application, r})
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return err
	}
	return atomicfile.Write(file, append([]byte(digest(text)+"\n"), text...), 0o600)
}

// Sweep drops all but what is kept of the applications named, by their sites, and what a crash left half-written.
func (s *Store) Sweep(wanted map[string][]string) error {
	sites, err := os.ReadDir(s.dir)
	if err != nil {
		return ignoreMissing(err)
	}
	for _, site := range sites {
		dir := filepath.Join(s.dir, site.Name())
		applications := wanted[site.Name()]
		if len(applications) == 0 {
			err = errors.Join(err, os.RemoveAll(dir))
			continue
		}
		names := map[string]bool{}
		for _, a := range applications {
			names[name(a)] = true
		}
		files, readErr := os.ReadDir(dir)
		err = errors.Join(err, readErr)
		for _, f := range files {
			if !names[f.Name()] {
				err = errors.Join(err, os.RemoveAll(filepath.Join(dir, f.Name())))
			}
		}
	}
	return err
}

func (s *Store) file(site, application string) string {
	return filepath.Join(s.dir, site, name(application))
}

// name is that of an application's file: paths may be longer than names of files.
func name(application string) string { return digest([]byte(application))[:32] }

func digest(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

func ignoreMissing(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
