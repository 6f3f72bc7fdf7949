package rows

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/ancora-fleet/ancora/tests/lab"
)

// E: time limits and errors. What takes minutes is scaled by ten, with its limit.
func TestLimits(t *testing.T) {
	t.Parallel()
	row(t, "E01 a request within requestTimeout", func(r *recorder) {
		s := serve(r, probe(r, outOfProcess+`requestTimeout="00:00:12"`, ""))
		want(r, "status", s.get("/slow?ms=6500").status, 200)
	})
	row(t, "E02 a request over requestTimeout", func(r *recorder) {
		s := serve(r, probe(r, outOfProcess+`requestTimeout="00:00:06"`, ""))
		s.warm("/slow?ms=1")
		var a answer
		took := lab.Within(func() { a = s.get("/slow?ms=9500") })
		want(r, "status", a.status, 502)
		if took < 5*time.Second || took > 9*time.Second {
			r.Errorf("after %v", took)
		}
	})
	row(t, "E04 requestTimeout in seconds", func(r *recorder) {
		s := serve(r, probe(r, outOfProcess+`requestTimeout="00:00:01"`, ""))
		want(r, "code", s.get("/slow?ms=15000").code(), "502.3")
	})
	row(t, "E05 requestTimeout is for silence, not for the whole", func(r *recorder) {
		s := serve(r, probe(r, outOfProcess+`requestTimeout="00:00:02"`, ""))
		s.warm("/download?bytes=1")
		var a answer
		took := lab.Within(func() { a = s.get("/download?bytes=12&chunk=1&pauseMs=500") })
		want(r, "status", a.status, 200)
		want(r, "body", a.body, "xxxxxxxxxxxx")
		if took < 5*time.Second {
			r.Errorf("it took %v only", took)
		}
	})
	row(t, "E07 the page of an application that does not start", func(r *recorder) {
		for _, c := range []struct{ folder, attempt, last string }{
			{lab.Folder(r, lab.Dir(r), "www", map[string]string{"web.config": attributes(`processPath="bogus"` + outOfProcess)}), "bogus", "bogus"},
			{probe(r, outOfProcess, variables("PROBE_START", "abort")), "signal 6", "told to fail fast"},
		} {
			s := serve(r, c.folder)
			a := s.get("/")
			want(r, "code", a.code(), "502.5")
			if strings.Contains(a.body, c.last) || !strings.Contains(a.body, "HTTP Error 502.5 ") || !strings.Contains(a.header.Get("Content-Type"), "text/html") {
				r.Errorf("%v", a)
			}
			s.event(1000, c.attempt)
			s.event(1020, c.last)
			s.Stop(r)
		}
	})
	row(t, "E10 starts are allowed again behind rapid fails", func(r *recorder) {
		s := serve(r, child(r, "-exit 3", outOfProcess+`rapidFailsPerMinute="0"`, ""))
		s.get("/")
		a := s.get("/")
		wait, err := strconv.Atoi(a.header.Get("Retry-After"))
		if err != nil || wait < 1 || wait > 60 {
			r.Fatalf("Retry-After %q of %v", a.header.Get("Retry-After"), a)
		}
		s.event(1003, "rapid")
		before := s.count(1020)
		s.remove("web.config") // what starts from now on is another program, and the failures are of this one
		_ = os.Remove(filepath.Join(s.root, "childapp.exe"))
		lab.Write(r, s.root, "web.config", webConfig(`processPath=".\childapp.exe"`+outOfProcess+`rapidFailsPerMinute="0"`, ""))
		lab.Eventually(r, func() string {
			if a, err := s.try("GET", "/", ""); err != nil || a.status != 200 {
				return a.String()
			}
			return ""
		})
		want(r, "failed starts", s.count(1020), before)
		s.get("/")
	})
	row(t, "E11 no start beyond rapidFailsPerMinute", func(r *recorder) {
		s := serve(r, child(r, "-exit 3", outOfProcess+`rapidFailsPerMinute="3"`, ""))
		for range 8 {
			want(r, "code", s.get("/").code(), "502.5")
		}
		want(r, "starts", s.count(1020), 4)
		s.event(1003, "3")
	})
	row(t, "E12 a ready process that does not answer", func(r *recorder) {
		s := serve(r, probe(r, outOfProcess+`requestTimeout="00:00:02"`, ""))
		s.warm("/")
		pid := s.pid()
		kill(pid, syscall.SIGSTOP)
		stands(r, pid)
		defer kill(pid, syscall.SIGCONT)
		var a answer
		took := lab.Within(func() { a = s.get("/") })
		want(r, "code", a.code(), "502.3")
		if took > 6*time.Second {
			r.Errorf("it took %v: as if it had been tried again", took)
		}
		kill(pid, syscall.SIGCONT)
		lab.Eventually(r, func() string {
			if a, err := s.try("GET", "/", ""); err != nil || a.status != 200 || s.pidOf(a) != pid {
				return fmt.Sprintf("%v %v, want process %d", a, err, pid)
			}
			return ""
		})
	})
	row(t, "E13 a request while the agent ends", func(r *recorder) {
		s := serve(r, child(r, "-start-delay 1m", outOfProcess+`startupTimeLimit="120" shutdownTimeLimit="2"`, ""))
		waits := s.open()
		fmt.Fprintf(waits.conn, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
		s.printed("childapp starts")
		s.Signal(syscall.SIGTERM)
		a, err := receive(waits.in, "GET")
		if err != nil {
			r.Fatal(err)
		}
		want(r, "status of a request that nothing answers any more", a.status, 503)
	})
	row(t, "E14 pages are HTML with their status and substatus", func(r *recorder) {
		s := serve(r, child(r, "-exit 3", outOfProcess, ""))
		a := s.get("/")
		want(r, "status", a.status, 502)
		want(r, "code", a.code(), "502.5")
		want(r, "type", a.header.Get("Content-Type"), "text/html; charset=utf-8")
		want(r, "Cache-Control", a.header.Get("Cache-Control"), "no-store")
		if !strings.HasPrefix(a.body, "<!DOCTYPE html>") || strconv.Itoa(len(a.body)) != a.header.Get("Content-Length") {
			r.Errorf("%v", a)
		}
		head, err := s.try("HEAD", "/", "")
		if err != nil || head.status != 502 || head.body != "" {
			r.Errorf("HEAD: %v %v", head, err)
		}
	})
}
