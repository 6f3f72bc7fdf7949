// Package lastgood keeps on disk what the controller wanted last and what of it was really applied, so that a host runs
// without a controller, also after a reboot.
package lastgood

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/ancora-fleet/ancora/dataplane/atomicfile"
)

const (
	indexFile = "index.json"
	// copyFile is the same once more: a file that its disk damaged does not empty the host.
	copyFile  = "index.copy.json"
	documents = "documents"
)

// Index is the wanted manifest, and per site what was applied last. Digests are hexadecimal.
type Index struct {
	StoreID    string   `json:"store_id"`
	Generation int64    `json:"generation"`
	Sites      []Site   `json:"sites"`
	Notices    []Notice `json:"notices"`
}

// Site is one site of the manifest.
type Site struct {
	Name     string `json:"name"`
	Revision int64  `json:"revision"`
	Digest   string `json:"digest"`
	Epoch    int64  `json:"epoch"`
	// Good is the digest applied last, at GoodRevision; empty: none was.
	Good         string `json:"good,omitempty"`
	GoodRevision int64  `json:"good_revision,omitempty"`
}

// Notice is one notice of the manifest.
type Notice struct {
	Name   string `json:"name"`
	Digest string `json:"digest"`
	// End is this host's own deadline; zero: none.
	End time.Time `json:"end,omitzero"`
}

// Store is a directory.
type Store struct{ dir string }

// Open makes the directory where it is missing.
func Open(dir string) (*Store, error) {
	if err := os.MkdirAll(filepath.Join(dir, documents), 0o700); err != nil {
		return nil, fmt.Errorf("last good: %w", err)
	}
	return &Store{dir}, nil
}

// Load gives the index, from its copy when it is damaged; the zero value when there is none.
func (s *Store) Load() (Index, error) {
	index, err := s.read(indexFile)
	if err == nil {
		return index, nil
	}
	index, copyErr := s.read(copyFile)
	switch {
	case copyErr == nil:
		return index, nil
	case errors.Is(err, fs.ErrNotExist) && errors.Is(copyErr, fs.ErrNotExist):
		return Index{}, nil
	}
	return Index{}, fmt.Errorf("last good: %w", errors.Join(err, copyErr))
}

func (s *Store) read(name string) (index Index, err error) {
	data, err := os.ReadFile(filepath.Join(s.dir, name))
	if err != nil {
		return index, err
	}
	if err := json.Unmarshal(data, &index); err != nil {
		return Index{}, fmt.Errorf("%s: %w", name, err)
	}
	return index, nil
}

// Put keeps a document.
func (s *Store) Put(digest string, content []byte) error {
	return atomicfile.Write(s.path(digest), content, 0o600)
}

// Get gives a document that is whole; the error is fs.ErrNotExist when it is not there.
func (s *Store) Get(digest string) ([]byte, error) {
	content, err := os.ReadFile(s.path(digest))
	if err != nil {
		return nil, err
	}
	if sum := sha256.Sum256(content); hex.EncodeToString(sum[:]) != digest {
		return nil, fmt.Errorf("document %s is damaged: %w", digest, fs.ErrNotExist)
	}
	return content, nil
}

func (s *Store) path(digest string) string {
	return filepath.Join(s.dir, documents, filepath.Base(digest))
}

// Save puts the index in place.
func (s *Store) Save(index Index) error {
	data, err := json.MarshalIndent(index, "", " ")
	if err != nil {
		return err
	}
	for _, name := range []string{indexFile, copyFile} {
		if err := atomicfile.Write(filepath.Join(s.dir, name), data, 0o600); err != nil {
			return fmt.Errorf("last good: %w", err)
		}
	}
	return nil
}

// Sweep drops the documents that the index does not name. Documents travel before the manifest that names them, so it is
// for when a manifest has been saved.
func (s *Store) Sweep(index Index) error {
	named := map[string]bool{}
	for _, w := range index.Sites {
		named[w.Digest], named[w.Good] = true, true
	}
	for _, n := range index.Notices {
		named[n.Digest] = true
	}
	entries, err := os.ReadDir(filepath.Join(s.dir, documents))
	if err != nil {
		return err
	}
	for _, e := range entries {
		if !named[e.Name()] {
			err = errors.Join(err, os.Remove(filepath.Join(s.dir, documents, e.Name())))
		}
	}
	return err
}
