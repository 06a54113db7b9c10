# shellcheck shell=sh
# Keeps the directory of a cluster until standard input ends, which is when the
# process that made it has let go of it or is gone; then ends the server that may
# run there and removes everything. Runs in a session of its own, so that Ctrl-C
# does not reach it.
# Arguments: the directory of the binaries, the cluster's directory.
set -u
bin=$1 dir=$2

finish() {
	trap '' HUP INT TERM
	"$bin/pg_ctl" -D "$dir/data" -m immediate -w -t 120 stop >/dev/null 2>&1 # there may be none
	rm -rf "$dir" 2>/dev/null
	exit 0
}

trap finish HUP INT TERM
read -r _
finish
