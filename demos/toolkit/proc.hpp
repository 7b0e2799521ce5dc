#pragma once

#include <cstdint>

/// \file
/// What /proc tells about a process.

namespace demo {

/// 'R' running, 'S' asleep, 'Z' a zombie: ended, and not yet joined. 0: there is no such process.
[[nodiscard]] char process_state(int pid);

/// Bytes of memory that the calling process has in use at this moment: psutil's `rss`.
[[nodiscard]] std::int64_t resident_bytes();
/// The most that it ever had; a forked child begins with what it has of its parent's.
[[nodiscard]] std::int64_t peak_resident_bytes();

} // namespace demo
