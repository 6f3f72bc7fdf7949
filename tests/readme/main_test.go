package main

import "testing"

func TestRun(t *testing.T) {
	for name, c := range map[string]struct {
		text string
		good bool
	}{
		"same":        {"```console\n$ echo one; echo two\none\ntwo\n```\n", true},
		"placeholder": {"```console\n$ echo pid 123 at 12:01:02\npid <pid> at <time>\n```\n", true},
		"one shell":   {"```console\n$ A=x\n$ echo $A\nx\n```\n", true},
		"columns":     {"```console\n$ echo 'a      b'\na  b\n```\n", true},
		"exit code":   {"```console\n$ false\n```\n", false},
		"none":        {"text\n", false},
		"left out":    {"<!-- not executed: it needs root -->\n```console\n$ false\n```\n```console\n$ true\n```\n", true},
	} {
		if err := run(c.text); (err == nil) != c.good {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestJudge(t *testing.T) {
	s := &shell{lines: []string{"one", "three", "-readme-done-0"}}
	if code, missing := s.judge(0, []string{"one", "two"}, "-readme-done-"); code != "0" || missing != "two" {
		t.Errorf("%q %q", code, missing)
	}
	if _, missing := s.judge(0, []string{"three", "one"}, "-readme-done-"); missing != "one" {
		t.Errorf("order does not count: %q", missing)
	}
}
