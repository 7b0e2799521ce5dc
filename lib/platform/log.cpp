#include "platform/log.hpp"

#include <fmt/format.h>
#include <poll.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <iterator>

namespace multifork::platform {
namespace {

// Relaxed throughout: the word is all there is, and orders nothing else.
constinit std::atomic<std::uint32_t> state{0};

std::string level_name(LogLevel level) {
    switch (level) {
    case LogLevel::notset:
        return "NOTSET";
    case LogLevel::subdebug:
        return "SUBDEBUG";
    case LogLevel::debug:
        return "DEBUG";
    case LogLevel::info:
        return "INFO";
    case LogLevel::subwarning:
        return "SUBWARNING";
    case LogLevel::warning:
        return "WARNING";
    case LogLevel::error:
        return "ERROR";
    case LogLevel::critical:
        return "CRITICAL";
    }
    return fmt::format("Level {}", static_cast<unsigned>(level)); // as Python says it
}

std::string_view without_folder(std::string_view path) {
    return path.substr(path.rfind('/') + 1); // npos + 1 is 0
}

void write_all(std::string_view line) noexcept {
    while (!line.empty()) {
        const ssize_t n = ::write(STDERR_FILENO, line.data(), line.size());
        if (n > 0) {
            line.remove_prefix(static_cast<std::size_t>(n));
        } else if (n < 0 && errno == EAGAIN) { // somebody made it non-blocking
            pollfd room{STDERR_FILENO, POLLOUT, 0};
            static_cast<void>(::poll(&room, 1, -1));
        } else if (n == 0 || errno != EINTR) {
            return; // closed, or full: nobody can be told
        }
    }
}

} // namespace

std::string (*log_process_name)() = nullptr;

LogState log_state() noexcept {
    return {state.load(std::memory_order_relaxed)};
}

void set_log_state(LogState wanted) noexcept {
    state.store(wanted.bits, std::memory_order_relaxed);
}

void set_log_level(LogLevel level) noexcept {
    std::uint32_t old = state.load(std::memory_order_relaxed);
    while (!state.compare_exchange_weak(old, (old & ~0xFFFFu) | static_cast<std::uint32_t>(level),
                                        std::memory_order_relaxed)) {
    }
}

void log_to_stderr() noexcept {
    state.fetch_or(1u << 16, std::memory_order_relaxed);
}

bool log_enabled(LogLevel level) noexcept {
    const LogState now = log_state();
    const LogLevel least = now.level() == LogLevel::notset ? LogLevel::warning : now.level();
    return now.to_stderr() && level >= least;
}

void log(LogLevel level, std::string_view text, std::source_location where) noexcept {
    if (!log_enabled(level))
        return;
    const int kept = errno;
    try {
        const std::string process = log_process_name != nullptr ? log_process_name() : "process";
        fmt::memory_buffer line;
        fmt::format_to(std::back_inserter(line), "[{}/{}] [{} {}:{}] {}\n", level_name(level),
                       process, ::getpid(), without_folder(where.file_name()), where.line(), text);
        write_all({line.data(), line.size()});
    } catch (...) {
        // No memory for a line: the program goes on without it.
    }
    errno = kept;
}

} // namespace multifork::platform
