package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// stat gives the fields of /proc/PID/stat from the third on: a name may hold spaces and parentheses.
func stat(pid int) ([]string, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return nil, err
	}
	_, rest, ok := strings.Cut(string(text)[strings.LastIndexByte(string(text), ')'):], " ")
	fields := strings.Fields(rest)
	if !ok || len(fields) < 20 {
		return nil, fmt.Errorf("/proc/%d/stat: %q", pid, text)
	}
	return fields, nil
}

// family gives pid and its descendants that run the same program: the worker of a keeper, the workers of a master, but not
// the applications they start.
func family(pid int) []int {
	program, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", pid))
	if err != nil {
		return nil
	}
	all := []int{pid}
	paths, _ := filepath.Glob("/proc/[0-9]*")
	for found := true; found; {
		found = false
		for _, path := range paths {
			child, _ := strconv.Atoi(filepath.Base(path))
			fields, err := stat(child)
			if err != nil {
				continue
			}
			parent, _ := strconv.Atoi(fields[1])
			exe, _ := os.Readlink(path + "/exe")
			if exe == program && contains(all, parent) && !contains(all, child) {
				all, found = append(all, child), true
			}
		}
	}
	return all
}

func contains(all []int, pid int) bool {
	for _, p := range all {
		if p == pid {
			return true
		}
	}
	return false
}

// cpu is CPU time outside and inside of the kernel.
type cpu struct{ user, system time.Duration }

func (c cpu) total() time.Duration { return c.user + c.system }

func (c cpu) minus(d cpu) cpu { return cpu{c.user - d.user, c.system - d.system} }

// used is the CPU time that the processes have used so far.
func used(pids ...int) (cpu, error) {
	const tick = 10 * time.Millisecond // USER_HZ is 100 on every architecture that Go runs on
	var ticks [2]int64
	for _, pid := range pids {
		fields, err := stat(pid)
		if err != nil {
			return cpu{}, err
		}
		for i, field := range fields[11:13] {
			n, err := strconv.ParseInt(field, 10, 64)
			if err != nil {
				return cpu{}, err
			}
			ticks[i] += n
		}
	}
	return cpu{time.Duration(ticks[0]) * tick, time.Duration(ticks[1]) * tick}, nil
}

// resident is the memory of the processes in bytes.
func resident(pids ...int) (int64, error) {
	var total int64
	for _, pid := range pids {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", pid))
		if err != nil {
			return 0, err
		}
		pages, err := strconv.ParseInt(strings.Fields(string(text))[1], 10, 64)
		if err != nil {
			return 0, err
		}
		total += pages * int64(os.Getpagesize())
	}
	return total, nil
}
