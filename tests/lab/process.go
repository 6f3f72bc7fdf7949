package lab

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// Marked gives the processes whose instance mark contains text: what runs below an agent, wherever it went.
func Marked(text string) []int {
	var pids []int
	entries, _ := filepath.Glob("/proc/[0-9]*/environ")
	for _, file := range entries {
		environ, err := os.ReadFile(file)
		if err != nil {
			continue
		}
		for v := range bytes.SplitSeq(environ, []byte{0}) {
			mark, ok := strings.CutPrefix(string(v), "ANCORA_INSTANCE=")
			if ok && strings.Contains(mark, text) {
				if pid, err := strconv.Atoi(strings.Split(file, "/")[2]); err == nil && !zombie(pid) {
					pids = append(pids, pid)
				}
			}
		}
	}
	return pids
}

// Children gives the living children of a process.
func Children(parent int) []int { return children()[parent] }

// Family gives a process and its living descendants that run the same program: the worker of a keeper, the workers of a master,
// but not the applications they start.
func Family(pid int) []int {
	program, err := executable(pid)
	if err != nil {
		return nil
	}
	family, below := []int{pid}, children()
	for i := 0; i < len(family); i++ { // it grows
		for _, child := range below[family[i]] {
			if theirs, err := executable(child); err == nil && theirs == program {
				family = append(family, child)
			}
		}
	}
	return family
}

func executable(pid int) (string, error) { return os.Readlink(fmt.Sprintf("/proc/%d/exe", pid)) }

// children gives those that live, by their parents.
func children() map[int][]int {
	all := map[int][]int{}
	entries, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, file := range entries {
		pid, _ := strconv.Atoi(strings.Split(file, "/")[2])
		if fields, err := Stat(pid); err == nil && fields[0] != "Z" {
			parent, _ := strconv.Atoi(fields[1])
			all[parent] = append(all[parent], pid)
		}
	}
	return all
}

// Resident is the memory of processes in bytes. Of those that are not there it counts nothing, and says so.
func Resident(pids ...int) (total int64, err error) {
	for _, pid := range pids {
		var size, pages int64
		text, oneErr := os.ReadFile(fmt.Sprintf("/proc/%d/statm", pid))
		if oneErr == nil {
			_, oneErr = fmt.Sscan(string(text), &size, &pages)
		}
		total += pages * int64(os.Getpagesize())
		err = errors.Join(err, oneErr)
	}
	return total, err
}

// Alive says whether a process lives and is no zombie.
func Alive(pid int) bool {
	fields, err := Stat(pid)
	return err == nil && fields[0] != "Z" && fields[0] != "X"
}

func zombie(pid int) bool { return !Alive(pid) }

// Stat gives the fields of /proc/PID/stat from the third on, the state: a name may hold spaces and parentheses. There are 20 at
// least.
func Stat(pid int) ([]string, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return nil, err
	}
	fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
	if len(fields) < 20 {
		return nil, fmt.Errorf("/proc/%d/stat: %q", pid, text)
	}
	return fields, nil
}

// Connections counts the established TCP connections that a listener on address has accepted.
func Connections(address string) int {
	_, port, _ := strings.Cut(address, ":")
	n, err := strconv.Atoi(port)
	table, readErr := os.ReadFile("/proc/net/tcp")
	if err != nil || readErr != nil {
		return -1
	}
	local := strings.ToUpper(":" + strconv.FormatInt(int64(n)+0x10000, 16)[1:])
	count := 0
	for line := range strings.Lines(string(table)) {
		fields := strings.Fields(line)
		if len(fields) > 3 && strings.HasSuffix(fields[1], local) && fields[3] == "01" {
			count++
		}
	}
	return count
}
