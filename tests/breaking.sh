#!/bin/sh
# Shows that the comparison with the baseline notices a break: a field taken out of a message in a copy of the protos.
#   tests/breaking.sh BUF
set -eu
dir=$(mktemp -d)
trap 'rm -r "$dir"' EXIT
cp -r buf.yaml proto "$dir/"
file="$dir/proto/ancora/agent/v1/agent.proto"
grep -q 'int64 recycle_epoch = 4;' "$file"
sed -i '/int64 recycle_epoch = 4;/d' "$file"
if (cd "$dir" && "$1" breaking --against proto/baseline.binpb) >"$dir/out" 2>&1; then
	echo "breaking: a planted break is not noticed"
	exit 1
fi
grep -q recycle_epoch "$dir/out"
