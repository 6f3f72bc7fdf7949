package proctree

import (
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

func TestKillLeftoversKnowsWhoIsWho(t *testing.T) {
	start := func() (*exec.Cmd, Process) {
		cmd := exec.Command("/bin/sh", "-c", "sleep 100 & wait")
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		p, err := Read(cmd.Process.Pid)
		if err != nil {
			t.Fatal(err)
		}
		return cmd, p
	}
	ours, o := start()
	other, p := start()
	defer func() { _ = other.Process.Kill(); _ = other.Wait() }()
	err := KillLeftovers([]Instance{{PID: o.PID, Start: o.Start, Mark: "none"}, {PID: p.PID, Start: p.Start - 1, Mark: "none"}}, "no such mark")
	if err != nil {
		t.Fatal(err)
	}
	if err := ours.Wait(); err == nil || !strings.Contains(err.Error(), "killed") {
		t.Errorf("ours: %v", err)
	}
	table, err := Scan()
	if err != nil {
		t.Fatal(err)
	}
	if q, living := table[p.PID]; !living || q.Zombie || q.Start != p.Start {
		t.Error("a process that only has the pid of one of ours was killed")
	}
	if members := table.Members(Instance{PID: p.PID, Start: p.Start}, os.Getpid()); !slices.Contains(members, p.PID) {
		t.Errorf("members %v", members)
	}
}
