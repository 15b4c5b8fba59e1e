#!/bin/sh
# step.sh LABEL COMMAND [ARGUMENT...]
# One line of progress for a long command: its label, then its duration and by how much .venv and build grew.
# What the command says goes to build/setup.log, and is shown only if it fails.
label=$1
shift
mkdir -p build
log=build/setup.log
started=$(date +%s)
megabytes() { du -scm .venv build 2>/dev/null | tail -n 1 | cut -f 1; }
before=$(megabytes)

printf '%-64s' "$label"
{ echo "--- $label: $*"; "$@"; } >>"$log" 2>&1 &
command=$!
trap 'kill $command 2>/dev/null; exit 130' INT TERM
while [ -t 1 ] && kill -0 $command 2>/dev/null; do  # a person watches: count the seconds
  printf '\r%-64s %4d s ' "$label" $(($(date +%s) - started))
  sleep 0.2
done
if wait $command; then
  [ -t 1 ] && printf '\r%-64s' "$label"
  printf ' %4d s %6d MB\n' $(($(date +%s) - started)) $(($(megabytes) - before))
else
  status=$?
  printf ' failed\n'
  tail -n 40 "$log"
  echo "The whole log: $log"
  exit $status
fi
