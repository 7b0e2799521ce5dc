#!/usr/bin/env bash
# all.sh RUN BIN: ./demos/run, with the programs in BIN.
run=$1
export MULTIFORK_DEMOS_BIN=$2
problems=0
problem() {
    echo "PROBLEM: $*"
    problems=$((problems + 1))
}

list=$("$run" --list) || problem "--list fails"
for folder in "$(dirname "$run")"/[0-9][0-9]-*/; do
    name=$(basename "$folder")
    grep -qE "^${name#[0-9][0-9]-} +.{10,}" <<<"$list" || problem "--list has no line for $name"
done
[ "$(wc -L <<<"$list")" -le 110 ] || problem "a line of --list is long"

out=$("$run" --all --short) || problem "--all --short fails"
echo "$out"
grep -qE "^([0-9]+) of \1 runs went well" <<<"$out" || problem "not all went well"

for wrong in --nonsense nothing race.counter "--all nonsense" "--list all" "--help all"; do
    # shellcheck disable=SC2086 # two arguments
    "$run" $wrong >/dev/null 2>&1
    [ $? = 2 ] || problem "no exit code 2 for $wrong"
done
[ "$problems" = 0 ] && echo "all well"
exit $((problems > 0))
