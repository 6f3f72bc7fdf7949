// Package schema writes what the readers of configuration know in the form that editors take: a JSON Schema of the site file
// and an XML Schema of the sections of web.config. Nothing of it is written by hand beside the readers: fields come from
// sitefile and webconfig, ranges, defaults and words from site.
package schema

import (
	"fmt"
	"strings"

	"github.com/ancora-fleet/ancora/dataplane/site"
	"github.com/ancora-fleet/ancora/dataplane/sitefile"
)

// between matches the whole numbers of a range, with any zeros before them; it suits JSON Schema and XML Schema.
func between(low, high int64) string {
	var all []string
	for low <= high {
		step, free := int64(1), 0
		for low > 0 && low%(step*10) == 0 && low+step*10-1 <= high {
			step, free = step*10, free+1
		}
		first := low / step % 10
		last := first
		for last < 9 && low+(last-first+2)*step-1 <= high {
			last++
		}
		var b strings.Builder
		if prefix := low / (step * 10); prefix > 0 {
			fmt.Fprint(&b, prefix)
		}
		if first == last {
			fmt.Fprint(&b, first)
		} else {
			fmt.Fprintf(&b, "[%d-%d]", first, last)
		}
		switch free {
		case 0:
		case 1:
			b.WriteString("[0-9]")
		default:
			fmt.Fprintf(&b, "[0-9]{%d}", free)
		}
		all = append(all, b.String())
		low += (last - first + 1) * step
	}
	return "0*(" + strings.Join(all, "|") + ")"
}

const (
	minute = 60
	hour   = 60 * minute
	day    = 24 * hour
)

// durationPattern matches lengths of time of a range of seconds: in one unit, or in several as they are usually written, each
// below the next larger one.
func durationPattern(l site.Limit) string {
	sixty := between(0, 59)
	var all []string
	if l.Contains(0) {
		all = append(all, "0")
	}
	for _, unit := range []struct {
		name    string
		seconds int64
	}{{"s", 1}, {"m", minute}, {"h", hour}} {
		if low, high := (l.Min+unit.seconds-1)/unit.seconds, l.Max/unit.seconds; low <= high {
			all = append(all, between(low, high)+unit.name)
		}
	}
	zero := "(0+m)?(0+s)?"
	if l.Max >= minute {
		all = append(all, between(0, l.Max/minute-1)+"m"+sixty+"s", between(l.Max/minute, l.Max/minute)+"m0+s")
	}
	if l.Max >= hour {
		all = append(all, between(0, l.Max/hour-1)+"h("+sixty+"m)?("+sixty+"s)?", between(l.Max/hour, l.Max/hour)+"h"+zero)
	}
	return strings.Join(all, "|")
}

// sizePattern matches numbers of bytes of a range in every unit, and none.
func sizePattern(l site.Limit) string {
	all := []string{"none", between(l.Min, l.Max)}
	for _, u := range sitefile.Units() {
		if low, high := (l.Min+u.Bytes-1)/u.Bytes, l.Max/u.Bytes; low <= high {
			all = append(all, between(low, high)+u.Name)
		}
	}
	return strings.Join(all, "|")
}

// spanPattern matches [days.]hours:minutes:seconds of a range of seconds that begins at 0 and ends with a whole day.
func spanPattern(l site.Limit) string {
	sixty := between(0, 59)
	clock := ":" + sixty + ":" + sixty
	days := l.Max / day
	all := []string{between(0, l.Max/hour-1) + clock, between(l.Max/hour, l.Max/hour) + ":0+:0+"}
	if days > 0 {
		all = append(all, between(0, days-1)+`\.`+between(0, 23)+clock, between(days, days)+`\.0+:0+:0+`)
	}
	return strings.Join(all, "|")
}

// said puts a range and a default into words.
func said(l site.Limit) string {
	if l.Unit == "B" {
		return fmt.Sprintf("%d to %d bytes, or none; %d unless set", l.Min, l.Max, l.Default)
	}
	return fmt.Sprintf("%d%s to %d%s; %d%s unless set", l.Min, l.Unit, l.Max, l.Unit, l.Default, l.Unit)
}
