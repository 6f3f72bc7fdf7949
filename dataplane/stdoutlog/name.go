package stdoutlog

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// fileName is the name of a run's file (LOG-2). Inside a run _2, _3 and so on is added: started and pid stay those of the
// process.
func fileName(path string, started time.Time, pid, number int) string {
	name := fmt.Sprintf("%s_%s_%d", path, started.UTC().Format("20060102150405"), pid)
	if number > 1 {
		name += fmt.Sprintf("_%d", number)
	}
	return name + ".log"
}

// named is what fileName adds to a path.
var named = regexp.MustCompile(`^_(\d{14})_(\d{1,10})(?:_(\d{1,10}))?\.log$`)

// namesOf gives those of names that fileName made of base, oldest first.
func namesOf(base string, names []string) []string {
	type file struct {
		name, time  string
		pid, number int
	}
	var files []file
	for _, name := range names {
		rest, ok := strings.CutPrefix(name, base)
		parts := named.FindStringSubmatch(rest)
		if !ok || parts == nil {
			continue
		}
		pid, _ := strconv.Atoi(parts[2])
		number, _ := strconv.Atoi(parts[3]) // none is 0: the first
		files = append(files, file{name, parts[1], pid, number})
	}
	slices.SortFunc(files, func(a, b file) int {
		return cmp.Or(cmp.Compare(a.time, b.time), cmp.Compare(a.pid, b.pid), cmp.Compare(a.number, b.number))
	})
	var sorted []string
	for _, f := range files {
		sorted = append(sorted, f.name)
	}
	return sorted
}
