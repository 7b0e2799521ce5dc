# shellcheck shell=bash
# What the tests of demos share. Sourced with the demo's program in $1.
program=$(realpath "$1")
problems=0
scratch=$(mktemp -d)
mkdir "$scratch/shm"
# Whatever has a name goes there, so that it can be seen.
export MULTIFORK_SHM_DIR=$scratch/shm
export LC_ALL=C.UTF-8
# A test says itself what the terminal is like. script(1) runs the shell of $SHELL, which takes the
# paths from the environment: they may have blanks.
unset NO_COLOR COLUMNS
export SHELL=/bin/sh
export program scratch
# How many times longer everything may take, and how many seconds a run of a demo.
slowdown=${MULTIFORK_TEST_SLOWDOWN-}
[[ $slowdown =~ ^[1-9][0-9]*$ ]] || slowdown=1
limit=$((120 * slowdown))

# Some are in sessions of their own, where neither Ctrl-C nor a signal to this script reaches them.
# shellcheck disable=SC2317 # called by the trap
clean_up() {
    local exe
    for exe in $(running); do
        exe=${exe#/proc/}
        kill -KILL "${exe%/exe}" 2>/dev/null
    done
    rm -rf "$scratch"
}
trap clean_up EXIT

problem() {
    echo "PROBLEM: $*"
    problems=$((problems + 1))
}

# expect CODE TEXT ARG…: the demo ends with that code, and says that text (a fixed string).
expect() {
    local code=$1 text=$2 got
    shift 2
    timeout "$limit" "$program" "$@" >"$scratch/out" 2>&1
    got=$?
    [ "$got" = "$code" ] || problem "exit code $got instead of $code: $*"
    # Paragraphs are broken into lines anywhere.
    tr '\n' ' ' <"$scratch/out" | grep -qF -- "$text" || problem "does not say \"$text\": $*"
}

# The demo's processes that run at this moment.
running() {
    local exe
    for exe in /proc/[0-9]*/exe; do
        [ "$exe" -ef "$program" ] && echo "$exe"
    done
    return 0
}

# until_running COUNT / until_gone: waits for that state, at most 30 s (see slowdown).
until_running() {
    local i
    for ((i = 0; i < 600 * slowdown; ++i)); do
        [ "$(running | wc -l)" -ge "$1" ] && return
        sleep 0.05
    done
    problem "there never were $1 processes"
}
until_gone() {
    local i
    for ((i = 0; i < 600 * slowdown; ++i)); do
        [ -z "$(running)" ] && break
        sleep 0.05
    done
    [ -z "$(running)" ] || problem "processes are left after $1: $(running)"
    [ -z "$(ls -A "$scratch/shm")" ] || problem "shared memory is left after $1"
}

# ended_by SIGNAL WHOM COUNT ARG…: the demo runs with COUNT processes, then gets the signal: its main
# process (WHOM: main) or all of them (group). It must end by it, and leave nothing.
ended_by() {
    local signal=$1 whom=$2 count=$3 main got
    shift 3
    # env gives SIGINT its default back, which a shell takes from what runs in the background.
    setsid env --default-signal=INT "$program" "$@" >"$scratch/out" 2>&1 &
    main=$!
    until_running "$count"
    case $whom in
        main) kill -s "$signal" "$main" ;;
        group) kill -s "$signal" -- "-$main" ;;
    esac
    wait "$main" 2>/dev/null
    got=$?
    [ "$got" = $((128 + $(kill -l "$signal"))) ] || problem "exit code $got after SIG$signal"
    until_gone "SIG$signal to its $whom"
}

# interrupted_after SECONDS ARG…: Ctrl-C at that time, whatever the demo does at that moment.
interrupted_after() {
    local seconds=$1 main got
    shift
    setsid env --default-signal=INT "$program" "$@" >"$scratch/out" 2>&1 &
    main=$!
    # Before that it is the shell's child, which ignores the signal.
    until [ "$(readlink "/proc/$main/exe")" = "$program" ]; do sleep 0.005; done
    sleep "$seconds"
    kill -s INT -- "-$main"
    wait "$main" 2>/dev/null
    got=$?
    [ "$got" = 130 ] || problem "exit code $got after Ctrl-C at $seconds s"
    until_gone "Ctrl-C at $seconds s"
}

# refuses ARG…: bad usage: exit code 2, one line that says why, one that points to --help.
refuses() {
    expect 2 "--help" "$@"
    [ "$(wc -l <"$scratch/out")" = 2 ] || problem "not two lines: $*"
}

finish() {
    [ "$problems" = 0 ] && echo "all well"
    exit $((problems > 0))
}
