#pragma once

#include "toolkit/terminal.hpp"

#include <cstdint>
#include <string>
#include <string_view>

namespace demo {

/// Columns that a UTF-8 text takes; a Korean letter takes two.
[[nodiscard]] int columns(std::string_view text);
/// The text with blanks after or before it, up to `width` columns.
[[nodiscard]] std::string pad_right(std::string_view text, int width);
[[nodiscard]] std::string pad_left(std::string_view text, int width);
[[nodiscard]] std::string repeat(std::string_view text, int times);

/// "1,234,567"
[[nodiscard]] std::string grouped(std::int64_t number);
/// "1 file", "2 files"; the plural is the singular and an s unless given.
[[nodiscard]] std::string count_of(std::int64_t number, std::string_view one,
                                   std::string_view many = "");
/// "830 ns", "27.4 µs", "3.98 ms", "1.2 s"
[[nodiscard]] std::string duration_text(std::int64_t ns);

/// Text from outside (a word, a file's name) that does no harm to a terminal: what is not printable
/// UTF-8 becomes \xNN, and what is longer than `width` columns is cut.
[[nodiscard]] std::string printable(std::string_view bytes, int width = 4096);

/// Prints a paragraph, broken at blanks to the terminal's width, 76 columns at most.
void paragraph(std::string_view text, Ink ink = Ink::plain);
/// Prints the first line of a demo, and an empty one.
void title(std::string_view text);
/// Prints a heading with an empty line before it.
void heading(std::string_view text);

} // namespace demo
