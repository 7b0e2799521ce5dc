#!/usr/bin/env bash
# race-demo.sh PROGRAM: what all demos of races promise: the forced order shows the fault
# every time and never with the cure; pictures; bad input; nothing is left behind.
source "$(dirname "$0")/support.sh"

# rows FILE: "runs wrong" of the two rows of the table.
rows() {
    sed -n '/──/,/^$/p' "$scratch/out" | grep -oE ' [0-9,]+ +[0-9,]+ +(< )?[0-9.]+ +[0-9]' |
        awk '{ print $1, $2 }' | tr -d ,
}

expect 0 "100.0" --step --runs 100
mapfile -t row < <(rows)
[ "${#row[@]}" = 2 ] || problem "not two rows: $(cat "$scratch/out")"
[ "${row[0]% *}" = 100 ] && [ "${row[0]#* }" -ge 99 ] || problem "without the cure: ${row[0]}"
[ "${row[1]}" = "100 0" ] || problem "with the cure: ${row[1]}"
grep -qE '^ +(0 ns|\+[0-9,.]+ .s) .*✗' "$scratch/out" ||
    problem "the time line does not show what went wrong"
grep -q $'\033' "$scratch/out" && problem "colours in a pipe"

# With real timing the fault is a matter of luck, the cure is not.
expect 0 "" --short
rows | sed -n 2p | grep -q ' 0$' || problem "with the cure, in real time: $(rows)"
expect 0 "Usage" --help

refuses --runs 0
refuses --runs -1
refuses --runs 1000000
refuses --rounds many
refuses --rounds
refuses --nonsense
refuses 7
# What means nothing as it is called.
refuses --runs 5
refuses --step --rounds 5
refuses --step=perhaps
expect 0 "real timing" --short --step=false
refuses --processes 0
refuses --processes 1000000

# Pictures.
for ending in html svg json; do
    expect 0 "The picture is in" --step --runs 2 --trace "$scratch/picture.$ending"
    [ -s "$scratch/picture.$ending" ] || problem "no picture.$ending"
done
grep -qE '(src|href|url)[=(]' "$scratch/picture.html" && problem "the page needs other files"
grep -q 'prefers-color-scheme:dark' "$scratch/picture.html" || problem "the page knows no dark"
if command -v xmllint >/dev/null; then
    xmllint --noout "$scratch/picture.svg" || problem "the drawing is no XML"
fi
if command -v python3 >/dev/null; then
    # Whatever real timing brings: what went wrong is marked in its picture, too.
    expect 0 "The picture is in" --short --trace "$scratch/real.json"
    read -r _ real_faults < <(rows)
    python3 - "$scratch" "$real_faults" <<'END' || problem "a trace is not what Perfetto takes"
import collections, json, sys
scratch, real_faults = sys.argv[1], int(sys.argv[2])
for name, is_marked in ("picture", True), ("real", real_faults > 0):
    events = json.load(open(f"{scratch}/{name}.json"))["traceEvents"]
    assert {e["ph"] for e in events} >= {"M", "i"}
    assert {e["args"]["name"] for e in events if e["name"] == "process_name"}
    threads = {(e["pid"], e["tid"]) for e in events if e["name"] == "thread_name"}
    slices = collections.defaultdict(list)
    flows = collections.defaultdict(list)
    for e in events:
        assert isinstance(e["pid"], int) and isinstance(e["tid"], int) and e["name"]
        assert e["ph"] in ("M", "C") or (e["pid"], e["tid"]) in threads, "a thread without a name"
        assert e["ph"] == "M" or isinstance(e["ts"], (int, float))
        if e["ph"] == "X":
            assert e["dur"] >= 0
            slices[e["pid"], e["tid"]].append((e["ts"], -e["dur"]))
        if e["ph"] in "sf":
            flows[e["id"]].append((e["ts"], e["ph"]))
    for times in slices.values():
        open_ends = []
        for begin, minus_length in sorted(times):
            while open_ends and open_ends[-1] <= begin:
                open_ends.pop()
            end = begin - minus_length
            assert not open_ends or end <= open_ends[-1] + 1e-6, "slices overlap"
            open_ends.append(end)
    for both in flows.values():
        assert [ph for _, ph in sorted(both)] == ["s", "f"], "a flow without begin or end"
    assert not is_marked or any(e.get("cat") == "fault" for e in events), "nothing is marked"
END
fi
refuses --trace ""
refuses --trace=
refuses --trace "$scratch/picture.png"
refuses --trace "$scratch/picture"
expect 1 "No such file or directory" --trace "$scratch/nowhere/picture.html"
mkdir "$scratch/folder.html"
expect 1 "Is a directory" --trace "$scratch/folder.html"
expect 1 "cannot write" --trace "$scratch/$(printf 'long%.0s' {1..100}).html"
[ -z "$(find "$scratch" -name '*part*')" ] || problem "half a picture is left"

# Ctrl-C while the file is open. As a pipe that nobody reads it stays at its opening: the program
# sleeps nowhere else before it has begun.
# shellcheck disable=SC2016 # for the other shell
setsid env --default-signal=INT sh -c 'mkfifo "$1.$$.part" && exec "$0" --step --trace "$1"' \
    "$program" "$scratch/cut.svg" >"$scratch/out" 2>&1 &
main=$!
until [ "$(readlink "/proc/$main/exe")" = "$program" ] &&
    [ "$(sed 's/.*) //; s/ .*//' "/proc/$main/stat")" = S ]; do
    kill -0 "$main" 2>/dev/null || break
    sleep 0.05
done
kill -s INT -- "-$main"
wait "$main" 2>/dev/null
[ -z "$(find "$scratch" -name '*part*')" ] || problem "half a picture is left after Ctrl-C"

# At 60 columns no line is longer.
COLUMNS=60 "$program" --step --runs 2 >"$scratch/out"
[ "$(wc -L <"$scratch/out")" -le 60 ] || problem "a line is longer than 60 columns"
if [[ $("$program" --help) == *--processes* ]]; then
    COLUMNS=60 "$program" --step --runs 2 --processes 8 >"$scratch/out"
    [ "$(wc -L <"$scratch/out")" -le 60 ] || problem "a line is longer with many processes"
fi
# A narrower terminal breaks them, and nothing else.
COLUMNS=30 "$program" --step --runs 2 >"$scratch/out" || problem "fails at 30 columns"
"$program" --step --runs 2 2>"$scratch/err" | head -n 1 >/dev/null
[ -s "$scratch/err" ] && problem "noise on a closed pipe: $(cat "$scratch/err")"
"$program" --step --runs 2 >/dev/full 2>/dev/null && problem "success although the disk is full"

for mode in --step ""; do
    long=(--rounds 1000000000)
    [ -n "$mode" ] && long=("$mode" --runs 100000)
    # Where rounds end with processes that hang, they come and go.
    ended_by INT group 2 "${long[@]}"
    ended_by KILL main 2 "${long[@]}"
    ended_by KILL group 2 "${long[@]}"
    for moment in 0 0.01 0.03 0.1 0.4; do
        interrupted_after "$moment" "${long[@]}"
    done
done

# A process that is killed is noticed, and nobody waits for it.
setsid "$program" --step --runs 100000 >"$scratch/out" 2>&1 &
main=$!
# Where a round ends with processes that hang, the demo kills them itself: then ours counts for
# nothing, and another one has to go.
while kill -0 "$main"; do
    read -r process _ <"/proc/$main/task/$main/children" # ends without a newline
    [ -n "$process" ] && kill -KILL "$process"
    sleep 0.05
done 2>/dev/null
wait "$main"
code=$?
[ "$code" = 1 ] || problem "exit code $code although a process was killed"
grep -q "was killed by signal 9 (SIGKILL)" "$scratch/out" || problem "a killed process is not named"
until_gone "a killed process"
finish
