package proctree

import (
	"bytes"
	"os"
	"strconv"
)

// PrivateMemory gives what a process has for itself, in bytes: anonymous memory in RAM and swapped out, which is what IIS counts as
// private memory. Files that it maps are not among it, since the kernel can drop them; what processes still share after a fork
// counts for each. 0 when the process has ended.
func PrivateMemory(pid int) int64 {
	status, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/status")
	if err != nil {
		return 0
	}
	return privateMemory(status)
}

func privateMemory(status []byte) int64 {
	total := int64(0)
	for line := range bytes.Lines(status) {
		name, rest, _ := bytes.Cut(line, []byte(":"))
		if string(name) != "RssAnon" && string(name) != "VmSwap" {
			continue
		}
		number, _, _ := bytes.Cut(bytes.TrimSpace(rest), []byte(" "))
		kib, err := strconv.ParseInt(string(number), 10, 64)
		if err == nil {
			total += kib << 10
		}
	}
	return total
}
