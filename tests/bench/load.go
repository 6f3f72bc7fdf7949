package main

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// load sends a workload's requests to one contender for a while.
func (b *bench) load(w *workload, c *contender, length time.Duration) (sample, error) {
	switch {
	case w.rate > 0:
		return b.steady(w, c, length)
	case w.scheme == "h2":
		return b.h2load(w, c, length)
	case w.own:
		return newAsker(w, c).during(length)
	}
	return b.wrk(w, c, length)
}

// wrkReport prints what wrk has counted, once, at the end: what it prints itself is rounded.
const wrkReport = `
function done(s, l)
  local e = s.errors
  io.write(string.format('{"requests":%.0f,"micros":%.0f,"bytes":%.0f,"errors":%.0f,"p50":%.0f,"p99":%.0f}\n', s.requests, s.duration, s.bytes,
    e.connect + e.read + e.write + e.status + e.timeout, l:percentile(50), l:percentile(99)))
end
`

func (b *bench) wrk(w *workload, c *contender, length time.Duration) (sample, error) {
	script := wrkReport
	if w.body > 0 {
		script += fmt.Sprintf("wrk.method = \"POST\"\nwrk.body = string.rep(\"x\", %d)\n", w.body)
	}
	if w.raw {
		// The first one wrk only parses, and it knows no PROXY header.
		script += fmt.Sprintf("local greeting, first, next = %q, %q, nil\nfunction request()\n  local all = next or first\n  next = greeting .. first\n  return all\nend\n",
			c.greeting, w.request(c.hostname()))
	}
	file, err := b.write("wrk.lua", script)
	if err != nil {
		return sample{}, err
	}
	args := []string{"-t1", "-c" + strconv.Itoa(w.conns), "-d" + strconv.Itoa(seconds(length)) + "s", "-s", file, "-H", "Host: " + c.hostname()}
	for _, f := range w.headers() {
		args = append(args, "-H", f)
	}
	scheme := "http"
	if w.scheme != "" {
		scheme = w.scheme
	}
	out, err := output(length, nil, "wrk", append(args, scheme+"://"+c.address(w)+w.path)...)
	if err != nil {
		return sample{}, err
	}
	return parseWrk(out, w, c.size)
}

// seconds is what wrk and h2load take: whole ones, 1 at least.
func seconds(length time.Duration) int { return max(int(length.Seconds()+0.5), 1) }

// parseWrk reads what wrkReport prints. Statuses below 400 are all the same to wrk, and so are bodies that end where the head
// says; what it has read in all tells whether they were those that a single request got. Answers that were under way at the
// end make it more, by less than one for each connection.
func parseWrk(out string, w *workload, size int) (s sample, err error) {
	var r struct{ Requests, Micros, Bytes, Errors, P50, P99 int }
	if err := json.Unmarshal([]byte(out[max(strings.LastIndex(out, "\n{"), 0):]), &r); err != nil {
		return s, fmt.Errorf("wrk printed %q: %w", out, err)
	}
	if r.Requests == 0 || r.Micros == 0 {
		return s, fmt.Errorf("wrk counted no requests: %s", out)
	}
	s = sample{requests: r.Requests, errors: r.Errors, elapsed: micros(r.Micros), p50: micros(r.P50), p99: micros(r.P99)}
	if whole := r.Requests * size; r.Bytes < whole || r.Bytes > whole+w.conns*size {
		s.wrong = fmt.Sprintf("%d answers of %d bytes came to %d bytes", r.Requests, size, r.Bytes)
	}
	return s, nil
}

func micros(n int) time.Duration { return time.Duration(n) * time.Microsecond }

// h2load reports no percentiles.
func (b *bench) h2load(w *workload, c *contender, length time.Duration) (sample, error) {
	const streams = 10
	args := []string{"-c", strconv.Itoa(w.conns), "-m", strconv.Itoa(streams), "-t", "1", "-D", strconv.Itoa(seconds(length)), "-H", ":authority: " + c.hostname()}
	for _, f := range w.headers() {
		args = append(args, "-H", f)
	}
	out, err := output(length, nil, "h2load", append(args, "https://"+c.address(w)+w.path)...)
	if err != nil {
		return sample{}, err
	}
	return parseH2load(out, w.conns*streams, bodySize(w.path), length)
}

// parseH2load reads what h2load prints. To it all statuses below 400 are a success too, so they are counted by class, and the
// bytes of all bodies with them.
func parseH2load(out string, streams, size int, length time.Duration) (s sample, err error) {
	s.elapsed = length
	good, data := 0, 0
	for line := range strings.Lines(out) {
		words := strings.Fields(strings.NewReplacer(",", " ", "(", " ", ")", " ").Replace(line))
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
		case len(words) > 3 && words[0] == "status" && words[3] == "2xx":
			good, _ = strconv.Atoi(words[2]) // status codes: 100 2xx, 0 3xx, 0 4xx, 0 5xx
		case len(words) > 3 && words[0] == "traffic:":
			data, _ = strconv.Atoi(words[len(words)-2]) // traffic: ... 100.00KB (102400) data
		case len(words) > 3 && words[0] == "finished":
			if s.elapsed, err = time.ParseDuration(words[2]); err != nil {
				return s, err
			}
		}
	}
	if s.requests == 0 {
		return s, fmt.Errorf("h2load counted no requests: %s", out)
	}
	s.errors += max(s.requests-good, 0)
	if whole := s.requests * size; data < whole || data > whole+streams*size {
		s.wrong = fmt.Sprintf("%d bodies of %d bytes came to %d bytes", s.requests, size, data)
	}
	return s, nil
}

func (b *bench) steady(w *workload, c *contender, length time.Duration) (sample, error) {
	out, err := output(length, nil, b.self(), "steady", c.address(w), w.path, strconv.Itoa(w.conns), strconv.Itoa(w.rate), length.String())
	if err != nil {
		return sample{}, err
	}
	var r steadyResult
	if err := json.Unmarshal([]byte(out), &r); err != nil {
		return sample{}, fmt.Errorf("steady: %w: %s", err, out)
	}
	return sample{requests: r.Done, errors: r.Errors, elapsed: r.Elapsed, p50: r.P50, p99: r.P99, ratePaced: float64(r.Done) / r.Elapsed.Seconds() / float64(w.rate)}, nil
}
