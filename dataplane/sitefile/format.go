package sitefile

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/ancora-fleet/ancora/dataplane/site"
)

// Format writes a site as a file that Parse reads again. Fields that are not set are left out.
func Format(s *site.Site) []byte {
	w := &writer{}
	w.line(0, "apiVersion: %s", APIVersion)
	w.line(0, "kind: %s", Kind)
	w.line(0, "name: %s", quote(s.Name))
	if len(s.Labels) > 0 {
		w.line(0, "labels:")
		for _, key := range slices.Sorted(maps.Keys(s.Labels)) {
			w.line(1, "%s: %s", quote(key), quote(s.Labels[key]))
		}
	}
	w.line(0, "placement: {hosts: %s}", quote(s.Placement.Hosts))
	w.line(0, "bindings:")
	for _, b := range s.Bindings {
		w.line(1, "- listener: %s", quote(b.Listener))
		if len(b.Hostnames) > 0 {
			w.line(2, "hostnames: %s", quoteAll(b.Hostnames))
		}
		if b.Redirect != "" {
			w.line(2, "redirect: %s", quote(string(b.Redirect)))
		}
		w.tls(b.TLS)
	}
	if s.AccessLog != "" {
		w.line(0, "accessLog: %s", quote(string(s.AccessLog)))
	}
	w.line(0, "applications:")
	for i := range s.Applications {
		w.application(&s.Applications[i])
	}
	return w.out.Bytes()
}

type writer struct{ out bytes.Buffer }

func (w *writer) line(depth int, format string, args ...any) {
	w.out.WriteString(strings.Repeat("  ", depth))
	fmt.Fprintf(&w.out, format, args...)
	w.out.WriteByte('\n')
}

func (w *writer) application(a *site.Application) {
	w.line(1, "- path: %s", quote(a.Path))
	w.line(2, "root: %s", quote(a.Root))
	for _, f := range []struct{ name, value string }{{"user", a.User}, {"profile", string(a.Profile)}, {"start", string(a.Start)}, {"socket", string(a.Socket)}, {"protocol", string(a.Protocol)}} {
		if f.value != "" {
			w.line(2, "%s: %s", f.name, quote(f.value))
		}
	}
	if a.IISEnvironment {
		w.line(2, "iisEnvironment: true")
	}
	if len(a.Command) > 0 {
		w.line(2, "command: %s", quoteAll(a.Command))
	}
	if len(a.Env) > 0 {
		w.line(2, "env:")
		for _, v := range a.Env {
			w.line(3, "%s: %s", quote(v.Name), quote(v.Value))
		}
	}
	w.duration("ready: {timeout: %s}", a.StartupTimeLimit)
	w.duration("stop: {timeout: %s}", a.ShutdownTimeLimit)
	w.duration("drain: %s", a.Drain)
	if a.Overlap != nil {
		w.line(2, "overlap: %t", *a.Overlap)
	}
	if a.Instances != nil {
		w.line(2, "instances: %d", *a.Instances)
	}
	for _, f := range []struct{ name, value string }{{"balance", string(a.Balance)}, {"affinity", string(a.Affinity)}} {
		if f.value != "" {
			w.line(2, "%s: %s", f.name, quote(f.value))
		}
	}
	w.recycle(a)
	w.duration("requestTimeout: %s", a.RequestTimeout)
	if a.RapidFailsPerMinute != nil {
		w.line(2, "rapidFailsPerMinute: %d", *a.RapidFailsPerMinute)
	}
	if a.DisableStartUpErrorPage != nil {
		w.line(2, "disableStartUpErrorPage: %t", *a.DisableStartUpErrorPage)
	}
	w.limits(a)
	if len(a.Open) > 0 {
		w.line(2, "webConfig: {open: %s}", quoteAll(a.Open))
	}
}

func (w *writer) recycle(a *site.Application) {
	w.duration("idle: %s", a.Idle)
	var all []string
	if r := a.Recycle; r.Memory != nil {
		all = append(all, "memory: "+formatSize(*r.Memory))
	}
	if n := a.Recycle.Requests; n != nil {
		all = append(all, fmt.Sprintf("requests: %d", *n))
	}
	if d := a.Recycle.Age; d != nil {
		all = append(all, "age: "+short(*d))
	}
	if s := a.Recycle.Schedule; len(s) > 0 {
		all = append(all, "schedule: "+quoteAll(s))
	}
	if len(all) > 0 {
		w.line(2, "recycle: {%s}", strings.Join(all, ", "))
	}
	if a.Warmup != nil {
		w.line(2, "warmup: {requests: %s}", quoteAll(a.Warmup))
	}
}

func (w *writer) limits(a *site.Application) {
	var all []string
	if a.BodyLimit != nil {
		all = append(all, "body: "+formatSize(*a.BodyLimit))
	}
	if a.Concurrency != nil {
		all = append(all, fmt.Sprintf("concurrency: %d", *a.Concurrency))
	}
	if a.Queue != nil {
		all = append(all, fmt.Sprintf("queue: %d", *a.Queue))
	}
	if a.QueueTimeout != nil {
		all = append(all, "queueTimeout: "+short(*a.QueueTimeout))
	}
	if len(all) > 0 {
		w.line(2, "limits: {%s}", strings.Join(all, ", "))
	}
}

func (w *writer) duration(format string, d *time.Duration) {
	if d != nil {
		w.line(2, format, short(*d))
	}
}

// short writes 2m for what Go writes as 2m0s.
func short(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// plain is what every YAML reader takes for a text as it stands.
func plain(s string) bool {
	for i := range len(s) {
		letter := s[i] >= 'a' && s[i] <= 'z' || s[i] >= 'A' && s[i] <= 'Z' || s[i] == '/' || s[i] == '_'
		if !letter && (i == 0 || !strings.ContainsRune("0123456789.=-", rune(s[i]))) {
			return false
		}
	}
	return s != ""
}

func quote(s string) string {
	switch strings.ToLower(s) {
	case "y", "n", "yes", "no", "on", "off", "true", "false", "null":
	default:
		if plain(s) {
			return s
		}
	}
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	if encoder.Encode(s) != nil {
		return `""`
	}
	return strings.TrimSuffix(out.String(), "\n")
}

func quoteAll(all []string) string {
	quoted := make([]string, len(all))
	for i, s := range all {
		quoted[i] = quote(s)
	}
	return "[" + strings.Join(quoted, ", ") + "]"
}
