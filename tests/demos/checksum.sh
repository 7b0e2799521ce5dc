#!/usr/bin/env bash
# checksum.sh PROGRAM: exit codes, output and leftovers of the demo, and that it prints what sha256sum
# prints, also when its workers are killed.
source "$(dirname "$0")/support.sh"

files=$scratch/files
mkdir "$files"
cd "$files" || exit 1
printf 'abc' >plain
printf 'more\n' >'with blanks'
printf -- '-dash\n' >-dash
printf 'a\n' >$'new\nline'
printf 'b\n' >'back\slash'
printf 'c\n' >$'carriage\rreturn'
printf 'd\n' >$'latin1-\351'
printf 'e\n' >a=b
: >empty
head -c 262144 /dev/urandom >one-piece
head -c 262145 /dev/urandom >more-than-one-piece
truncate -s 40M hole
for ((i = 0; i < 300; ++i)); do echo "$i" >"small-$i"; done
ln -s plain link
ln -s . loop
ln -s nowhere broken
mkfifo fifo
mkdir -p below/deep nothing
echo 'the end' >below/deep/file

# same CODE ARG…: standard output is that of sha256sum over the sorted list of files below here.
find . -type f -print0 | LC_ALL=C sort -z | xargs -0 sha256sum >"$scratch/theirs"
same() {
    local code=$1 got
    shift
    timeout "$limit" "$program" "$@" >"$scratch/ours" 2>"$scratch/err"
    got=$?
    [ "$got" = "$code" ] || problem "exit code $got instead of $code: $* $(cat "$scratch/err")"
    cmp "$scratch/theirs" "$scratch/ours" || problem "not what sha256sum prints: $*"
}
same 0 .
same 0 --workers 1 .
same 0 --workers 7 --verify .
grep -qF 'the same as sha256sum, byte for byte: 313 lines' "$scratch/err" || problem "does not verify"
grep -q $'\r' "$scratch/err" && problem "a progress bar without a terminal"
printf 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad  ./plain\n' >"$scratch/theirs"
same 0 plain
same 1 plain nowhere
grep -qF 'checksum: ./nowhere: No such file or directory' "$scratch/err" || problem "no reason"
same 1 fifo plain
grep -qF 'checksum: ./fifo: not a regular file' "$scratch/err" || problem "no reason"
same 0 nothing plain
same 0 --compare plain
grep -qF 'xargs -0 -r -P' "$scratch/err" || problem "does not compare"
: >"$scratch/theirs"
same 0 --verify nothing
same 1 broken
expect 0 "Usage" --help

if [ "$(id -u)" != 0 ]; then
    chmod 0 below plain
    expect 1 "./plain: Permission denied" .
    expect 1 "./below: Permission denied" .
    chmod 755 below plain
fi

refuses --workers 0
refuses --workers -1
refuses --kill-workers -1
refuses --kill-workers some
refuses --sort

# A sha256sum that lies.
mkdir "$scratch/liars"
printf '#!/bin/sh\necho 1234  ./plain\n' >"$scratch/liars/sha256sum"
chmod +x "$scratch/liars/sha256sum"
PATH="$scratch/liars:$PATH" "$program" --verify plain >"$scratch/out" 2>&1 &&
    problem "success although sha256sum says something else"
grep -q "not what sha256sum prints: line 1" "$scratch/out" || problem "a difference is not shown"

"$program" . 2>"$scratch/err" | head -n 1 >/dev/null
"$program" plain >/dev/full 2>/dev/null && problem "success although the disk is full"

# Files that go while they are read: each is summed, or named as gone.
mkdir vanishing
for ((i = 0; i < 3000; ++i)); do echo "$i" >"vanishing/$i"; done
rm -r vanishing &
timeout "$limit" "$program" vanishing >"$scratch/out" 2>"$scratch/err"
[ $? -le 1 ] || problem "ends badly when files vanish"
grep -v "No such file or directory" "$scratch/err" | grep -q "vanishing/" &&
    problem "vanished files: $(head -n 3 "$scratch/err")"
wait

# Killed by itself. Holes: much to sum, nothing on the disk.
mkdir large
for ((i = 0; i < 8; ++i)); do truncate -s $((40 + i))M "large/$i"; done
find . -type f -print0 | LC_ALL=C sort -z | xargs -0 sha256sum >"$scratch/theirs"
same 0 --kill-workers 3 --workers 2 .
# Not always all three: it looks for workers only as long as there is work.
grep -qE 'checksum: killed [1-3] workers?( |;)' "$scratch/err" || problem "did not kill: $(cat "$scratch/err")"
same 0 --kill-workers 2 --workers 1 --verify .
cd / || exit 1

# Killed from outside, and enough to sum for as long as it takes.
truncate -s 4G "$files/large/huge"
much=("$files" "$files" "$files")
ended_by INT group 4 --workers 3 "${much[@]}"
ended_by TERM main 4 --workers 3 "${much[@]}"
ended_by KILL main 4 --workers 3 "${much[@]}"
ended_by KILL group 4 --workers 3 "${much[@]}"
# And once so much that they are there for a while, but come to an end.
truncate -s 1G "$files/large/huge"
(cd "$files" && find . -type f -print0 | LC_ALL=C sort -z | xargs -0 sha256sum) >"$scratch/theirs"
(cd "$files" && setsid "$program" --workers 3 . >"$scratch/ours" 2>"$scratch/err") &
main=$!
until_running 4
for process in $(running | sed 's|/proc/||; s|/exe||'); do
    parent=$(awk '{ print $4 }' "/proc/$process/stat" 2>/dev/null)
    [ "$(readlink "/proc/$parent/exe")" = "$program" ] && kill -KILL "$process"
done
wait "$main" || problem "a failure although others did the work: $(cat "$scratch/err")"
cmp "$scratch/theirs" "$scratch/ours" || problem "not what sha256sum prints after a kill from outside"
until_gone "killed workers"
finish
