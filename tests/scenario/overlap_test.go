package scenario

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ancora-fleet/ancora/tests/lab"
)

// touch writes a web.config that says nothing, which recycles the application.
func (s *served) touch(t *testing.T) {
	t.Helper()
	lab.Folder(t, s.dir, "root", map[string]string{"web.config": fmt.Sprintf("<configuration><!-- %d --></configuration>", time.Now().UnixNano())})
}

// pid is that of the process which answers.
func (s *served) pid(t *testing.T) int {
	t.Helper()
	n, err := strconv.Atoi(pid(t, s.address))
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// allowedPort is a free one of those that an application may be given: the kernel draws others.
func allowedPort(t *testing.T) int {
	t.Helper()
	for port := 20000 + os.Getpid()%10000; ; port++ {
		if l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port)); err == nil {
			l.Close()
			return port
		}
	}
}

// An application with something of which there is one is replaced without an overlap: the old instance has ended when the new
// one starts, requests wait meanwhile, and all of them are answered.
func TestServeWithoutOverlap(t *testing.T) {
	for name, c := range map[string]struct{ more, port string }{
		"overlap: false":  {"overlap: false\n", "also"},
		"a port in env":   {"profile: generic\nenv: {PORT: \"%d\"}\n", "own"},
		"always one runs": {"overlap: false\nstart: always\n", "also"},
	} {
		t.Run(name, func(t *testing.T) {
			more, args := c.more, []string{"-also", free(t)}
			if c.port == "own" {
				more, args = fmt.Sprintf(c.more, allowedPort(t)), nil
			}
			s := serveSite(t, more, args...)
			before := s.pid(t)
			answers := make(chan string, 64)
			stop := make(chan struct{})
			var clients sync.WaitGroup
			for range 4 {
				clients.Go(func() {
					for {
						a, err := lab.Try(s.address, "/sleep?d=20ms", "")
						if err != nil || a.Status != 200 {
							answers <- fmt.Sprintf("%d %s %v", a.Status, a.Body, err)
							return
						}
						select {
						case <-stop:
							return
						default:
						}
					}
				})
			}
			s.touch(t)
			lab.Eventually(t, func() string {
				running := instances(t, s.dir+"/data")
				if len(running) > 1 {
					t.Fatalf("%d processes at once: %v", len(running), running)
				}
				if len(running) == 1 && running[0] != before {
					return ""
				}
				// A second one that cannot listen is gone before anybody looks, but it has spoken.
				if n := strings.Count(s.Out(), "childapp starts") - strings.Count(s.Out(), "childapp ends"); n > 1 {
					return fmt.Sprintf("%v still, and there were %d processes at once", running, n)
				}
				return fmt.Sprint(running, " still")
			})
			after := s.pid(t)
			close(stop)
			clients.Wait()
			close(answers)
			for a := range answers {
				t.Error(a)
			}
			if after == before || lab.Alive(before) {
				t.Errorf("process %d answers, %d before lives: %v", after, before, lab.Alive(before))
			}
		})
	}
}

// Where both instances need the same address, the one that does not start says so, and which option there is.
func TestServeOverlapExplains(t *testing.T) {
	s := serveSite(t, "", "-also", free(t))
	before := s.pid(t)
	s.touch(t)
	lab.Eventually(t, func() string {
		if log := s.Log(); !strings.Contains(log, "overlap: false") {
			return log
		}
		return ""
	})
	if after := s.pid(t); after != before {
		t.Errorf("process %d answers, was %d", after, before)
	}
}

// A web.config that was changed counts when the folder has been quiet for a second: a deployment is let finish.
func TestServeDeploymentIsLetFinish(t *testing.T) {
	s := serveSite(t, "")
	before := s.pid(t)
	s.touch(t)
	files := time.NewTicker(200 * time.Millisecond)
	defer files.Stop()
	for n := range 12 { // for longer than the folder has to be quiet
		<-files.C
		if err := os.WriteFile(fmt.Sprintf("%s/root/part%d.dll", s.dir, n), []byte("x"), 0o644); err != nil {
			t.Fatal(err)
		}
		if now := s.pid(t); now != before {
			t.Fatalf("recycled after %d files, while more come", n)
		}
	}
	lab.Eventually(t, func() string {
		if s.pid(t) == before {
			return "not recycled"
		}
		return ""
	})
}

// disallowRotationOnConfigChange (CFG-3, F08): neither a touch nor an edit of web.config concerns what runs.
func TestServePinned(t *testing.T) {
	dir := lab.Dir(t)
	config := func(more string) string {
		return `<configuration><system.webServer><aspNetCore processPath="` + lab.Bin(t, "childapp") + `" hostingModel="outofprocess"` + more + `>
<handlerSettings><handlerSetting name="DisallowRotationOnConfigChange" value="TRUE" /></handlerSettings></aspNetCore></system.webServer></configuration>`
	}
	root := lab.Folder(t, dir, "root", map[string]string{"web.config": config("")})
	s := serve(t, dir, root)
	before := s.pid(t)
	lab.Write(t, root, "web.config", config(` arguments="-say other"`))
	lab.Eventually(t, func() string {
		if log := s.Log(); !strings.Contains(log, "disallowRotationOnConfigChange") {
			return log
		}
		return ""
	})
	if after := s.pid(t); after != before {
		t.Errorf("process %d answers, was %d", after, before)
	}
}

// Requests in flight hold an instance that was replaced for drain and no longer, then stop.timeout ends it.
func TestServeDrain(t *testing.T) {
	s := serveSite(t, "drain: 1s\nstop: {timeout: 1s}\n")
	before := s.pid(t)
	first := busy(t, s.address) // does not end by itself
	defer first.Close()
	s.touch(t)
	lab.Eventually(t, func() string { // within less than the 90 s that it would have otherwise
		if lab.Alive(before) {
			return "the old instance lives"
		}
		return ""
	})
	if s.pid(t) == before {
		t.Error("the old instance answers")
	}
}

// An answer without an end holds neither the application that is replaced until it is killed nor its client for longer: it is cut
// 2 s before the limit, its client sees that it was, and the application ends by itself.
func TestServeEndsEndlessAnswers(t *testing.T) {
	for name, make := range map[string]func(*testing.T) (s *served, path, config string){
		"childapp": func(t *testing.T) (*served, string, string) {
			return serveSite(t, "drain: 1s\nstop: {timeout: 4s}\n"), "/stream?n=1000000&gap=100ms&type=text/event-stream", "<configuration/>"
		},
		"dotnet": func(t *testing.T) (*served, string, string) {
			top, dir := lab.Dotnet(t), lab.Dir(t)
			t.Setenv("DOTNET_ROOT", filepath.Join(top, "runtime"))
			root := copied(t, top, dir, "root", "probe", "", "")
			file := lab.Write(t, dir, "site.yaml", siteText("shop", root, "drain: 1s\nstop: {timeout: 6s}\n"))
			return serve(t, dir, file), "/sse?count=1000000&ms=100", read(t, filepath.Join(root, "web.config")) + "<!-- touched -->"
		},
	} {
		t.Run(name, func(t *testing.T) {
			s, path, config := make(t)
			v := visit(t, s.address, "GET "+path+" HTTP/1.1", "")
			response, err := http.ReadResponse(v.r, nil)
			if err != nil || response.StatusCode != 200 {
				t.Fatal(response, err)
			}
			lab.Write(t, s.dir+"/root", "web.config", config)
			if _, err := io.Copy(io.Discard, response.Body); err != io.ErrUnexpectedEOF {
				t.Errorf("the client sees %v", err)
			}
			s.event(t, `"stopped"`, "exit code 0") // who is killed has none
		})
	}
}
