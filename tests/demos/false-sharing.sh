#!/usr/bin/env bash
# false-sharing.sh PROGRAM: nothing is lost, bad input, and leftovers. Times are not judged.
source "$(dirname "$0")/support.sh"

expect 0 "2,000,000" --increments 1000000
[ "$(grep -cE '^ *(8|64|256) bytes +2,000,000 +2,000,000 ' "$scratch/out")" = 3 ] ||
    problem "not three rows without a loss: $(cat "$scratch/out")"
expect 0 "3 processes" --processes 3 --increments 7
for increments in 1 4 5 7 9 14; do # few, and parts of them that do not come out even
    expect 0 "The picture is in" --increments "$increments" --trace "$scratch/few.json"
    # In each of three panels two processes say how far they are, at last that they are done.
    [ "$(grep -o "\"name\":\"$increments\"" "$scratch/few.json" | wc -l)" = 6 ] ||
        problem "the end is not in the picture of $increments increments"
done
expect 0 "Usage" --help
expect 0 "The picture is in" --increments 1000 --trace "$scratch/picture.json"
refuses --processes 0
refuses --processes 1000000
refuses --increments 0
refuses --step
refuses --trace "$scratch/picture.txt"
ended_by INT group 3 --increments 10000000000
ended_by KILL group 3 --increments 10000000000
for moment in 0 0.02 0.1 0.3; do
    interrupted_after "$moment" --increments 10000000000
done
COLUMNS=30 "$program" --increments 1000 >/dev/null || problem "fails at 30 columns"
ended_by KILL main 3 --increments 10000000000
finish
