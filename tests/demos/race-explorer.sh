#!/usr/bin/env bash
# race-explorer.sh PROGRAM: the numbers of schedules, replays, keys, bad input, and leftovers.
source "$(dirname "$0")/support.sh"

# Two loads before a store, in 18 of 6!/(3! 3!) = 20 orders; with the lock, one after the other.
expect 0 "18 of 20 orders go wrong without lock, and none of 2" --exhaustive
grep -qE "^ *counter = 1 +18 +0$" "$scratch/out" || problem "no row for the lost update"
grep -qE "^ *counter = 2 +2 +2$" "$scratch/out" || problem "no row for the right result"
bad=$(sed -n 's/.*--replay "\(.*\)"/\1/p' "$scratch/out")
[ -n "$bad" ] || problem "no bad order is shown"
expect 0 "20 of 20 runs: counter = 1" --replay "$bad" --runs 20
expect 2 "cannot go on there" --lock --replay "1 2 1 2 1 2"
expect 0 "counter = 2" --replay 111222
expect 0 "1,680 orders" --exhaustive --processes 3
expect 0 "deadlock" --exhaustive --program forks
expect 0 "140 paid out, balance = 30" --exhaustive --program account
expect 0 "saw (2, 1)" --exhaustive --program pair
expect 0 "Usage" --help

expect 0 "The picture is in" --replay "$bad" --trace "$scratch/picture.svg"
refuses --program nothing
refuses --processes 0
refuses --processes 1
refuses --processes 1000000
refuses --replay "1 2 3"
refuses --replay ""
refuses --replay "1 1 1 1"
refuses --exhaustive --replay "1 2"
refuses --exhaustive --processes 3 --program account
refuses --exhaustive --lock
refuses --exhaustive --runs 2
refuses --replay 111222 --limit 5
refuses --limit 5
refuses --runs 5
refuses --lock --limit 5
refuses --trace "" --exhaustive
refuses --limit 0
refuses --nonsense
refuses </dev/null # no terminal to choose at

ended_by INT group 4 --exhaustive --processes 3 --program account --limit 100000
long=(--exhaustive --processes 3 --program account --limit 100000)
ended_by KILL group 4 "${long[@]}"
for moment in 0 0.02 0.1 0.3; do
    interrupted_after "$moment" "${long[@]}"
done
COLUMNS=30 "$program" --replay 111222 >/dev/null || problem "fails at 30 columns"
ended_by KILL main 4 --exhaustive --processes 3 --program account --limit 100000

# At a terminal: keys choose, and the terminal is as it was before, after an end and after Ctrl-C.
if command -v script >/dev/null; then
    # until_true COMMAND…: waits for that, at most 30 s (see slowdown).
    until_true() {
        local i
        for ((i = 0; i < 600 * slowdown; ++i)); do
            "$@" && return
            sleep 0.05
        done
    }
    # asked COUNT: the demo has asked for a key that many times.
    asked() { [ "$(grep -o "q quit > " "$scratch/out" | wc -l)" -ge "$1" ]; }
    # at_terminal KEYS…: presses each when it is asked for, and compares the terminal's settings.
    at_terminal() {
        local key count=0
        rm -f "$scratch/after"
        : >"$scratch/out"
        # shellcheck disable=SC2016 # for the inner shell
        {
            for key in "$@"; do
                until_true asked $((count += 1))
                # shellcheck disable=SC2059 # the key may be an escape
                printf "$key"
            done
            until_true test -s "$scratch/after"
        } | script -qec 'trap : INT; stty -a >"$scratch/before"; "$program"; echo "code $?"
            stty -a >"$scratch/after"' /dev/null >"$scratch/out"
        cmp -s "$scratch/before" "$scratch/after" || problem "the terminal is not as it was: $*"
        until_gone "keys $*"
    }
    at_terminal 1 2 2 u 2 2 1 1
    grep -q "Your order: 1 2 2 2 1 1" "$scratch/out" || problem "the keys were not followed"
    grep -q "code 0" "$scratch/out" || problem "no success after a choice"
    at_terminal 1 x q
    grep -q "code 0" "$scratch/out" || problem "no success after q"
    at_terminal 1 '\003'
    grep -q "code 130" "$scratch/out" || problem "Ctrl-C did not end it"
fi
finish
