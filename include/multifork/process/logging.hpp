#pragma once

#include <multifork/platform/export.hpp>
#include <multifork/platform/log_level.hpp>

#include <fmt/format.h>

#include <concepts>
#include <optional>
#include <source_location>
#include <type_traits>
#include <utility>

namespace multifork {

/// A format that is checked when it is compiled, and the place in the program where it stands.
template <class... Args>
struct LogFormat {
    template <class Text>
        requires std::convertible_to<const Text&, fmt::string_view>
    consteval LogFormat(const Text& format, // NOLINT: converts, so that info("...") works
                        std::source_location place = std::source_location::current())
        : text(format), where(place) {}
    fmt::format_string<Args...> text;
    std::source_location where;
};

/// The log of this library and of what a program has to say about its processes. There is one; see
/// get_logger().
///
/// Silent until log_to_stderr(). Then a line is
///
///     [INFO/Process-1] [4242 worker.cpp:17] took 3 tasks
///
/// with the level, the name of the process and its pid, and the file and line of the call.
///
/// \threads   safe
/// \processes each line is one write(2): lines do not mix (through a pipe, up to 4096 bytes)
/// \fork      a child begins with its parent's level, and goes its own way then
/// \crash     a line is there, or not; nothing is kept back
/// \cost      below the level: one load of a word
class MULTIFORK_API Logger {
public:
    constexpr Logger() noexcept = default;
    Logger(const Logger&) = delete;
    Logger& operator=(const Logger&) = delete;

    /// LogLevel::notset, which means as much as warning, until somebody sets another.
    [[nodiscard]] LogLevel level() const noexcept;
    void set_level(LogLevel level) noexcept;
    /// Whether a line of that level would be written.
    [[nodiscard]] bool is_enabled_for(LogLevel level) const noexcept;

    /// \throws what a formatter of the arguments throws
    template <class... Args>
    void log(LogLevel level, LogFormat<std::type_identity_t<Args>...> format, Args&&... args) {
        if (is_enabled_for(level))
            write(level, format.where, fmt::format(format.text, std::forward<Args>(args)...));
    }
    template <class... Args>
    void debug(LogFormat<std::type_identity_t<Args>...> format, Args&&... args) {
        log<Args...>(LogLevel::debug, format, std::forward<Args>(args)...);
    }
    template <class... Args>
    void info(LogFormat<std::type_identity_t<Args>...> format, Args&&... args) {
        log<Args...>(LogLevel::info, format, std::forward<Args>(args)...);
    }
    template <class... Args>
    void warning(LogFormat<std::type_identity_t<Args>...> format, Args&&... args) {
        log<Args...>(LogLevel::warning, format, std::forward<Args>(args)...);
    }
    template <class... Args>
    void error(LogFormat<std::type_identity_t<Args>...> format, Args&&... args) {
        log<Args...>(LogLevel::error, format, std::forward<Args>(args)...);
    }
    template <class... Args>
    void critical(LogFormat<std::type_identity_t<Args>...> format, Args&&... args) {
        log<Args...>(LogLevel::critical, format, std::forward<Args>(args)...);
    }

private:
    static void write(LogLevel level, const std::source_location& where, fmt::string_view text);
};

/// The one logger.
[[nodiscard]] MULTIFORK_API Logger& get_logger() noexcept;

/// From now on the log goes to stderr, in this process and in children that it makes later.
/// \param level  if given, the logger's level is set, too
MULTIFORK_API Logger& log_to_stderr(std::optional<LogLevel> level = std::nullopt) noexcept;

/// \name Lines of the four levels at which the library itself speaks
/// @{
template <class... Args>
void sub_debug(LogFormat<std::type_identity_t<Args>...> format, Args&&... args) {
    get_logger().log<Args...>(LogLevel::subdebug, format, std::forward<Args>(args)...);
}
template <class... Args>
void debug(LogFormat<std::type_identity_t<Args>...> format, Args&&... args) {
    get_logger().log<Args...>(LogLevel::debug, format, std::forward<Args>(args)...);
}
template <class... Args>
void info(LogFormat<std::type_identity_t<Args>...> format, Args&&... args) {
    get_logger().log<Args...>(LogLevel::info, format, std::forward<Args>(args)...);
}
template <class... Args>
void sub_warning(LogFormat<std::type_identity_t<Args>...> format, Args&&... args) {
    get_logger().log<Args...>(LogLevel::subwarning, format, std::forward<Args>(args)...);
}
/// @}

} // namespace multifork
