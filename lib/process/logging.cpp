#include <multifork/process/logging.hpp>

#include "platform/log.hpp"

#include <multifork/process/this_process.hpp>

namespace multifork {
namespace {

constinit Logger the_logger;

// Before the program's own static objects, which may log.
[[gnu::constructor(202)]] void name_the_process_in_lines() {
    platform::log_process_name = this_process::name;
}

} // namespace

LogLevel Logger::level() const noexcept {
    return platform::log_state().level();
}
void Logger::set_level(LogLevel level) noexcept {
    platform::set_log_level(level);
}
bool Logger::is_enabled_for(LogLevel level) const noexcept {
    return platform::log_enabled(level);
}
void Logger::write(LogLevel level, const std::source_location& where, fmt::string_view text) {
    platform::log(level, {text.data(), text.size()}, where);
}

Logger& get_logger() noexcept {
    return the_logger;
}

Logger& log_to_stderr(std::optional<LogLevel> level) noexcept {
    if (level)
        the_logger.set_level(*level);
    platform::log_to_stderr();
    return the_logger;
}

} // namespace multifork
