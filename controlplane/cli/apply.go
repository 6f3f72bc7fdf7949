package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/grpc/status"

	"github.com/ancora-fleet/ancora/dataplane/site"
	"github.com/ancora-fleet/ancora/dataplane/sitefile"
	"github.com/ancora-fleet/ancora/dataplane/wire"
	controlv1 "github.com/ancora-fleet/ancora/proto/ancora/control/v1"
)

// fileError is trouble with a file as a whole.
type fileError struct {
	file string
	err  error
}

func (e *fileError) Error() string { return e.file + ": " + e.err.Error() }
func (e *fileError) Unwrap() error { return e.err }

type applyOptions struct {
	files      []string
	wait       bool
	timeout    time.Duration
	dryRun     bool
	yes        bool
	ifRevision int64
}

func (p *program) applyCommand() *cobra.Command {
	var o applyOptions
	c := &cobra.Command{
		Use:   "apply -f FILE",
		Short: "Push sites to the hosts they are placed on",
		Long: `Push sites to the hosts they are placed on. Files are checked as a whole first: when anything is wrong nothing is changed.
What is in force already makes no new revision.`,
		Example: "  ancora apply -f shop.yaml --wait\n  ancora apply -f sites/ --dry-run\n  cat shop.yaml | ancora apply -f -",
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return p.apply(cmd.Context(), &o) },
	}
	f := c.Flags()
	f.StringArrayVarP(&o.files, "file", "f", nil, "site `file`, folder of them, or - for standard input; may be given several times")
	f.BoolVar(&o.wait, "wait", false, "wait for every placed host's word: exit code 0 all good, 3 some, 1 none, 4 timed out")
	f.DurationVar(&o.timeout, "timeout", 2*time.Minute, "how long --wait waits")
	f.BoolVar(&o.dryRun, "dry-run", false, "check everything with the controller, change nothing")
	f.BoolVar(&o.yes, "yes", false, "go on although hosts lose most of their sites")
	f.Int64Var(&o.ifRevision, "if-revision", 0, "only when the site is at this revision; else exit code 6")
	return c
}

func (p *program) apply(ctx context.Context, o *applyOptions) error {
	if len(o.files) == 0 {
		return usagef("-f is missing: which file")
	}
	sites, err := p.readSites(o.files)
	if err != nil {
		return err
	}
	if o.ifRevision != 0 && len(sites) != 1 {
		return usagef("--if-revision is for one site, not for %d", len(sites))
	}
	c, err := p.connect()
	if err != nil {
		return err
	}
	// All are checked before the first is changed.
	for _, s := range sites {
		if _, err := c.sites.UpdateSite(ctx, o.request(s, true, true)); err != nil {
			return named(s, err)
		}
	}
	var waits []waiting
	for _, s := range sites {
		answer, err := p.applyOne(ctx, c, s, o)
		if err != nil {
			return named(s, err)
		}
		waits = append(waits, waiting{s.Name, answer.GetDigest(), answer.GetSite().GetRevision(), answer.GetHosts()})
	}
	if !o.wait || o.dryRun {
		return nil
	}
	return p.waitFor(ctx, c, waits, o.timeout)
}

// named says which site an error is about, without losing what it is.
func named(s *site.Site, err error) error {
	if st, ok := status.FromError(err); ok {
		return status.Errorf(st.Code(), "site %s: %s", s.Name, st.Message())
	}
	return fmt.Errorf("site %s: %w", s.Name, err)
}

func (o *applyOptions) request(s *site.Site, check, confirmed bool) *controlv1.UpdateSiteRequest {
	return &controlv1.UpdateSiteRequest{Site: wire.SiteMessage(s), AllowMissing: true, ValidateOnly: check, IfRevision: o.ifRevision, Confirmed: confirmed}
}

func (p *program) applyOne(ctx context.Context, c *client, s *site.Site, o *applyOptions) (answer *controlv1.UpdateSiteResponse, err error) {
	err = p.guarded(o.yes, func(confirmed bool) (err error) {
		answer, err = c.sites.UpdateSite(ctx, o.request(s, o.dryRun, confirmed))
		return err
	})
	if err != nil {
		return nil, err
	}
	word := "unchanged"
	switch {
	case answer.GetChanged() && o.dryRun:
		word = "would change"
	case answer.GetChanged():
		word = "applied"
	}
	where := "its placement matches no host"
	if n := len(answer.GetHosts()); n > 0 {
		where = plural(n, "host") + ": " + strings.Join(answer.GetHosts()[:min(n, 10)], ", ")
		if n > 10 {
			where += ", ..."
		}
	}
	revision := ""
	if !o.dryRun {
		revision = fmt.Sprintf(" at revision %d", answer.GetSite().GetRevision())
	}
	p.say("site %s %s%s, %s", s.Name, word, revision, where)
	return answer, nil
}

// readSites reads all files before anything else happens; all that is wrong in any of them is told at once.
func (p *program) readSites(paths []string) ([]*site.Site, error) {
	var sites []*site.Site
	var problems sitefile.Errors
	names := map[string]string{}
	for _, path := range paths {
		files, err := expand(path)
		if err != nil {
			return nil, err
		}
		for _, file := range files {
			content, err := p.read(file)
			if err != nil {
				return nil, &fileError{file, err}
			}
			parsed, err := sitefile.Parse(file, content)
			var wrong sitefile.Errors
			switch {
			case errors.As(err, &wrong):
				problems = append(problems, wrong...)
			case err != nil:
				return nil, &fileError{file, err}
			}
			for _, s := range parsed {
				if first := names[s.Name]; first != "" {
					problems = append(problems, sitefile.Error{File: file, Field: "name", Message: fmt.Sprintf("%q stands in %s already", s.Name, first)})
				}
				names[s.Name] = file
			}
			sites = append(sites, parsed...)
		}
	}
	if len(problems) > 0 {
		return nil, problems
	}
	return sites, nil
}

// expand gives the site files of a folder, in order.
func expand(path string) ([]string, error) {
	if path == "-" {
		return []string{path}, nil
	}
	info, err := os.Stat(path)
	if err != nil {
		return nil, &fileError{path, errors.Unwrap(err)}
	}
	if !info.IsDir() {
		return []string{path}, nil
	}
	var files []string
	for _, pattern := range []string{"*.yaml", "*.yml"} {
		found, err := filepath.Glob(filepath.Join(path, pattern))
		if err != nil {
			return nil, &fileError{path, err}
		}
		files = append(files, found...)
	}
	if len(files) == 0 {
		return nil, &fileError{path, errors.New("holds no .yaml file")}
	}
	slices.Sort(files)
	return files, nil
}

func (p *program) read(file string) ([]byte, error) {
	if file == "-" {
		return io.ReadAll(p.In)
	}
	content, err := os.ReadFile(file)
	var pathError *os.PathError
	if errors.As(err, &pathError) {
		return nil, pathError.Err
	}
	return content, err
}
