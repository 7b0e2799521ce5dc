#pragma once

#include <multifork/platform/log_level.hpp>

#include <cstdint>
#include <source_location>
#include <string>
#include <string_view>

// The log, as the library's own floors write it; the program's side is
// multifork/process/logging.hpp.
//
//   if (platform::log_enabled(LogLevel::info))
//       platform::log(LogLevel::info, fmt::format("process exiting with exitcode {}", code));
//
// Not in a fork handler and not with a lock of the process floor held: the name of the process is
// asked for there.

namespace multifork::platform {

/// All there is to know about the logger: what a forked child inherits, and a spawned one is told.
///
///   bit 16    lines go to stderr
///   bits 0-15 the level
struct LogState {
    std::uint32_t bits = 0;

    [[nodiscard]] constexpr LogLevel level() const noexcept {
        return static_cast<LogLevel>(bits & 0xFFFF);
    }
    [[nodiscard]] constexpr bool to_stderr() const noexcept { return (bits & 1u << 16) != 0; }
};

[[nodiscard]] LogState log_state() noexcept;
void set_log_state(LogState state) noexcept;
void set_log_level(LogLevel level) noexcept;
void log_to_stderr() noexcept;

/// Whether a line of that level would be written.
[[nodiscard]] bool log_enabled(LogLevel level) noexcept;

/// Writes `[INFO/Process-1] [4242 worker.cpp:17] text` to stderr, in one write(2), so that the
/// lines of processes do not mix; does nothing when the level is not enabled. Keeps errno.
void log(LogLevel level, std::string_view text,
         std::source_location where = std::source_location::current()) noexcept;

/// Set by the process floor, when the program is loaded.
extern std::string (*log_process_name)();

} // namespace multifork::platform
