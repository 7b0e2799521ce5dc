#pragma once

#include <cstdint>

// A child of this process, by its pidfd where there is one. By its pid it could be somebody else:
// once the child has been reaped behind this library's back (by the program, or because SIGCHLD is
// ignored), the number is free for the next process, which may be another child.

namespace multifork::platform {

struct Fate {
    enum class State : std::uint8_t {
        running,
        ended,
        unknown, ///< it has ended, and somebody else was told how
    };
    State state;
    int code = 0; ///< of one that has ended: its exit code, or minus the signal
};

/// Looks whether the child has ended, and reaps it then.
/// \param pidfd  or -1
[[nodiscard]] Fate reap(int pid, int pidfd) noexcept;

/// Waits until reap() will not say that it is running.
void wait_for_end(int pid, int pidfd) noexcept;

/// Sends a signal to a child that was not reaped here.
void send_signal(int pid, int pidfd, int number) noexcept;

} // namespace multifork::platform
