package offline

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"
)

func TestDecide(t *testing.T) {
	now := time.Unix(1000, 0)
	all := Notice{Name: "n-1", Message: "all", CreateTime: now}
	shop := Notice{Name: "n-2", Sites: []string{"shop"}, Page: []byte("shop"), CreateTime: now.Add(-time.Hour), ExpireTime: now.Add(90 * time.Second)}
	other := Notice{Name: "n-3", Sites: []string{"other"}}
	ended := Notice{Name: "n-4", ExpireTime: now}
	for name, c := range map[string]struct {
		notices []Notice
		here    bool
		holders []string
		body    string
		retry   int
	}{
		"online":            {[]Notice{other, ended}, false, nil, "", 0},
		"local":             {nil, true, []string{"local"}, "local page", 0},
		"all":               {[]Notice{all}, false, []string{"n-1"}, "all", 0},
		"the site's own":    {[]Notice{all, shop}, false, []string{"n-1", "n-2"}, "shop", 90},
		"the folder's wins": {[]Notice{all, shop, other}, true, []string{"n-1", "n-2", "local"}, "local page", 90},
	} {
		a := decide("shop", c.notices, []byte("local page"), c.here, now)
		if c.holders == nil {
			if a != nil {
				t.Errorf("%s: %+v", name, a)
			}
			continue
		}
		if a == nil || !slices.Equal(a.Holders, c.holders) || !strings.Contains(string(a.Body), c.body) || a.RetryAfter(now) != c.retry {
			t.Errorf("%s: %+v", name, a)
		}
	}
}

func TestRetryAfterIsGivenOrLeft(t *testing.T) {
	now := time.Unix(1000, 0)
	a := decide("s", []Notice{{Name: "n", RetryAfter: 5 * time.Minute, ExpireTime: now.Add(time.Hour)}}, nil, false, now)
	if got := a.RetryAfter(now); got != 300 {
		t.Errorf("given: %d", got)
	}
	a = decide("s", []Notice{{Name: "n", ExpireTime: now.Add(1500 * time.Millisecond)}}, nil, false, now)
	if got := a.RetryAfter(now); got != 2 {
		t.Errorf("left: %d", got)
	}
}

func TestStateFollowsTheFolder(t *testing.T) {
	for _, name := range []string{"app_offline.htm", "App_Offline.Htm"} {
		t.Run(name, func(t *testing.T) {
			root := t.TempDir()
			changes := make(chan struct{}, 16)
			s := New("shop", root, func() { changes <- struct{}{} })
			ctx, cancel := context.WithCancel(t.Context())
			ended := make(chan struct{})
			go func() { s.Run(ctx); close(ended) }()
			path := filepath.Join(root, name)
			if err := os.WriteFile(path, []byte("away"), 0o644); err != nil {
				t.Fatal(err)
			}
			await(t, changes, func() error {
				if a := s.Answer(); a == nil || string(a.Body) != "away" || !slices.Equal(a.Holders, []string{Local}) {
					return fmt.Errorf("%+v", a)
				}
				return nil
			})
			if err := os.Remove(path); err != nil {
				t.Fatal(err)
			}
			await(t, changes, func() error {
				if a := s.Answer(); a != nil {
					return fmt.Errorf("%+v", a)
				}
				return nil
			})
			cancel()
			<-ended
		})
	}
}

// A name that only begins like the file, a directory of that name: neither is an order (OFF-1b).
func TestOnlyTheFileCounts(t *testing.T) {
	root := t.TempDir()
	if err := os.WriteFile(filepath.Join(root, "app_o"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(root, "app_offline.htm"), 0o755); err != nil {
		t.Fatal(err)
	}
	if a := New("shop", root, nil).Answer(); a != nil {
		t.Errorf("%+v", a)
	}
}

// A folder whose file system sends no events is looked at all the same, without a request.
func TestFileWithoutEvents(t *testing.T) {
	root := t.TempDir()
	path := filepath.Join(root, "app_offline.htm")
	synctest.Test(t, func(t *testing.T) {
		changes := make(chan struct{}, 1)
		s := New("shop", root, func() { changes <- struct{}{} })
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() { s.run(ctx, nil); close(ended) }()
		changed := func() {
			t.Helper()
			select {
			case <-changes:
			case <-time.After(2 * pollEvery):
				t.Error("it is not seen")
			}
		}
		if err := os.WriteFile(path, []byte("away"), 0o644); err != nil {
			t.Fatal(err)
		}
		changed()
		if a := s.Answer(); a == nil || string(a.Body) != "away" {
			t.Errorf("%+v", a)
		}
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		changed()
		if a := s.Answer(); a != nil {
			t.Errorf("%+v", a)
		}
		cancel()
		<-ended
	})
}

// Of a page that is too long the beginning is shown.
func TestLongPage(t *testing.T) {
	root := t.TempDir()
	page := bytes.Repeat([]byte("0123456789abcdef"), 5<<20/16)
	if err := os.WriteFile(filepath.Join(root, "app_offline.htm"), page, 0o644); err != nil {
		t.Fatal(err)
	}
	if a := New("shop", root, nil).Answer(); a == nil || !bytes.Equal(a.Body, page[:4<<20]) {
		t.Error("it is not the first 4 MiB")
	}
}

// A page that cannot be read is an order with an empty one (OFF-6).
func TestUnreadablePage(t *testing.T) {
	root := t.TempDir()
	if err := os.WriteFile(filepath.Join(root, "app_offline.htm"), []byte("secret"), 0o000); err != nil {
		t.Fatal(err)
	}
	answers := make(chan *Answer, 1)
	go func() {
		runtime.LockOSThread() // for good: the thread ends with what it may not do any more
		if err := obeyModes(); err != nil {
			t.Error(err)
		}
		answers <- New("shop", root, nil).Answer()
	}()
	if a := <-answers; a == nil || len(a.Body) != 0 || !slices.Equal(a.Holders, []string{Local}) {
		t.Errorf("%+v", a)
	}
}

// obeyModes takes from this thread what lets root read any file.
func obeyModes() error {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if err := unix.Capget(&header, &data[0]); err != nil {
		return err
	}
	data[0].Effective &^= 1<<unix.CAP_DAC_OVERRIDE | 1<<unix.CAP_DAC_READ_SEARCH
	return unix.Capset(&header, &data[0])
}

func TestNoticeEndsByItself(t *testing.T) {
	changes := make(chan struct{}, 16)
	s := New("shop", t.TempDir(), func() { changes <- struct{}{} })
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { s.Run(ctx); close(ended) }()
	s.SetNotices([]Notice{{Name: "n-1", ExpireTime: time.Now().Add(300 * time.Millisecond)}})
	if s.Answer() == nil {
		t.Error("not offline")
	}
	await(t, changes, func() error {
		if s.Answer() != nil {
			return fmt.Errorf("still offline")
		}
		return nil
	})
	cancel()
	<-ended
}

func await(t *testing.T, changes <-chan struct{}, f func() error) {
	t.Helper()
	deadline := time.After(20 * time.Second)
	for {
		err := f()
		if err == nil {
			return
		}
		select {
		case <-changes:
		case <-deadline:
			t.Fatal(err)
		}
	}
}

// A link within the folder is a page like any, one that leads out of it shows nothing of what is there, and one that leads nowhere
// is none.
func TestLinks(t *testing.T) {
	root, outside := t.TempDir(), filepath.Join(t.TempDir(), "secret")
	for file, text := range map[string]string{outside: "secret", filepath.Join(root, "page.htm"): "away"} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for target, want := range map[string]struct {
		here bool
		page string
	}{"page.htm": {true, "away"}, outside: {true, ""}, "../" + filepath.Base(filepath.Dir(outside)) + "/secret": {true, ""}, "missing.htm": {false, ""}} {
		link := filepath.Join(root, "App_Offline.HTM")
		if err := os.Symlink(target, link); err != nil {
			t.Fatal(err)
		}
		if page, here := read(root); here != want.here || string(page) != want.page {
			t.Errorf("a link to %s: %v %q", target, here, page)
		}
		if err := os.Remove(link); err != nil {
			t.Fatal(err)
		}
	}
}
