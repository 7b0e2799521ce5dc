#pragma once

#include "process/board.hpp"

#include <functional>

// What a child of Process::start() does besides its target, whichever way it was started.

namespace multifork::detail {

/// Flushes standard output, and all else that stdio and the standard iostreams keep, but waits for
/// nobody who is inside another stream.
void flush_output() noexcept;

/// The child's last function, for on_exit(): it runs after what the child has registered with
/// atexit() since, and before what was registered earlier, and ends the process. A forked child
/// registers it first, so that its parent's exit handlers and static destructors run in the parent
/// alone.
void end_of_child(int status, void*);

/// From here on this process tells its parent there how it ends.
void report_to(Board& board) noexcept;

/// Runs the target. An exception that leaves it goes to stderr and to the parent. \return the exit
/// code
[[nodiscard]] int run_reporting(const std::function<void()>& run);

} // namespace multifork::detail
