// Package proctree finds out which processes belong to an instance and on which ports they listen, from /proc alone.
//
// An instance's processes are those of its session, their descendants, and whatever was reparented to the keeper (the
// child subreaper) and carries the instance's mark in its environment: so a double fork with setsid does not escape.
package proctree

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// MarkVariable is the environment variable that carries an instance's mark.
const MarkVariable = "ANCORA_INSTANCE"

// Process is one line of the process table.
type Process struct {
	PID, Parent, Session int
	// Start is the start time in clock ticks since boot: with the pid it names a process for ever.
	Start uint64
	// Zombie has ended and waits to be reaped.
	Zombie bool
}

// Table is the process table at one moment.
type Table map[int]Process

// Scan reads the process table.
func Scan() (Table, error) {
	dir, err := os.Open("/proc")
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	names, err := dir.Readdirnames(-1)
	if err != nil {
		return nil, err
	}
	table := make(Table, len(names))
	for _, name := range names {
		if pid, err := strconv.Atoi(name); err == nil {
			if p, err := Read(pid); err == nil {
				table[pid] = p
			}
		}
	}
	return table, nil
}

// Read reads one process; an error means that there is none.
func Read(pid int) (Process, error) {
	data, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return Process{}, err
	}
	// The name stands in parentheses and may hold anything, also parentheses.
	_, rest, ok := bytes.Cut(data[max(bytes.LastIndexByte(data, ')'), 0):], []byte(") "))
	fields := strings.Fields(string(rest))
	if !ok || len(fields) < 20 {
		return Process{}, fmt.Errorf("proctree: stat of %d is not readable", pid)
	}
	p := Process{PID: pid, Zombie: fields[0] == "Z" || fields[0] == "X"}
	p.Parent, _ = strconv.Atoi(fields[1])
	p.Session, _ = strconv.Atoi(fields[3])
	p.Start, err = strconv.ParseUint(fields[19], 10, 64)
	return p, err
}

// Members gives the living processes of an instance. keeper is the pid of the subreaper.
func (t Table) Members(of Instance, keeper int) []int {
	inside, marked := map[int]bool{}, map[int]bool{}
	main, known := t[of.PID]
	same := known && main.Start == of.Start
	belongs := func(p Process) bool {
		switch {
		case p.PID == of.PID:
			return same
		case p.Session != of.PID:
		case same, !known && p.Parent == keeper:
			// A pid is not given out again while it names a session. But a session of that name, its leader gone, may be
			// another's who had the pid later; that one's processes do not fall to this keeper.
			return true
		}
		// The parent of an orphan may have ended while the table was read.
		if _, has := t[p.Parent]; (p.Parent == keeper || !has) && p.PID != keeper {
			m, known := marked[p.PID]
			if !known {
				m = HasMark(p.PID, of.Mark)
				marked[p.PID] = m
			}
			return m
		}
		return inside[p.Parent]
	}
	for grown := true; grown; {
		grown = false
		for pid, p := range t {
			if !inside[pid] && belongs(p) {
				inside[pid], grown = true, true
			}
		}
	}
	var members []int
	for pid := range inside {
		if !t[pid].Zombie {
			members = append(members, pid)
		}
	}
	return members
}

// HasMark says whether a process was given exactly this mark. A process whose environment may not be read has none.
func HasMark(pid int, mark string) bool {
	environ := readEnviron(pid)
	// A program that is just being put in place has no environment for a moment.
	for tries := 0; len(environ) == 0 && tries < 10; tries++ {
		if _, err := Read(pid); err != nil {
			return false
		}
		time.Sleep(200 * time.Microsecond)
		environ = readEnviron(pid)
	}
	value, ok := markIn(environ)
	return ok && value == mark
}

// HasMarkPrefix says whether a process's mark begins with prefix.
func HasMarkPrefix(pid int, prefix string) bool {
	value, ok := markIn(readEnviron(pid))
	return ok && strings.HasPrefix(value, prefix)
}

func readEnviron(pid int) []byte {
	environ, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/environ")
	if err != nil {
		return nil
	}
	return environ
}

func markIn(environ []byte) (string, bool) {
	for entry := range bytes.SplitSeq(environ, []byte{0}) {
		if value, ok := bytes.CutPrefix(entry, []byte(MarkVariable+"=")); ok {
			return string(value), true
		}
	}
	return "", false
}
