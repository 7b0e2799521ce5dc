#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <unordered_map>

namespace demo {

/// Lets a map be asked with a string_view without making a string.
struct WordHash : std::hash<std::string_view> {
    using is_transparent = void;
};
using Frequencies = std::unordered_map<std::string, std::uint64_t, WordHash, std::equal_to<>>;

struct Totals {
    std::uint64_t lines = 0; ///< newline characters
    std::uint64_t words = 0; ///< as below
    std::uint64_t bytes = 0;
    friend bool operator==(const Totals&, const Totals&) = default;
};

/// What counting one file gave.
struct FileCount {
    enum class State : std::uint8_t { counted, not_text, unreadable };
    State state = State::counted;
    int error = 0; ///< errno, when it is unreadable; 0: it is not a regular file
    Totals totals;
    Frequencies words;
};

/// Counts the lines, words and bytes of a file as wc does, and how often each word occurs.
///
/// A word is a longest run of bytes that are none of the six blanks of the C locale: space, tab,
/// newline, vertical tab, form feed, carriage return. "The", "the" and "the," are three words.
/// A file is text unless it has a zero byte in it or begins as gzip does.
///
/// The file is read piece by piece: its size does not matter, and it may change meanwhile.
[[nodiscard]] FileCount count_file(const std::string& path);

} // namespace demo
