#!/usr/bin/env bash
# killed-holder.sh PROGRAM: what the demo claims, bad input, and leftovers.
source "$(dirname "$0")/support.sh"

expect 0 "the permit comes back" --step --runs 30
tr -d , <"$scratch/out" >"$scratch/table"
grep -qE "^ *pthread_mutex_t +30 +30 +100.0" "$scratch/table" || problem "pthread_mutex_t survived"
grep -qE "^ *Lock +30 +0 +0.0" "$scratch/table" || problem "a Lock was lost"
grep -qE "^ *sem_t +30 +30 +100.0" "$scratch/table" || problem "sem_t survived"
grep -qE "^ *Semaphore +30 +0 +0.0" "$scratch/table" || problem "a permit was lost"
expect 0 "the next one is told at once" --short
expect 0 "Usage" --help
expect 0 "The picture is in" --step --runs 2 --trace "$scratch/picture.html"
refuses --runs 0
refuses --runs 1000000
refuses --nonsense
refuses --trace "$scratch/picture.txt"
ended_by INT group 1 --step --runs 100000
ended_by KILL group 1 --step --runs 100000
for moment in 0 0.02 0.1 0.3; do
    interrupted_after "$moment" --runs 100000
done
COLUMNS=30 "$program" --step --runs 2 >/dev/null || problem "fails at 30 columns"
ended_by KILL main 1 --runs 100000
finish
