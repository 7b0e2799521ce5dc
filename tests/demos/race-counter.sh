#!/usr/bin/env bash
# race-counter.sh PROGRAM BROKEN-PROGRAM: exit codes, output and leftovers of the demo.
source "$(dirname "$0")/support.sh"

few=(--processes 3 --increments 20000)

expect 0 "not one update is lost" "${few[@]}" --no-timeline
for variant in Lock 'Semaphore(1)' fetch_add; do
    grep -qE "^ *${variant//[()]/.} +60,000 +60,000 +0 +0.0 " "$scratch/out" ||
        problem "no row for $variant without losses"
done
grep -q $'\033' "$scratch/out" && problem "colours in a pipe"

expect 0 "lost" "${few[@]}"
grep -qE "✗|No lost update could be shown" "$scratch/out" || problem "no time line"
expect 0 "nothing can be lost" --processes 1 --increments 1000
expect 0 "Usage" --help

refuses --processes 0
refuses --processes -3
refuses --processes 1000000
refuses --processes four
refuses --processes
refuses --increments 99999999999999999999
refuses --processes 256 --increments 2147483647
refuses --step --processes 3
refuses --step --increments 5
refuses --step --no-timeline
refuses --runs 5
refuses --trace ""
refuses --no-timeline --trace "$scratch/picture.html"
refuses --colour
refuses 7

# A picture, or no success: on one processor there may be no case that leaves no doubt.
timeout "$limit" "$program" "${few[@]}" --trace "$scratch/picture.html" >"$scratch/out"
code=$?
case $code in
    0) [ -s "$scratch/picture.html" ] || problem "success without a picture" ;;
    1) grep -q "nothing was written" "$scratch/out" || problem "a failure without a word" ;;
    *) problem "exit code $code with a picture" ;;
esac

# At 60 columns no line is longer.
COLUMNS=60 "$program" "${few[@]}" >"$scratch/out"
[ "$(wc -L <"$scratch/out")" -le 60 ] || problem "a line is longer than 60 columns"

# On a terminal, with colours and without.
if command -v script >/dev/null; then
    # shellcheck disable=SC2016 # for the inner shell
    at_terminal='"$program" '${few[*]}
    TERM=xterm script -qec "$at_terminal" /dev/null >"$scratch/out" </dev/null
    grep -q $'\033\[' "$scratch/out" || problem "no colours on a terminal"
    NO_COLOR=1 TERM=xterm script -qec "$at_terminal" /dev/null >"$scratch/out" </dev/null
    grep -q $'\033\[[0-9;]*m' "$scratch/out" && problem "colours in spite of NO_COLOR"
fi

# Somebody who stops reading.
"$program" "${few[@]}" 2>"$scratch/err" | head -n 1 >/dev/null
[ -s "$scratch/err" ] && problem "noise on a closed pipe: $(cat "$scratch/err")"
"$program" "${few[@]}" >/dev/full 2>/dev/null && problem "success although the disk is full"
"$program" "${few[@]}" >&- 2>/dev/null && problem "success although nobody listens"

long=(--processes 3 --increments 500000000)
ended_by INT group 4 "${long[@]}"
ended_by INT main 4 "${long[@]}"
for moment in 0 0.02 0.1 0.3; do
    interrupted_after "$moment" "${long[@]}"
done
COLUMNS=30 "$program" "${few[@]}" >/dev/null || problem "fails at 30 columns"
ended_by TERM main 4 "${long[@]}"
ended_by KILL main 4 "${long[@]}"
ended_by KILL group 4 "${long[@]}"

# A process that is killed is noticed. Between two variants there is none to kill for a moment.
kill_one() {
    local process
    for process in $(running | sed 's|/proc/||; s|/exe||'); do
        [ "$process" != "$main" ] && kill -KILL "$process" 2>/dev/null && return
    done
    return 1
}
setsid "$program" --processes 3 --increments 5000000 >"$scratch/out" 2>&1 &
main=$!
# Again and again: the first may have done its work already, and be on its way out.
while kill -0 "$main" 2>/dev/null; do
    kill_one
    sleep 0.01
done
wait "$main"
code=$?
[ "$code" = 1 ] || problem "exit code $code although a process was killed"
grep -q "was killed by signal 9 (SIGKILL)" "$scratch/out" || problem "a killed process is not named"
until_gone "a killed process"

# The same demo, linked with a Lock variant that loses updates.
program=$(realpath "$2")
expect 1 "this is a bug" "${few[@]}"
finish
