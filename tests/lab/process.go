package lab

import (
	"bytes"
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
func Children(parent int) []int {
	var pids []int
	entries, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, file := range entries {
		pid, _ := strconv.Atoi(strings.Split(file, "/")[2])
		if fields := stat(pid); len(fields) > 1 && fields[1] == strconv.Itoa(parent) && fields[0] != "Z" {
			pids = append(pids, pid)
		}
	}
	return pids
}

// Alive says whether a process lives and is no zombie.
func Alive(pid int) bool {
	fields := stat(pid)
	return len(fields) > 0 && fields[0] != "Z" && fields[0] != "X"
}

func zombie(pid int) bool { return !Alive(pid) }

// stat gives the fields behind the name in parentheses: state, parent and so on.
func stat(pid int) []string {
	data, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return nil
	}
	return strings.Fields(string(data[bytes.LastIndexByte(data, ')')+1:]))
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
