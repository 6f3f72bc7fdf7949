package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// fields are what a browser sends besides.
var fields = []string{
	"User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0",
	"Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
	"Accept-Language: en-US,en;q=0.5",
	"Accept-Encoding: gzip, deflate",
	"Cookie: session=0123456789abcdef0123456789abcdef; theme=dark",
}

const hostname = "bench.test"

// load sends a workload's requests to one address for a while.
func (b *bench) load(w *workload, address string, length time.Duration) (sample, error) {
	switch {
	case w.rate > 0:
		return b.steady(w, address, length)
	case w.scheme == "h2":
		return b.h2load(w, address, length)
	}
	return b.wrk(w, address, length)
}

func (b *bench) wrk(w *workload, address string, length time.Duration) (sample, error) {
	seconds := strconv.Itoa(max(int(length.Seconds()+0.5), 1)) + "s"
	args := []string{"-t1", "-c" + strconv.Itoa(w.conns), "-d" + seconds, "--latency", "-H", "Host: " + hostname}
	for _, f := range fields {
		args = append(args, "-H", f)
	}
	if w.close {
		args = append(args, "-H", "Connection: close")
	}
	if w.body > 0 {
		script := filepath.Join(b.dir, "post.lua")
		text := fmt.Sprintf("wrk.method = \"POST\"\nwrk.body = string.rep(\"x\", %d)\n", w.body)
		if err := os.WriteFile(script, []byte(text), 0o644); err != nil {
			return sample{}, err
		}
		args = append(args, "-s", script)
	}
	scheme := w.scheme
	if scheme == "" {
		scheme = "http"
	}
	out, err := exec.Command("wrk", append(args, scheme+"://"+address+w.path)...).CombinedOutput()
	if err != nil {
		return sample{}, fmt.Errorf("wrk: %w: %s", err, out)
	}
	return parseWrk(string(out))
}

// parseWrk reads what wrk prints.
func parseWrk(out string) (s sample, err error) {
	for line := range strings.Lines(out) {
		words := strings.Fields(strings.ReplaceAll(line, ",", " "))
		switch {
		case len(words) > 4 && words[1] == "requests" && words[2] == "in":
			if s.requests, err = strconv.Atoi(words[0]); err == nil {
				s.elapsed, err = time.ParseDuration(words[3])
			}
		case len(words) == 2 && words[0] == "50%":
			s.p50, err = time.ParseDuration(words[1])
		case len(words) == 2 && words[0] == "99%":
			s.p99, err = time.ParseDuration(words[1])
		case strings.Contains(line, "Socket errors:"), strings.Contains(line, "Non-2xx"):
			for _, word := range words {
				n, _ := strconv.Atoi(word)
				s.errors += n
			}
		}
		if err != nil {
			return s, fmt.Errorf("wrk printed %q: %w", line, err)
		}
	}
	if s.requests == 0 || s.elapsed <= 0 {
		return s, fmt.Errorf("wrk counted no requests: %s", out)
	}
	return s, nil
}

// h2load reports no percentiles.
func (b *bench) h2load(w *workload, address string, length time.Duration) (sample, error) {
	args := []string{"-c", strconv.Itoa(w.conns), "-m", "10", "-t", "1", "-D", strconv.Itoa(max(int(length.Seconds()+0.5), 1)), "-H", ":authority: " + hostname}
	for _, f := range fields {
		args = append(args, "-H", f)
	}
	out, err := exec.Command("h2load", append(args, "https://"+address+w.path)...).CombinedOutput()
	if err != nil {
		return sample{}, fmt.Errorf("h2load: %w: %s", err, out)
	}
	s := sample{elapsed: length}
	for line := range strings.Lines(string(out)) {
		words := strings.Fields(strings.ReplaceAll(line, ",", " "))
		switch {
		case len(words) > 9 && words[0] == "requests:":
			// requests: 100 total, 100 started, 100 done, 100 succeeded, 0 failed, 0 errored, 0 timeout
			for i := 1; i+1 < len(words); i += 2 {
				n, _ := strconv.Atoi(words[i])
				switch words[i+1] {
				case "succeeded":
					s.requests = n
				case "failed", "errored", "timeout":
					s.errors += n
				}
			}
		case len(words) > 3 && words[0] == "finished":
			if s.elapsed, err = time.ParseDuration(words[2]); err != nil {
				return s, err
			}
		}
	}
	if s.requests == 0 {
		return s, fmt.Errorf("h2load counted no requests: %s", out)
	}
	return s, nil
}

func (b *bench) steady(w *workload, address string, length time.Duration) (sample, error) {
	out, err := exec.Command(b.self(), "steady", address, w.path, strconv.Itoa(w.conns), strconv.Itoa(w.rate), length.String()).Output()
	if err != nil {
		return sample{}, fmt.Errorf("steady: %w", err)
	}
	var r steadyResult
	if err := json.Unmarshal(out, &r); err != nil {
		return sample{}, fmt.Errorf("steady: %w: %s", err, out)
	}
	return sample{requests: r.Done, errors: r.Errors, elapsed: r.Elapsed, p50: r.P50, p99: r.P99, ratePaced: float64(r.Done) / r.Elapsed.Seconds() / float64(w.rate)}, nil
}
