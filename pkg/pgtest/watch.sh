# shellcheck shell=sh
# Makes a PostgreSQL, says "ready", and stops and removes it as soon as standard
# input ends, which is when the process that started this script has let go of it
# or is gone. Runs in a session of its own, so that Ctrl-C does not reach it.
# Arguments: the directory of the binaries, the server's directory, the lines for
# postgresql.conf, the shutdown mode.
set -u
bin=$1 dir=$2 configuration=$3 mode=$4

start() {
	"$bin/initdb" -D "$dir/data" -U postgres -A trust -E UTF8 --locale=C --no-sync &&
		printf '%s\n' "$configuration" >>"$dir/data/postgresql.conf" &&
		"$bin/pg_ctl" -D "$dir/data" -l "$dir/log" -w -t 120 start
}

finish() {
	trap '' HUP INT TERM
	"$bin/pg_ctl" -D "$dir/data" -m "$mode" -w -t 120 stop >/dev/null
	stopped=$?
	rm -rf "$dir" 2>/dev/null
	exit $stopped
}

trap finish HUP INT TERM
if start >"$dir/start.log" 2>&1; then
	echo ready
else
	tail -n 5 "$dir/start.log" "$dir/log" >&2
	rm -rf "$dir" 2>/dev/null
	exit 1
fi
exec >&-
read -r _
finish
