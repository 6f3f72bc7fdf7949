// Package proctree finds out which processes belong to an instance and on which ports they listen, from /proc alone.
//
// An instance's processes are those of its session, their descendants, and whatever was reparented to the keeper (the
// child subreaper) and carries the instance's mark in its environment: so a double fork with setsid does not escape.
package proctree

import (
	"bytes"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
)

// MarkVariable is the environment variable that carries an instance's mark.
const MarkVariable = "ANCORA_INSTANCE"

// Marked gives an environment with a mark, and with no other: who reads the first of two and passes that on would lose it.
func Marked(environ []string, mark string) []string {
	prefix := MarkVariable + "="
	others := slices.DeleteFunc(slices.Clone(environ), func(v string) bool { return strings.HasPrefix(v, prefix) })
	return append(others, prefix+mark)
}

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
	fields, err := stat(pid)
	if err != nil {
		return Process{}, err
	}
	p := Process{PID: pid, Zombie: fields[0] == "Z" || fields[0] == "X"}
	p.Parent, _ = strconv.Atoi(fields[1])
	p.Session, _ = strconv.Atoi(fields[3])
	p.Start, err = strconv.ParseUint(fields[19], 10, 64)
	return p, err
}

// stat gives the fields behind the name: state, parent, group, session and so on, proc(5) counts them from 3.
func stat(pid int) ([]string, error) {
	data, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return nil, err
	}
	// The name stands in parentheses and may hold anything, also parentheses.
	_, rest, ok := bytes.Cut(data[max(bytes.LastIndexByte(data, ')'), 0):], []byte(") "))
	fields := strings.Fields(string(rest))
	if !ok || len(fields) < 20 {
		return nil, fmt.Errorf("proctree: stat of %d is not readable", pid)
	}
	return fields, nil
}

// Members gives the living processes of an instance. keeper is the pid of the subreaper.
func (t Table) Members(of Instance, keeper int) []int {
	members, _ := t.members(of, keeper)
	return members
}

// members says also whether every process could be decided on: one that is in the middle of an exec shows no mark.
func (t Table) members(of Instance, keeper int) (members []int, sure bool) {
	inside, marked := map[int]bool{}, map[int]bool{}
	main, known := t[of.PID]
	same := known && main.Start == of.Start
	sure = true
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
		if _, has := t[p.Parent]; p.Parent == keeper || !has && p.Parent != 0 {
			m, asked := marked[p.PID]
			if !asked {
				mark, clear := markOf(p.PID)
				m, sure = mark != "" && mark == of.Mark, sure && clear
				marked[p.PID] = m
			}
			return m
		}
		return inside[p.Parent]
	}
	for grown := true; grown; {
		grown = false
		for pid, p := range t {
			if pid != keeper && !inside[pid] && !p.Zombie && belongs(p) {
				inside[pid], grown = true, true
				members = append(members, pid)
			}
		}
	}
	return members, sure
}

// HasMarkPrefix says whether a process was given a mark that begins with prefix.
func HasMarkPrefix(pid int, prefix string) bool {
	mark, _ := markOf(pid)
	return mark != "" && strings.HasPrefix(mark, prefix)
}

// markOf gives the mark of a process; one whose environment may not be read has none. It is not clear while the process
// is being exchanged by exec and has no environment yet.
func markOf(pid int) (mark string, clear bool) {
	environ, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/environ")
	if err != nil {
		return "", true
	}
	for entry := range bytes.SplitSeq(environ, []byte{0}) {
		if value, ok := bytes.CutPrefix(entry, []byte(MarkVariable+"=")); ok {
			return string(value), true
		}
	}
	return "", len(environ) > 0 || givenNone(pid)
}

// givenNone tells a process that has an empty environment, or is none of user space, from one that has none yet.
func givenNone(pid int) bool {
	const flags, kernelThread, envStart, envEnd = 6, 0x200000, 47, 48
	fields, err := stat(pid)
	if err != nil || len(fields) <= envEnd || fields[0] == "Z" {
		return true // it has ended
	}
	bits, _ := strconv.ParseUint(fields[flags], 10, 64)
	return bits&kernelThread != 0 || fields[envStart] != "0" && fields[envStart] == fields[envEnd]
}
