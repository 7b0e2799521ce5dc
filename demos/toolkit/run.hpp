#pragma once

#include <functional>
#include <string_view>

namespace demo {

/// Exit codes that all demos share.
inline constexpr int success = 0;
inline constexpr int failure = 1;
inline constexpr int bad_usage = 2;

/// Writes "name: text" to stderr, if anybody listens there.
void complain(std::string_view name, std::string_view text) noexcept;

/// A file that Ctrl-C takes away, until null is given. The text must live so long.
void remove_if_interrupted(const char* path) noexcept;

/// What main() of a demo does: calls `body` and turns what it throws into a message and an exit
/// code.
///
/// Ctrl-C ends the program as it would without this, after the progress line is wiped. Output to a
/// pipe that nobody reads any more ends it silently.
int run(const char* name, const std::function<int()>& body);

} // namespace demo
