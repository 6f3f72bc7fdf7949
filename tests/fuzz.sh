#!/bin/sh
# Runs every fuzz target of the project for the time given, one after another.
set -eu
time=$1
out=$(mktemp)
trap 'rm "$out"' EXIT
grep -rlE '^func Fuzz' --include='*_test.go' . | xargs -r -n1 dirname | sort -u | while read -r dir; do
	grep -hoE '^func Fuzz[A-Za-z0-9_]*' "$dir"/*_test.go | sed 's/^func //' | while read -r target; do
		echo "fuzz $dir $target"
		go test -run '^$' -fuzz "^$target\$" -fuzztime "$time" -fuzzminimizetime 10x "$dir" </dev/null >"$out" 2>&1 && continue
		# Go can end a fuzz run at its time limit with this error and no input (golang/go#75804); what fails names its input.
		if grep -q 'context deadline exceeded' "$out" && ! grep -q 'Failing input' "$out"; then
			continue
		fi
		cat "$out"
		exit 1
	done
done
