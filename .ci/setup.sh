# shellcheck shell=bash
# What tests/run and demos/run share: find out what is missing, install it, configure, build.
# Sourced, not run; the caller has set `root` to the top of the tree.
: "${root:?}"

cannot_run=2

say() { printf '%s\n' "$*" >&2; }

# --- what is there -------------------------------------------------------------------------------

# The compiler, which may be several words, as in "g++ -m64".
cxx=("${CXX:-c++}")
if ! command -v "${cxx[0]}" >/dev/null; then
    read -ra cxx <<<"${cxx[0]}"
    # CMake wants to know the compiler, and the build finds ccache by itself.
    if [ ${#cxx[@]} -gt 1 ] && [ "${cxx[0]##*/}" = ccache ]; then
        cxx=("${cxx[@]:1}")
        export CXX="${cxx[*]}"
    fi
fi

# compiles PROGRAM-TEXT [LINK-OPTION…]: does the compiler take (and link) it?
compiles() {
    local text=$1
    shift
    local mode=(-fsyntax-only)
    [ $# -gt 0 ] && mode=(-o /dev/null)
    printf '%s\n' "$text" | "${cxx[@]}" -std=c++20 -x c++ "${mode[@]}" - "$@" >/dev/null 2>&1
}

# is_there HEADER: a program that compiles where the header is found.
is_there() {
    echo "#if !__has_include(<$1>)
#error missing
#endif
int main() {}"
}

# at_least MACRO VALUE HEADER: is the header there, and new enough?
at_least() {
    compiles "#include <$3>
#if $1 < $2
#error too old
#endif
int main() {}"
}

compiler_is_new_enough() {
    compiles "#if defined(__clang__) ? __clang_major__ < 16 : __GNUC__ < 12
#error too old
#endif
int main() {}"
}

cmake_is_new_enough() {
    local version
    version=$(cmake --version 2>/dev/null | sed -n '1s/.*version //p')
    [ -n "$version" ] && newer 3.25 "$version"
}

# candidate PACKAGE: the version that apt would install, or nothing.
candidate() {
    LC_ALL=C apt-cache policy "$1" 2>/dev/null | sed -n 's/.*Candidate: \([0-9][^ ]*\).*/\1/p'
}

# newer A B: is version B at least A?
newer() { printf '%s\n%s\n' "$1" "$2" | sort -CV; }

# The version of the installed Boost headers as in "1.81", or nothing.
installed_boost() {
    sed -n 's/#define BOOST_LIB_VERSION "\([0-9]*\)_\([0-9]*\).*/\1.\2/p' \
        /usr/include/boost/version.hpp 2>/dev/null || true
}

boost_is_new_enough() {
    at_least BOOST_VERSION 107500 boost/version.hpp ||
        newer 1.75 "$(installed_boost)" # there, but no compiler yet
}

# The package of Debian or Ubuntu for Boost: with "" for the headers, "-test" for Boost.Test.
boost_package() {
    local version
    version=$(installed_boost)
    if [ -n "$version" ] && boost_is_new_enough; then
        echo "libboost$1$version-dev" # fits what is there
        return
    fi
    # Debian 12 has 1.74 by that name, and 1.81 beside it.
    version=$(candidate libboost-dev)
    if [ -n "$version" ] && newer 1.75 "$version" ||
        [ -z "$version" ] && ! grep -qs bookworm /etc/os-release; then
        echo "libboost$1-dev"
    else
        echo "libboost${1}1.81-dev"
    fi
}

# Any clang++ that will do, newest last; or nothing.
find_clang() {
    local version
    for version in 16 17 18 19 20 21; do
        command -v "clang++-$version" && return
    done
    return 0
}

# missing_packages WHAT…: a package a line. WHAT: build tests demos clang.
missing_packages() {
    local what version
    for what in "$@"; do
        case $what in
            build)
                command -v "${cxx[0]}" >/dev/null || echo g++
                cmake_is_new_enough || echo cmake
                command -v ninja >/dev/null || echo ninja-build
                boost_is_new_enough || boost_package ""
                at_least FMT_VERSION 90000 fmt/core.h || echo libfmt-dev
                at_least CEREAL_VERSION 10301 cereal/version.hpp || echo libcereal-dev
                compiles "$(is_there openssl/hmac.h)" || echo libssl-dev
                ;;
            tests)
                command -v pkg-config >/dev/null || echo pkg-config
                compiles "$(is_there boost/test/unit_test.hpp)" -lboost_unit_test_framework ||
                    boost_package -test
                ;;
            demos)
                compiles "$(is_there cxxopts.hpp)" || echo libcxxopts-dev
                ;;
            clang)
                [ -n "$(find_clang)" ] && continue
                for version in 16 17 18 19 20 21; do
                    [ -n "$(candidate "clang-$version")" ] && break
                done
                echo "clang-$version"
                ;;
        esac
    done
}

# --- getting it ----------------------------------------------------------------------------------

# refuse REASON: what to type by hand, and the end.
refuse() {
    say "$1"
    say "Needed:"
    say ""
    say "    ${sudo:+sudo }apt-get install --no-install-recommends ${packages[*]}"
    say ""
    exit $cannot_run
}

# What apt would install may be too old; then no line to type helps.
refuse_old_system() {
    local package needed version
    while read -r package needed; do
        [[ " ${packages[*]} " == *" $package "* ]] || continue
        version=$(candidate "$package")
        version=${version#*:} # the epoch
        [ -z "$version" ] || newer "$needed" "$version" && continue
        say "This system has $package $version, and $needed is needed."
        say "Debian 12 / Ubuntu 24.04 or later has it."
        exit $cannot_run
    done <<'END'
cmake 3.25
g++ 12
libfmt-dev 9
libcereal-dev 1.3.1
END
}

refuse_old_compiler() {
    command -v "${cxx[0]}" >/dev/null || return 0
    compiler_is_new_enough && return
    say "${cxx[*]} will not do: g++ 12 or clang 16 is needed. CXX=… chooses another compiler."
    exit $cannot_run
}

# provide WHAT…: installs what is missing, or says how and exits with 2. Never removes a package.
provide() {
    local packages removed log sudo=""
    [ "$(id -u)" != 0 ] && sudo=$(command -v sudo)
    mapfile -t packages < <(missing_packages "$@" | sort -u)
    refuse_old_system
    refuse_old_compiler
    [ ${#packages[@]} = 0 ] && return

    if ! command -v apt-get >/dev/null; then
        say "This is neither Debian nor Ubuntu. Please install what these packages hold:"
        say "    ${packages[*]}"
        exit $cannot_run
    fi
    if [ -n "${MULTIFORK_NO_INSTALL-}" ]; then
        refuse "Packages are missing, and MULTIFORK_NO_INSTALL is set."
    fi
    if [ "$(id -u)" != 0 ]; then
        if [ -z "$sudo" ]; then
            refuse "Packages are missing, and only root may install them."
        elif ! sudo -n true 2>/dev/null && ! [ -t 0 ]; then
            refuse "Packages are missing, and sudo would ask for a password."
        fi
    fi

    mkdir -p "$root/build"
    log=$root/build/install.log
    # give_up REASON: the end of apt's words, then as above.
    give_up() {
        tail -n 10 "$log" >&2
        refuse "$1"
    }
    # get: fails if apt cannot; the end, if it would remove something.
    get() {
        LC_ALL=C apt-get install -s --no-install-recommends "${packages[@]}" >"$log" 2>&1 || return
        removed=$(awk '/^Remv/ { print $2 }' "$log" | paste -sd' ')
        if [ -n "$removed" ]; then
            refuse "Installing would remove: $removed. That is for you to decide."
        fi
        say "Installing ${packages[*]}"
        $sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-remove \
            --no-install-recommends -o DPkg::Lock::Timeout=600 "${packages[@]}" >"$log" 2>&1
    }

    if ! get; then
        # A machine without package lists knows no candidates, and old lists name what the mirror
        # does not have any more; choose again with new ones.
        say "Fetching the package lists"
        local tries
        for ((tries = 0; tries < 60; ++tries)); do
            $sudo apt-get update -o APT::Update::Error-Mode=any >"$log" 2>&1 && break
            if ! grep -q "Could not get lock" "$log"; then
                # Of several sources it may be one that does not matter.
                tail -n 10 "$log" >&2
                say "Not all package lists could be fetched."
                break
            fi
            sleep 5 # a fresh machine fetches them by itself, too
        done
        mapfile -t packages < <(missing_packages "$@" | sort -u)
        refuse_old_system
        get || give_up "Not all packages can be installed."
    fi

    refuse_old_compiler
    mapfile -t packages < <(missing_packages "$@" | sort -u)
    [ ${#packages[@]} = 0 ] || refuse "Installed, and yet something does not compile."
}

# --- building ------------------------------------------------------------------------------------

# What a container may use is in its control group: nproc and /proc/meminfo tell of the machine.

# of_group FILE: its first line, or nothing where there is no limit
of_group() {
    grep -sv '^max' "/sys/fs/cgroup/$1" || true
}

# The processors that this may use at a time.
cores() {
    local count quota period
    count=$(nproc)
    read -r quota period <<<"$(of_group cpu.max)"
    if [ -n "${period-}" ]; then
        quota=$(((quota + period - 1) / period))
        [ "$quota" -ge "$count" ] || count=$quota
    fi
    echo "$count"
}

# Compiling needs about 1 GB a job.
jobs() {
    local cores memory limit
    cores=$(cores)
    memory=$(awk '/^MemAvailable/ { print int($2 / 1000000) }' /proc/meminfo)
    limit=$(of_group memory.max)
    [ -z "$limit" ] || [ $((limit / 1000000000)) -ge "$memory" ] || memory=$((limit / 1000000000))
    [ "$memory" -ge 1 ] || memory=1
    echo $((cores < memory ? cores : memory))
}

# progress LABEL: turns ninja's "[3/40] …" into a counter line on a terminal, and into a line now
# and then elsewhere. A build that has nothing to do shows nothing.
progress() {
    local tty=0
    [ -t 2 ] && tty=1
    awk -v tty="$tty" -v label="$1" '
        match($0, /^\[[0-9]+\/[0-9]+\]/) {
            split(substr($0, 2, RLENGTH - 2), count, "/")
            if (count[2] < 5) next
            tenth = int(10 * count[1] / count[2])
            if (tty) printf "\r%s %d/%d ", label, count[1], count[2]
            else if (tenth != shown) printf "%s %d/%d\n", label, count[1], count[2]
            shown = tenth
            drawn = 1
            fflush()
        }
        END { if (tty && drawn) printf "\r\033[K" }
    ' >&2
}

# hold PRESET: from here on no other run builds or tests there. What is started meanwhile, and may stay
# behind, is started with 9>&-.
hold() {
    mkdir -p "$root/build/$1"
    exec 9>"$root/build/$1/.lock" || exit $cannot_run
    flock --nonblock 9 && return
    say "Another run builds in build/$1; waiting"
    flock 9
}

# build PRESET LABEL [--target NAME] [-D…]: holds PRESET, configures and builds; on failure shows
# why, returns 1.
build() {
    local preset=$1 label=$2 target=() define=() fresh=() log status
    shift 2
    while [ $# -gt 0 ]; do
        case $1 in
            --target)
                target=(--target "$2")
                shift
                ;;
            *) define+=("$1") ;;
        esac
        shift
    done
    hold "$preset"
    log=$root/build/$preset/build.log
    # A tree that was moved or copied with its build folder.
    if ! grep -qsxF "CMAKE_HOME_DIRECTORY:INTERNAL=$root" "$root/build/$preset/CMakeCache.txt"; then
        fresh=(--fresh)
    fi
    (cd "$root" && cmake --preset "$preset" "${fresh[@]}" "${define[@]}") >"$log" 2>&1 9>&- || {
        cat "$log" >&2
        return 1
    }
    (cd "$root" && NINJA_STATUS="[%f/%t] " cmake --build --preset "$preset" "${target[@]}" \
        -- -j "$(jobs)") 2>&1 9>&- | tee "$log" | progress "$label"
    status=${PIPESTATUS[0]}
    if [ "$status" != 0 ]; then
        grep -v '^\[' "$log" | head -n 80 >&2
        say "The build failed; all of its output is in $log"
        return 1
    fi
}
