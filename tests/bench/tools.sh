#!/bin/sh
# Finds what the benchmark compares with and measures by: nginx, haproxy, wrk and h2load as Debian ships them. On Debian, as
# root, it installs what is missing; elsewhere it says what to run. Caddy is compared when it is there, and never installed.
set -eu
missing=
for tool in nginx:nginx-light haproxy:haproxy wrk:wrk h2load:nghttp2-client; do
	command -v "${tool%%:*}" >/dev/null || missing="$missing ${tool#*:}"
done
[ -n "$missing" ] || exit 0
install="apt-get install -y --no-install-recommends$missing"
if [ "$(id -u)" != 0 ] || [ ! -e /etc/debian_version ] || ! command -v apt-get >/dev/null; then
	echo "bench: as root, on Debian: apt-get update && $install" >&2
	exit 1
fi
echo "bench: installing$missing by apt-get"
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
$install -qq >/dev/null
echo "bench: if their services run now, stop them before you measure: systemctl stop nginx haproxy"
