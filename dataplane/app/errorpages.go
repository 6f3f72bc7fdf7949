package app

import (
	"os"
	"path"
	"strings"
	"sync"
	"time"

	"github.com/ancora-fleet/ancora/dataplane/page"
	"github.com/ancora-fleet/ancora/dataplane/regular"
)

// A page of the application's own may have so many bytes, and is read again when that much time has passed: a wave of refused
// requests must not become a wave of reads.
const (
	pageLimit = 256 << 10
	pageAge   = time.Second
)

// errorPages reads the application's own error pages out of its folder, and never out of it.
type errorPages struct {
	root string
	mu   sync.Mutex
	read map[string]readPage
}

type readPage struct {
	body []byte
	err  error
	at   time.Time
}

func newErrorPages(root string) *errorPages {
	return &errorPages{root: root, read: map[string]readPage{}}
}

// get gives the bytes of a page as they were not longer than pageAge ago. Their number is that of the pages in a web.config.
func (e *errorPages) get(file string, now time.Time) ([]byte, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if r, ok := e.read[file]; ok && now.Sub(r.at) < pageAge {
		return r.body, r.err
	}
	body, err := e.open(file)
	e.read[file] = readPage{body, err, now}
	return body, err
}

// open reads a file below the root; a link that leads out of it is an error.
func (e *errorPages) open(file string) ([]byte, error) {
	root, err := os.OpenRoot(e.root)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	return regular.ReadIn(root, file, pageLimit)
}

// typeOf is the Content-Type of a page; the encoding is what the page itself says.
func typeOf(file string) string {
	switch strings.ToLower(path.Ext(file)) {
	case ".json":
		return "application/json"
	case ".txt":
		return "text/plain"
	case ".xml":
		return "text/xml"
	case "":
		return page.ContentType
	}
	return "text/html"
}
