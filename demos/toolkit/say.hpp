#pragma once

#include <fmt/format.h>

#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace demo {

/// Prints a line, at once and by one write: lines of several processes do not run into each other,
/// and come in the order in which they were said, into a pipe, too.
void say_line(std::string_view line);

template <class... Ts>
void say(fmt::format_string<Ts...> format, Ts&&... values) {
    say_line(fmt::format(format, std::forward<Ts>(values)...));
}

/// What Python would print as None is "nothing" here.
template <class T>
[[nodiscard]] std::string or_nothing(const std::optional<T>& value) {
    return value ? fmt::format("{}", *value) : "nothing";
}

} // namespace demo
