#!/usr/bin/env bash
# word-count.sh PROGRAM: exit codes, output and leftovers of the demo, and that its figures are those
# of the standard tools.
source "$(dirname "$0")/support.sh"

files=$scratch/files
mkdir "$files"
cd "$files" || exit 1
printf 'the cat\tthe dog\n' >plain
printf 'no newline at the end' >'with blanks'
printf -- '-dash\n' >-dash
printf 'equals\n' >a=b
printf 'new\n' >$'new\nline'
: >empty
printf ' \n\t\n\v\f\r ' >blanks
printf '\351t\351 \351 caf\351\r\nfoo\001bar \002 \177 \033[31mred\n' >latin1
for ((i = 0; i < 40; ++i)); do printf '© ñ — “quoted”\n'; done >utf8
# Words that end at, and go over, any boundary between pieces.
head -c 262141 /dev/zero | tr '\0' a >boundary
printf 'word\n' >>boundary
head -c 600000 /dev/zero | tr '\0' b >>boundary
printf 'zero\0byte\n' >binary
gzip -c plain >plain.gz
ln -s plain link
ln -s . loop
ln -s nowhere broken
mkfifo fifo
mkdir below
echo 'the end' >below/file

expect 0 "11 text files" --verify --top 100 .
[ "$(grep -c "✓" "$scratch/out")" = 4 ] || problem "not four checks: $(cat "$scratch/out")"
grep -q $'\033' "$scratch/out" && problem "a control character of a word reached the terminal"
expect 0 "3 symbolic links" .
expect 0 "✓ words" --verify --workers 7 plain link a=b -- -dash
expect 0 "lines  0" empty
expect 0 "1 file that is not text" plain binary
expect 1 "no text file" binary plain.gz
expect 1 "./nothing: No such file or directory; skipped" plain nothing
expect 1 "./broken: No such file or directory; skipped" plain broken
expect 1 "./fifo: not a regular file; skipped" plain fifo
expect 0 "Usage" --help

if [ "$(id -u)" != 0 ]; then
    chmod 0 below latin1
    expect 0 "./latin1: Permission denied; skipped" .
    expect 1 "./latin1: Permission denied; skipped" latin1 plain
    expect 1 "./below: Permission denied; skipped" below
    chmod 755 below latin1
fi

refuses --workers 0
refuses --workers -1
refuses --workers 1000000
refuses --workers many
refuses --top 0
refuses --sort

# A wc that lies, and a sort that does.
mkdir "$scratch/liars"
for tool in wc sort; do
    printf '#!/bin/sh\necho 9 9 9\n' >"$scratch/liars/$tool"
    chmod +x "$scratch/liars/$tool"
    PATH="$scratch/liars:$PATH" "$program" --verify plain >"$scratch/out" 2>&1 &&
        problem "success although $tool says something else"
    grep -q "✗" "$scratch/out" || problem "a difference to $tool is not shown"
    rm "$scratch/liars/$tool"
done

"$program" . 2>"$scratch/err" | head -n 1 >/dev/null
[ -s "$scratch/err" ] && problem "noise on a closed pipe: $(cat "$scratch/err")"
"$program" plain >/dev/full 2>/dev/null && problem "success although the disk is full"
cd / || exit 1

# Enough to count for as long as it takes.
much=()
for ((i = 0; i < 1000; ++i)); do much+=("$files"); done
ended_by INT group 4 --workers 3 "${much[@]}"
ended_by TERM main 4 --workers 3 "${much[@]}"
ended_by KILL main 4 --workers 3 "${much[@]}"
ended_by KILL group 4 --workers 3 "${much[@]}"

# kill_workers COUNT: of three; the demo must notice, and end.
kill_workers() {
    local left=$1 main process code
    setsid "$program" --workers 3 "${much[@]}" >"$scratch/out" 2>&1 &
    main=$!
    until_running 4
    for process in $(running | sed 's|/proc/||; s|/exe||'); do
        [ "$process" = "$main" ] || [ "$left" = 0 ] || { kill -KILL "$process" && ((left -= 1)); }
    done
    wait "$main"
    code=$?
    [ "$code" = 1 ] || problem "exit code $code although $1 workers were killed"
    [ "$(grep -c "was killed by signal 9 (SIGKILL)" "$scratch/out")" = "$1" ] ||
        problem "$1 workers were killed: $(cat "$scratch/out")"
    until_gone "killed workers"
}
kill_workers 1
kill_workers 3
finish
