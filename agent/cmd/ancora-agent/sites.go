package main

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/ancora-fleet/ancora/dataplane/site"
	"github.com/ancora-fleet/ancora/dataplane/sitefile"
)

// ownFile is where a folder may bring its site along.
const ownFile = ".ancora/site.yaml"

// sitesOf gives the sites of a file, or those of a folder: of its own file, else one site for it. Applications that name no
// profile get the one that is given, unless it is empty.
func sitesOf(path, profile string) ([]*site.Site, error) {
	sites, err := readSites(path)
	if err != nil || profile == "" {
		return sites, err
	}
	for _, s := range sites {
		for i := range s.Applications {
			if a := &s.Applications[i]; a.Profile == "" {
				a.Profile = site.Profile(profile)
			}
		}
		if problems := s.Validate(); problems != nil {
			return nil, fmt.Errorf("--profile: %w", problems)
		}
	}
	return sites, nil
}

func readSites(path string) ([]*site.Site, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if strings.EqualFold(filepath.Base(path), "web.config") && !info.IsDir() {
		path = filepath.Dir(path)
	} else if !info.IsDir() {
		return parseSites(path, "")
	}
	sites, err := parseSites(filepath.Join(path, ownFile), path)
	if !errors.Is(err, fs.ErrNotExist) {
		return sites, err
	}
	s := &site.Site{
		Name: labelOf(filepath.Base(path)), Placement: site.Placement{Hosts: "all"}, Bindings: []site.Binding{{Listener: "http"}},
		Applications: []site.Application{{Path: "/", Root: path}},
	}
	if problems := s.Validate(); problems != nil {
		return nil, problems
	}
	return []*site.Site{s}, nil
}

func parseSites(file, folder string) ([]*site.Site, error) {
	content, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	return sitefile.ParseIn(file, content, folder)
}

// labelOf makes a site's name of a folder's.
func labelOf(name string) string {
	var label strings.Builder
	for _, r := range strings.ToLower(name) {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
			label.WriteRune(r)
		} else if s := label.String(); s != "" && !strings.HasSuffix(s, "-") {
			label.WriteByte('-')
		}
	}
	s := label.String()
	return cmp.Or(strings.Trim(s[:min(len(s), 63)], "-"), "site")
}
