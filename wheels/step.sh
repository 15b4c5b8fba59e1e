#!/usr/bin/env bash
# step.sh LABEL COMMAND [ARGUMENT...]
# One line of progress for a long command: its label, then its duration and by how much .venv and build grew.
# The output of the command is written to build/setup.log, and shown only if it fails.
set -m # the command becomes a process group, so that Ctrl-C ends it with all its children
label=$1
shift
mkdir -p build
log=build/setup.log
megabytes() { du -scm .venv build 2>/dev/null | tail -n 1 | cut -f 1; }
before=$(megabytes)

printf '%-64s' "$label"
SECONDS=0
{ echo "--- $label: $*"; "$@"; } >>"$log" 2>&1 &
trap 'kill -- -$! 2>/dev/null; echo; exit 130' INT TERM
while [ -t 1 ] && kill -0 $! 2>/dev/null; do # on a terminal: show the seconds
  printf '\r%-64s %4d s ' "$label" $SECONDS
  sleep 0.2
done
wait $!
status=$?
if [ $status -ne 0 ]; then
  printf ' failed\n'
  tail -n 40 "$log"
  echo "The whole log: $log"
  exit $status
fi
[ -t 1 ] && printf '\r%-64s' "$label"
printf ' %4d s %6d MB\n' $SECONDS $(($(megabytes) - before))
