#pragma once

#include "crash/harness/path.hpp"

#include <cstdint>
#include <functional>
#include <optional>

#include <sys/types.h>

// A process that runs one operation an instruction at a time, and can be killed after any of them.
//
// It is forked, does `prepare` freely, and stops at a marker (a breakpoint instruction). From there
// ptrace steps it through `operation` up to a second marker. SIGKILL strikes between two
// instructions; that is as fine as death gets, because a store either has happened or has not.
// A step takes microseconds; where the way is known from earlier rounds, the victim runs most of it
// at full speed, up to a breakpoint.

namespace multifork::test::crash {

using Action = std::function<void()>;

enum class Place : std::uint8_t {
    standing, ///< between two instructions of the operation
    asleep,   ///< in the kernel, waiting to be woken
    finished, ///< at the second marker: the operation has returned
};

class Victim {
public:
    /// Forks; returns when the victim stands at the first marker.
    Victim(const Action& prepare, const Action& operation);
    /// Kills.
    ~Victim();
    Victim(const Victim&) = delete;
    Victim& operator=(const Victim&) = delete;

    [[nodiscard]] Place place() const { return place_; }
    /// Instructions done since the marker, or since the last wake-up.
    [[nodiscard]] unsigned long steps() const { return steps_; }

    /// Does the first k instructions; fewer when the operation ends or falls asleep. It runs where
    /// `path` is known, steps from there on, and adds what it sees there.
    /// \return false when it did not take that path: it has ended or fallen asleep elsewhere
    [[nodiscard]] bool go(unsigned long k, Path& path);
    /// Runs until the operation falls asleep. \throws Failure when it does not
    void run_to_sleep();
    /// For a sleeper: waits until somebody has woken it. It then stands behind its system call, and
    /// steps() counts anew. \throws Failure when nobody wakes it
    void await_wake();
    /// Lets it run freely to its end. \return false when it has not arrived within the hang limit
    [[nodiscard]] bool finish();
    /// Lets it run freely until it has arrived at its end or fallen asleep. \throws Failure
    Place come_to_rest();
    /// \return once the kernel has finished with it, so that it has told those who must know
    void kill();

    [[nodiscard]] pid_t pid() const { return pid_; }

private:
    void step_once();
    /// Steps into what may be a sleep. \return when it is over, or the victim asleep
    void step_and_perhaps_sleep();
    /// Runs to the next stop: a breakpoint, the end, or asleep.
    void run_on();
    /// \return false where none can be set
    bool set_breakpoint(Path::Address address);
    void clear_breakpoint();
    [[nodiscard]] bool stands_before_system_call() const;
    [[nodiscard]] long number_of_system_call() const;
    [[nodiscard]] bool stands_before_fork() const;
    /// \return false when `limit` has passed
    bool await_stop(std::int64_t limit_ns);
    void stopped(int status);

    pid_t pid_ = -1;
    Place place_ = Place::standing;
    unsigned long steps_ = 0;
    Path::Address next_ = 0;       // instruction
    Path::Address end_marker_ = 0; // where it stands behind a marker
    struct Breakpoint {
        Path::Address address;
        long code; // that belongs there
    };
    std::optional<Breakpoint> breakpoint_;
};

/// Whether the process sleeps as the library's threads do, in FUTEX_WAITV, or in
/// ppoll().
[[nodiscard]] bool sleeps_in_library(pid_t pid);

} // namespace multifork::test::crash
