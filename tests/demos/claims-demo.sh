#!/usr/bin/env bash
# claims-demo.sh PROGRAM [COUNT OPTION VALUE]: what the demos of tutorials promise that run processes:
# their claims hold, bad input, and leftovers. With the option so high it runs for long, in COUNT
# processes at least; a demo without one is short.
source "$(dirname "$0")/support.sh"
count=${2-} option=${3-} value=${4-}

expect 0 "Checked on this run" --short
[ "$(grep -c "✓" "$scratch/out")" -ge 3 ] || problem "less than three claims: $(cat "$scratch/out")"
grep -q "✗" "$scratch/out" && problem "a claim does not hold, and the exit code is 0"
grep -q $'\033' "$scratch/out" && problem "colours in a pipe"
until_gone "its end"

expect 0 "Usage" --help
refuses --nonsense
refuses 7
for number in $("$program" --help | grep -oE -- '--[a-z-]+ N\b' | cut -d ' ' -f 1); do
    refuses "$number" 0
    refuses "$number" -1
    refuses "$number" many
    refuses "$number" 99999999999999999999
    refuses "$number"
done
if [[ $("$program" --help) == *--processes* ]]; then
    expect 0 "Checked on this run" --short --processes 1
    expect 0 "Checked on this run" --short --processes 3
    refuses --processes 0
    refuses --processes -4
    refuses --processes 1000000
    refuses --processes four
fi

# Where nobody draws boxes, and Korean letters are only bytes.
LC_ALL=C "$program" --short >"$scratch/out" 2>&1 || problem "fails in the C locale"
grep -q "^  ok " "$scratch/out" || problem "no plain marks in the C locale"

# At 60 columns no line of its own is longer.
COLUMNS=60 "$program" --short >"$scratch/out"
# But for what the library says of a process, which is as long as its numbers.
[ "$(grep -v "^<Process " "$scratch/out" | wc -L)" -le 60 ] ||
    problem "a line is longer than 60 columns"
if command -v script >/dev/null; then
    # shellcheck disable=SC2016 # for the inner shell
    TERM=xterm script -qec '"$program" --short' /dev/null >"$scratch/out" </dev/null
    grep -q $'\033\[' "$scratch/out" || problem "no colours on a terminal"
fi
"$program" --short >/dev/full 2>/dev/null && problem "success although the disk is full"

[ -n "$option" ] || finish
ended_by INT group "$count" "$option" "$value"
ended_by INT main "$count" "$option" "$value"
ended_by TERM main "$count" "$option" "$value"
ended_by KILL main "$count" "$option" "$value"
ended_by KILL group "$count" "$option" "$value"

# Where processes are killed that it waits for, it says so and ends.
if [ "$count" -gt 1 ]; then
    setsid "$program" "$option" "$value" >"$scratch/out" 2>&1 &
    main=$!
    until_running "$count"
    # A pool replaces its workers, and map() waits for the other items.
    while kill -0 "$main" 2>/dev/null; do
        for process in $(running | sed 's|/proc/||; s|/exe||'); do
            [ "$process" = "$main" ] || kill -KILL "$process" 2>/dev/null
        done
        sleep 0.1
    done
    wait "$main"
    code=$?
    [ "$code" = 1 ] || problem "exit code $code although processes were killed"
    grep -qE "signal 9|exit code -9|hung up|refused" "$scratch/out" ||
        problem "does not say what happened: $(tail -n 2 "$scratch/out")"
    until_gone "killed processes"
fi
finish
