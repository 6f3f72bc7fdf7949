package cli

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"
)

func (r *logReader) print(l logLine) error {
	var err error
	switch r.options.format {
	case "raw":
		if l.dropped > 0 {
			r.note("%s", r.gap(l))
		}
		line := string(l.GetLine())
		if isTerminal(r.Out) {
			line = escapeLine(line)
		}
		_, err = fmt.Fprintln(r.Out, line)
	case formatJSON:
		err = r.json(l)
	default:
		if l.dropped > 0 {
			r.say("%s", r.gap(l))
		}
		_, err = fmt.Fprintln(r.Out, r.prefix(l)+escapeLine(string(l.GetLine())))
	}
	return err
}

// gap says that lines are missing, without the bar behind which an application can write what it wants.
func (r *logReader) gap(l logLine) string {
	return fmt.Sprintf("%s ... %s dropped", l.name(), plural(int(l.dropped), "line"))
}

// name is host and run.
func (p logPlace) name() string {
	return fmt.Sprintf("%s %s%s/%d", p.host, p.site, strings.TrimSuffix(p.application, "/"), p.run)
}

func (r *logReader) prefix(l logLine) string {
	prefix := l.name() + " | "
	if r.options.timestamps {
		prefix = l.GetTime().AsTime().Local().Format("2006-01-02T15:04:05.000Z07:00") + " " + prefix
	}
	if r.color(r.Out) {
		colors := []string{"\x1b[36m", "\x1b[33m", "\x1b[35m", "\x1b[32m", "\x1b[34m"}
		sum := 0
		for _, b := range []byte(l.host) {
			sum += int(b)
		}
		prefix = colors[sum%len(colors)] + escapeLine(prefix) + ansiReset
		return prefix
	}
	return escapeLine(prefix)
}

// json is one object a line; bytes that are no UTF-8 come out as the replacement character.
func (r *logReader) json(l logLine) error {
	text, err := json.Marshal(map[string]any{
		"time": l.GetTime().AsTime().Format(time.RFC3339Nano), "host": l.host, "site": l.site, "application": l.application,
		"instance": l.instance, "run": l.run, "sequence": l.GetSequence(), "dropped": l.dropped,
		"stream": strings.ToLower(strings.TrimPrefix(l.GetStream().String(), "LOG_STREAM_")), "line": string(l.GetLine()),
	})
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(r.Out, escapeJSON(string(text)))
	return err
}
